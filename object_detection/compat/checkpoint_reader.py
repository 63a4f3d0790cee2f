"""The one door to stored weights: recognizes them, gives them to a network, and says what it did.

What a path may be is `checkpoint_files`' matter, whose names a file has `checkpoint_kinds`'.
"""

import re
from collections import Counter
from typing import NamedTuple

from absl import logging

from object_detection.compat import checkpoint_kinds
from object_detection.compat.checkpoint_files import open_stored
from object_detection.compat.checkpoint_map import variables_by_path
from object_detection.compat.tf1_names import NETWORKS
from object_detection.errors import CheckpointError

__all__ = ["CheckpointError", "RestoreReport", "TYPES", "restore", "restore_stored"]

TYPES = ("full", "detection", "classification")
_NETWORK = re.compile(
    rf"(backbone/(resnet|{'|'.join(NETWORKS)})|roi_stage/(conv\d|"
    rf"{'|'.join(NETWORKS)}))/"
)
_SHOWN = 8  # names of a list in the log; the report has them all


class RestoreReport(NamedTuple):
    """What a restore did with each variable of the model, and with each entry of the file."""

    path: str
    kind: str  # one of checkpoint_kinds.KINDS
    restored: tuple[str, ...]
    not_asked: tuple[str, ...]  # outside the checkpoint type
    missing: tuple[str, ...]  # not in the file
    mismatched: tuple[str, ...]  # "path: model [..], file [..]"
    unused: tuple[str, ...] = ()  # entries of the file that went nowhere
    notes: tuple[str, ...] = ()  # what else is good to know, sentences

    def summary(self):
        """A few lines for the log."""
        lines = [
            f"restored {len(self.restored)} variables from {self.path} "
            f"({checkpoint_kinds.WORDS[self.kind]}); "
            f"{len(self.not_asked)} not asked for, {len(self.missing)} not in the file, "
            f"{len(self.mismatched)} of another shape"
        ]
        if self.restored:
            lines.append(f"  restored: {_grouped(self.restored)}")
        if self.not_asked:
            lines.append(f"  not asked for: {_grouped(self.not_asked)}")
        if self.missing:
            lines.append(f"  kept as initialized, not in the file: {_grouped(self.missing)}")
        lines += [f"  kept as initialized, {line}" for line in self.mismatched[:_SHOWN]]
        if len(self.mismatched) > _SHOWN:
            rest = _grouped(line.split(":")[0] for line in self.mismatched[_SHOWN:])
            lines.append(f"  ... and {len(self.mismatched) - _SHOWN} more of another shape: {rest}")
        for reason, names in self.unused_by_reason().items():
            lines.append(f"  unused in the file, {reason}: {_grouped(names)}")
        return "\n".join(lines + [f"  {note}" for note in self.notes])

    def unused_by_reason(self):
        """{reason: names of entries of the file that went nowhere}."""
        reasons = {}
        for name in self.unused:
            reasons.setdefault(checkpoint_kinds.why_unused(name), []).append(name)
        return reasons


def restore(network, path, *, checkpoint_type="full", partial=False, moving_averages=False):
    """Gives the variables of a network their values from whatever weights a path means.

    Args:
        network: `FasterRCNN`.
        path: see `checkpoint_files.open_stored`.
        checkpoint_type: "full" (the whole model), "detection" (both feature extractors) or
            "classification" (their base network, which classifiers share).
        partial: whether variables that are missing or of another shape may stay as they are.
        moving_averages: take the moving averages where the file keeps them beside the weights.

    Returns:
        `RestoreReport`.

    Raises:
        CheckpointError: nothing readable at `path`, an unknown type, nothing that fits, averages
            that a training did not keep, or, without `partial`, a variable that is missing or of
            another shape. No variable has been changed then.
    """
    if checkpoint_type not in TYPES:
        raise CheckpointError(
            f"fine_tune_checkpoint_type is '{checkpoint_type}'; allowed: {', '.join(TYPES)}"
        )
    with open_stored(path) as stored:
        return restore_stored(
            network,
            stored,
            checkpoint_type=checkpoint_type,
            partial=partial,
            moving_averages=moving_averages,
        )


def restore_stored(
    network, stored, *, checkpoint_type="full", partial=False, moving_averages=False
):
    """`restore` from a `Stored` that is open."""
    variables = variables_by_path(network)
    entries = checkpoint_kinds.entries_for(stored, network, list(variables))
    sources, report = _compared(variables, entries, stored, checkpoint_type)
    if not report.restored or (not partial and (report.missing or report.mismatched)):
        raise CheckpointError(
            f"{stored.path} does not fit this model{_hint(stored, variables)}\n{report.summary()}"
        )
    _check_backbone(stored, variables, report)
    averages = _averages(stored, network) if moving_averages else {}
    for path, entry in sources.items():
        value = _value(stored, entry._replace(name=averages.get(path, entry.name)))
        variables[path].assign(value.astype(variables[path].dtype))
    return report


def _compared(variables, entries, stored, checkpoint_type):
    """What can be restored, {path: Entry}, and the report."""
    sources, not_asked, missing, mismatched = {}, [], [], []
    for path, variable in variables.items():
        entry = entries.get(path)
        if not _asked_for(path, checkpoint_type):
            not_asked.append(path)
        elif entry is None or entry.name not in stored.shapes:
            missing.append(path)
        elif list(variable.shape) != stored.shapes[entry.name]:
            shapes = f"model {list(variable.shape)}, file {stored.shapes[entry.name]}"
            mismatched.append(f"{path}: {shapes}")
        else:
            sources[path] = entry
    # What the model has a name for is spoken of there, whatever became of it.
    known = {entry.name for entry in entries.values()} | {e.minus for e in entries.values()}
    notes = ()
    if any(entry.minus for entry in sources.values()):
        notes = (
            "A ResNet of Keras applications: its biases were taken into the norms and its first "
            "convolution turned from blue-green-red to red-green-blue.",
        )
    return sources, RestoreReport(
        stored.path,
        stored.kind,
        tuple(sources),
        tuple(not_asked),
        tuple(missing),
        tuple(mismatched),
        tuple(name for name in stored.shapes if name not in known),
        notes,
    )


def _value(stored, entry):
    value = stored.read(entry.name)
    if entry.flip_input:
        value = value[:, :, ::-1]
    if entry.minus:
        value = value - stored.read(entry.minus)
    return value


def _averages(stored, network):
    """{path: name of its average}; weights that are not trained have none.

    Raises:
        CheckpointError: a training's checkpoint without any.
    """
    found = checkpoint_kinds.averages_in(stored, network)
    if found:
        return found
    if checkpoint_kinds.is_of_training(stored.shapes):
        raise CheckpointError(
            f"eval_config.use_moving_averages is true, but {stored.path} holds no averages: it was "
            "trained with train_config.optimizer.use_moving_average: false, or by another program."
        )
    if stored.form != "frozen_graph":
        logging.warning(
            "eval_config.use_moving_averages is true, and %s holds one value for each weight: it "
            "is taken for what was exported, averages or not.",
            stored.path,
        )
    return {}


def _asked_for(path, checkpoint_type):
    """TFOD: `detection` restores both feature extractors, `classification` their base network."""
    if checkpoint_type == "full":
        return True
    if checkpoint_type == "classification":
        return bool(_NETWORK.match(path))
    return path.startswith(("backbone/", "roi_stage/")) and not path.startswith("roi_stage/head/")


def _check_backbone(stored, variables, report):
    """Raises where a file has the heads' names, but another backbone's.

    RPN and heads are named alike in all of TFOD's models; without its backbone they are nothing.
    """
    asked = [path for path in variables if path.startswith("backbone/")]
    asked = set(asked) - set(report.not_asked)
    fitting = asked & set(report.restored)
    if asked and 2 * len(fitting) < len(asked):
        raise CheckpointError(
            f"{stored.path} is of another backbone than this model's: {len(fitting)} of its "
            f"{len(asked)} variables fit{_hint(stored, variables)}\n{report.summary()}"
        )


def _hint(stored, variables):
    """What the file seems to be of and what the model is, where they are of two worlds."""
    if all(checkpoint_kinds.why_unused(name) == "counters" for name in stored.shapes):
        return ". It holds no model at all: TFOD's training saves its first checkpoint before one"
    scopes = Counter(
        name.removeprefix("FirstStageFeatureExtractor/").split("/")[0] for name in stored.shapes
    )
    names = [own for own, scope in NETWORKS.items() if scope in scopes]
    ours = {path.split("/")[1] for path in variables if path.startswith("backbone/")}
    if stored.kind in ("tf1", "slim"):
        if names and not ours & set(names):
            name = names[0].replace("_v1_", "")
            return f". The file holds {names[0]}; feature_extractor.type: 'faster_rcnn_{name}' fits"
        if not names:
            first = ", ".join(sorted(scopes)[:4])
            return f". The file's names begin with {first}: no Faster or Mask R-CNN of TFOD's"
    elif ours & set(NETWORKS):
        return (
            ". The file holds a network of TFOD 2.x or Keras; feature_extractor.type needs the "
            "ending '_keras' for it"
        )
    return ""


def _grouped(names):
    """'backbone/resnet 265, rpn/head 6' of many names."""
    counts = Counter(_scope(name) for name in names)
    shown = [f"{scope} {count}" for scope, count in list(counts.items())[:_SHOWN]]
    return ", ".join(shown) + (", ..." if len(counts) > _SHOWN else "")


def _scope(name):
    parts = name.replace("..", "/").split("/.ATTR")[0].split("/.OPT")[0].split("/")
    scope = "/".join(parts[:-1][:2]) or parts[0]
    return re.sub(r"/(lateral|smoothing|coarse)\d$", r"/\1", scope)  # the levels of a pyramid
