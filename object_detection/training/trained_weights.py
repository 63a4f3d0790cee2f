"""Which of a network's weights a config trains.

TFOD 1.x searches its variables' names for the patterns (`re.search`, anywhere in a name), and TFOD
2.8 ignores both fields without a word. Here they work for both, by TFOD's names and by our own.
"""

import difflib
import re
from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf
from absl import logging

from object_detection.checkpoints.variables import names_of, path_of
from object_detection.training import layer_groups

_SHOWN = 3  # names in a line of the log


class _Hits(NamedTuple):
    """What a pattern matches."""

    names: Mapping[str, str]  # path of a weight -> the name that matched
    any_variable: bool  # whether it matches at least what is never trained


def choose(network, *, only=(), freeze=(), group="all") -> dict[str, tf.Variable]:
    """Path -> variable of the weights to train.

    Args:
        network: its trainable variables are what there is to choose from.
        only: patterns (train_config.update_trainable_variables); with any, a weight must match one.
        freeze: patterns (train_config.freeze_variables); a weight that matches one stays as it is.
            A pattern is a regular expression that is searched for in the names of one kind: the
            first of TFOD 1.x's, TFOD 2.x's, TFOD 2.x's checkpoint keys and our paths that has a
            match, so that it means what it meant in TFOD.
        group: one of `layer_groups.GROUPS` (--train_layers), of which a weight must be besides.

    Raises:
        ValueError: a pattern matches nothing or is no regular expression, there is no such group,
            or no weight is left.
    """
    weights = {path_of(variable): variable.value for variable in network.trainable_variables}
    tables = _tables(network)
    updated = _matched("update_trainable_variables", only, weights, tables)
    frozen = _matched("freeze_variables", freeze, weights, tables)
    grouped = layer_groups.members(group, weights)
    chosen = {
        path: weight
        for path, weight in weights.items()
        if (not only or path in updated) and path not in frozen and path in grouped
    }
    if not chosen:
        fields = [("update_trainable_variables", only), ("freeze_variables", freeze)]
        named = [f"train_config.{field}" for field, patterns in fields if patterns]
        named = " and ".join(named + [f"--train_layers={group}"] * (group != "all"))
        raise ValueError(f"{named or 'The model'} leaves no weight to train.")
    logging.info(
        "Training %d of %d weights: %s of %s parameters.",
        len(chosen),
        len(weights),
        f"{_size(chosen.values()):,}",
        f"{_size(variable.value for variable in network.variables):,}",
    )
    return chosen


def _tables(network) -> list[dict[str, str]]:
    """Path -> name, for each kind of names that the whole network has."""
    names = names_of(network)
    paths = {path: path for path in names.paths}
    tables = (names.scopes, names.variables, names.keys, paths)
    return [table for table in tables if table.keys() == paths.keys()]


def _matched(field, patterns, weights, tables) -> set[str]:
    """Paths of the weights that one of a field's patterns matches; tells which."""
    matched: set[str] = set()
    for pattern in patterns:
        hits = _search(field, pattern, weights, tables)
        if not hits.any_variable:
            raise ValueError(_no_match(field, pattern, tables))
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
        raise ValueError(
            f"train_config.{field}: {pattern!r} is no regular expression: {error}."
        ) from error
    any_variable = False
    for table in tables:
        found = {path: name for path, name in table.items() if expression.search(name)}
        any_variable = any_variable or bool(found)
        trained = {path: name for path, name in found.items() if path in weights}
        if trained:
            return _Hits(trained, True)
    return _Hits({}, any_variable)


def _no_match(field, pattern, tables) -> str:
    """What to say of a pattern that matches nothing: the names most like it."""
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
