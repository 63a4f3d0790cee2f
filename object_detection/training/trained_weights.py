"""Selects the weights to train, by the patterns of train_config and by stages of the network.

TFOD 1.x searches its variables' names for the patterns (`re.search`, anywhere in a name), and TFOD
2.8 silently ignores both fields. Here they work for both, by TFOD's names and by our own.

The names of the stages, `heads`, `5+`, `4+`, `3+` and `all`, are those of Matterport's Mask R-CNN
and of Supervisely: `heads` is all except the base network, and `N+` adds the stages N and later of
the base network. Stage N is where features are 2^N times smaller than the image, as conv2 to conv5
of a ResNet are numbered. The trunk that a detector without a pyramid runs on each crop is stage 5.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import tensorflow as tf
from absl import logging

from object_detection.checkpoints.variables import names_of, path_of
from object_detection.errors import ConfigError

_SHOWN = 3  # names in a line of the log

TRAINABLE_STAGES = ("heads", "5+", "4+", "3+", "all")

_HEADS = 6  # after any stage

# Beginnings of the paths of each stage's weights in every base network.
_STAGES = (
    (r"(backbone/resnet|roi_stage)/conv(?P<stage>[1-5])/", 0),
    (r"backbone/resnet_v1_\d+/conv1/", 1),
    (r"(backbone|roi_stage)/resnet_v1_\d+/block(?P<stage>[1-4])/", 1),  # block 1 is conv2
    (r"(backbone|roi_stage)/inception_v2/(conv2d|mixed)_(?P<stage>[1-5])", 0),
    (r"backbone/inception_resnet_v2/conv2d_[12]", 1),
    (r"backbone/inception_resnet_v2/conv2d_[34]", 2),
    (r"backbone/inception_resnet_v2/(mixed_5b|repeat)/", 3),
    (r"backbone/inception_resnet_v2/(mixed_6a|repeat_1)/", 4),
    (r"roi_stage/inception_resnet_v2/", 5),
)


class _Hits(NamedTuple):
    """What a pattern matches."""

    names: Mapping[str, str]  # path of a weight -> the name that matched
    any_variable: bool  # whether it matches at least what is never trained


def select(network, *, only=(), freeze=(), stages="all") -> dict[str, tf.Variable]:
    """Return {path: variable} of the weights to train.

    Args:
        network: its trainable variables are the candidates.
        only: patterns (train_config.update_trainable_variables); with any, a weight must match one.
        freeze: patterns (train_config.freeze_variables); a weight that matches one stays as it is.
            A pattern is a regular expression that is searched for in the names of one kind: the
            first of TFOD 1.x's, TFOD 2.x's, TFOD 2.x's checkpoint keys and our paths that has a
            match, so that it means what it meant in TFOD.
        stages: one of `TRAINABLE_STAGES` (--train_layers), to which a weight must also belong.

    Raises:
        ConfigError: a pattern matches nothing or is no regular expression, `stages` is unknown, or
            no weight is left.
    """
    weights = {path_of(variable): variable.value for variable in network.trainable_variables}
    tables = _tables(network)
    updated = _matched("update_trainable_variables", only, weights, tables)
    frozen = _matched("freeze_variables", freeze, weights, tables)
    in_stages = trainable_paths(stages, weights)
    selected = {
        path: weight
        for path, weight in weights.items()
        if (not only or path in updated) and path not in frozen and path in in_stages
    }
    if not selected:
        fields = [("update_trainable_variables", only), ("freeze_variables", freeze)]
        named = [f"train_config.{field}" for field, patterns in fields if patterns]
        named = " and ".join(named + [f"--train_layers={stages}"] * (stages != "all"))
        raise ConfigError(f"{named or 'The model'} leaves no weight to train.")
    logging.info(
        "Training %d of %d weights: %s of %s parameters.",
        len(selected),
        len(weights),
        f"{_size(selected.values()):,}",
        f"{_size(variable.value for variable in network.variables):,}",
    )
    return selected


def _tables(network) -> list[dict[str, str]]:
    """Path -> name, for each kind of names that the whole network has."""
    names = names_of(network)
    paths = {path: path for path in names.paths}
    tables = (names.scopes, names.variables, names.keys, paths)
    return [table for table in tables if table.keys() == paths.keys()]


def _matched(field, patterns, weights, tables) -> set[str]:
    """Paths of the weights that one of a field's patterns matches; logs which."""
    matched: set[str] = set()
    for pattern in patterns:
        hits = _search(field, pattern, weights, tables)
        if not hits.any_variable:
            raise ConfigError(_no_match(field, pattern, tables))
        matched |= hits.names.keys()
        if not hits.names:
            logging.warning(
                "train_config.%s: %r matches only statistics, which are never trained.",
                field,
                pattern,
            )
            continue
        shown = list(hits.names.values())[:_SHOWN]
        rest = len(hits.names) - len(shown)
        logging.info(
            "train_config.%s: %r matches %d weight(s) with %s parameters: %s%s",
            field,
            pattern,
            len(hits.names),
            f"{_size(weights[path] for path in hits.names):,}",
            ", ".join(shown),
            f" and {rest} more" if rest else "",
        )
    return matched


def _search(field, pattern, weights, tables) -> _Hits:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ConfigError(
            f"train_config.{field}: {pattern!r} is not a regular expression: {error}."
        ) from error
    any_variable = False
    for table in tables:
        matching = {path: name for path, name in table.items() if expression.search(name)}
        any_variable = any_variable or bool(matching)
        trained = {path: name for path, name in matching.items() if path in weights}
        if trained:
            return _Hits(trained, True)
    return _Hits({}, any_variable)


def _no_match(field, pattern, tables) -> str:
    """The message for a pattern that matches nothing: the names most like it."""
    scopes = {}  # every name and every beginning of one, and how many names begin so
    for table in tables:
        for name in table.values():
            parts = name.split("/")
            for end in range(1, len(parts) + 1):
                scopes.setdefault("/".join(parts[:end]), table)
    plain = re.sub(r"\.\*|[\^$()?+\\]", "", pattern).strip("/.")
    near = difflib.get_close_matches(plain, scopes, n=3, cutoff=0.5)
    if near:
        hint = f"Names like it: {', '.join(near)}."
    else:
        begins = [dict.fromkeys(name.split("/")[0] for name in t.values()) for t in tables]
        hint = "Names begin with " + ", or ".join(
            ", ".join(list(kind)[:8]) + (" ..." if len(kind) > 8 else "") for kind in begins
        )
        hint += f"; for example {next(iter(tables[0].values()))}."
    return f"train_config.{field}: {pattern!r} matches no weight. {hint}"


def _size(variables) -> int:
    return sum(variable.shape.num_elements() for variable in variables)


def stage_of(path: str) -> int | None:
    """Return the stage of the base network that a weight belongs to; None for other layers.

    Args:
        path: of the weight, such as `backbone/resnet/conv3/block1/conv1/kernel`.
    """
    for pattern, offset in _STAGES:
        match = re.match(pattern, path)
        if match:
            return int(match.groupdict().get("stage") or 0) + offset
    return None


def trainable_paths(stages: str, paths: Iterable[str]) -> set[str]:
    """Return the weights of some stages.

    Args:
        stages: one of `TRAINABLE_STAGES`.
        paths: of the weights to choose from.

    Raises:
        ConfigError: `stages` is none of these.
    """
    if stages not in TRAINABLE_STAGES:
        raise ConfigError(
            f"--train_layers={stages} is unknown; allowed: {', '.join(TRAINABLE_STAGES)}."
        )
    first = {"heads": _HEADS, "all": 0, "5+": 5, "4+": 4, "3+": 3}[stages]
    return {path for path in paths if (stage_of(path) or _HEADS) >= first}


def freeze_batch_norm(stages: str, network) -> int:
    """Freeze the live norms of the layers outside some stages; return their number.

    Their statistics would otherwise move with every batch, though none of their weights is trained.
    """
    frozen = 0
    for layer in network._flatten_layers(include_self=False):
        norm = getattr(layer, "norm", None)
        if norm is None or norm.kind == "group" or not norm.live:
            continue
        owner = getattr(layer, "norm_layer", layer)  # a dense block's norm is a layer of its own
        if not trainable_paths(stages, [path_of(owner.moving_mean)]):
            layer.norm, frozen = norm._replace(live=False), frozen + 1
    return frozen
