"""Which of a network's weights a config trains."""

import re

import tensorflow as tf
from absl import logging

from object_detection.compat.checkpoint_map import path_of


def choose(network, *, only=(), freeze=()) -> dict[str, tf.Variable]:
    """Path -> variable of the weights to train.

    Args:
        network: its trainable variables are what there is to choose from.
        only: patterns (train_config.update_trainable_variables); with any, a weight must match one.
        freeze: patterns (train_config.freeze_variables); a weight that matches one stays as it is.
            Patterns are regular expressions that must match from the beginning of a path on.

    Raises:
        ValueError: a pattern matches nothing, or no weight is left.
    """
    weights = {path_of(variable): variable.value for variable in network.trainable_variables}
    for field, patterns in (("update_trainable_variables", only), ("freeze_variables", freeze)):
        for pattern in patterns:
            if not any(re.match(pattern, path) for path in weights):
                rooms = sorted({path.split("/")[0] for path in weights})
                raise ValueError(
                    f"train_config.{field}: {pattern!r} matches no weight. Patterns match the "
                    f"beginning of paths, which begin with {', '.join(rooms)}; for example "
                    f"{next(iter(weights))}."
                )
    chosen = {
        path: weight
        for path, weight in weights.items()
        if (not only or any(re.match(pattern, path) for pattern in only))
        and not any(re.match(pattern, path) for pattern in freeze)
    }
    if not chosen:
        raise ValueError("train_config.freeze_variables leaves no weight to train.")
    logging.info(
        "Training %d of %d weights: %s of %s parameters.",
        len(chosen),
        len(weights),
        f"{_size(chosen.values()):,}",
        f"{_size(variable.value for variable in network.variables):,}",
    )
    return chosen


def _size(variables) -> int:
    return sum(variable.shape.num_elements() for variable in variables)
