"""One reader for checkpoints: ours and TFOD's (TF2 object-based, TF1 name-based), told by keys."""

import re
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf

from object_detection.compat.checkpoint_map import variables_by_path
from object_detection.compat.checkpoint_names import SUFFIX, tfod_keys
from object_detection.compat.tf1_names import tf1_names

TYPES = ("full", "detection", "classification")


class CheckpointError(ValueError):
    """A checkpoint that is not there, cannot be read, or does not fit the model."""


class RestoreReport(NamedTuple):
    """What a restore did with each variable of the model."""

    path: str
    kind: str  # "object_detection" (ours), "TFOD (TF2)" or "TFOD (TF1)"
    restored: tuple[str, ...]
    not_asked: tuple[str, ...]  # outside the checkpoint type
    missing: tuple[str, ...]  # not in the file
    mismatched: tuple[str, ...]  # "path: model [..], file [..]"

    def summary(self):
        """A few lines for the log."""
        lines = [
            f"restored {len(self.restored)} variables from {self.path} ({self.kind}); "
            f"{len(self.not_asked)} not asked for, {len(self.missing)} not in the file, "
            f"{len(self.mismatched)} of another shape"
        ]
        lines += [f"  kept as initialized, {line}" for line in self.mismatched]
        lines += [f"  kept as initialized, not in the file: {p}" for p in self.missing[:8]]
        if len(self.missing) > 8:
            lines.append(f"  ... and {len(self.missing) - 8} more that are not in the file")
        return "\n".join(lines)


def restore(network, path, *, checkpoint_type="full", partial=False):
    """Gives the variables of a network their values from a checkpoint.

    Args:
        network: `FasterRCNN`.
        path: a directory with checkpoints (or with `checkpoint/` in it), a prefix, or an .index
            file.
        checkpoint_type: "full" (the whole model), "detection" (both feature extractors) or
            "classification" (the backbone).
        partial: whether variables that are missing or of another shape may stay as they are.

    Returns:
        `RestoreReport`.

    Raises:
        CheckpointError: nothing readable at `path`, an unknown type, nothing that fits, or,
            without `partial`, a variable that is missing or of another shape.
    """
    if checkpoint_type not in TYPES:
        raise CheckpointError(
            f"fine_tune_checkpoint_type is '{checkpoint_type}'; allowed: {', '.join(TYPES)}"
        )
    prefix = find_prefix(path)
    try:
        reader = tf.train.load_checkpoint(prefix)
    except (tf.errors.OpError, ValueError) as error:
        raise CheckpointError(f"{prefix} cannot be read as a checkpoint: {error}") from error
    shapes = reader.get_variable_to_shape_map()
    variables = variables_by_path(network)
    kind, keys = _keys_for(variables, shapes, network)
    report = _assign(variables, keys, reader, shapes, checkpoint_type)
    report = report._replace(path=prefix, kind=kind)
    if not report.restored or (not partial and (report.missing or report.mismatched)):
        raise CheckpointError(f"{prefix} does not fit this model\n{report.summary()}")
    return report


def find_prefix(path):
    """The checkpoint prefix that a user's path means.

    Raises:
        CheckpointError: nothing there; the message says what was looked for.
    """
    path = str(path)
    if path.endswith(".index"):
        path = path.removesuffix(".index")
    if Path(path + ".index").exists():
        return path
    for folder in (Path(path), Path(path) / "checkpoint"):
        if not folder.is_dir():
            continue
        latest = tf.train.latest_checkpoint(str(folder))
        if latest:
            return latest
        found = sorted(folder.glob("*.index"), key=lambda p: _number_in(p.name))
        if found:
            return str(found[-1]).removesuffix(".index")
    raise CheckpointError(
        f"no checkpoint at '{path}': neither '{path}.index' nor a folder with a 'checkpoint' file "
        "or '*.index' in it"
    )


def _number_in(name):
    numbers = re.findall(r"\d+", name)
    return int(numbers[-1]) if numbers else -1


def _keys_for(variables, shapes, network):
    """The kind of file and {our path: its key there}."""
    # A dot of an attribute's name is doubled in a checkpoint's keys.
    ours = {path: f"model/{path.replace('/', '..')}{SUFFIX}" for path in variables}
    if any(key in shapes for key in ours.values()):
        return "object_detection", ours
    if not any(key.endswith(SUFFIX) for key in shapes):
        return "TFOD (TF1)", tf1_names(list(variables))
    dropout = network.roi_stage is not None and bool(network.roi_stage.head.dropout)
    return "TFOD (TF2)", tfod_keys(list(variables), dropout=dropout)


def _assign(variables, keys, reader, shapes, checkpoint_type):
    restored, not_asked, missing, mismatched = [], [], [], []
    for path, variable in variables.items():
        key = keys.get(path)
        if not _asked_for(path, checkpoint_type):
            not_asked.append(path)
        elif key not in shapes:
            missing.append(path)
        elif list(variable.shape) != list(shapes[key]):
            mismatched.append(f"{path}: model {list(variable.shape)}, file {list(shapes[key])}")
        else:
            variable.assign(reader.get_tensor(key))
            restored.append(path)
    return RestoreReport(
        "", "", tuple(restored), tuple(not_asked), tuple(missing), tuple(mismatched)
    )


def _asked_for(path, checkpoint_type):
    """TFOD: `detection` restores both feature extractors, `classification` the backbone."""
    if checkpoint_type == "full":
        return True
    if checkpoint_type == "classification":
        return path.startswith("backbone/resnet/")
    return path.startswith(("backbone/", "roi_stage/")) and not path.startswith("roi_stage/head/")
