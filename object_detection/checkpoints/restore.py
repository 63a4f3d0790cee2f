"""Restores a model from any supported checkpoint format and reports what was restored.

Export, evaluation, prediction and fine-tuning call `restore` or `restore_for_fine_tuning`; a run
that resumes (`manager`) uses the same `plan_restore` and `assign`.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from absl import logging

from object_detection.checkpoints import formats
from object_detection.checkpoints.names import VariableSource, tfod_tf1, training_state
from object_detection.checkpoints.open import StoredCheckpoint, open_checkpoint
from object_detection.checkpoints.variables import names_of, variables_by_path
from object_detection.errors import CheckpointError

TYPES = ("full", "detection", "classification")
# Words that TFOD has for other models (CenterNet, SSD), and what comes nearest here.
OTHER_WORDS = {"fine_tune": "detection", "feature_extractor": "classification"}

_NETWORK = re.compile(
    rf"(backbone/(resnet|{'|'.join(tfod_tf1.NETWORKS)})|roi_stage/(conv\d|"
    rf"{'|'.join(tfod_tf1.NETWORKS)}))/"
)
_SHOWN = 8  # names of a list in the log; the report has them all
_FIELD = "train_config.fine_tune_checkpoint"


class RestoreReport(NamedTuple):
    """What a restore did with each variable of the model, and with each entry of the file."""

    path: str
    family: str  # name of a `formats.Family`
    description: str  # of the family
    restored: tuple[str, ...]
    not_requested: tuple[str, ...]  # outside the checkpoint type
    missing: tuple[str, ...]  # not in the file
    mismatched: tuple[str, ...]  # "path: model [..], file [..]"
    unused: tuple[str, ...] = ()  # entries of the file that were not used
    notes: tuple[str, ...] = ()  # further remarks, sentences

    def summary(self) -> str:
        """Return a few lines for the log."""
        lines = [
            f"restored {len(self.restored)} variables from {self.path} ({self.description}); "
            f"{len(self.not_requested)} not requested, {len(self.missing)} not in the file, "
            f"{len(self.mismatched)} of another shape"
        ]
        if self.restored:
            lines.append(f"  restored: {_grouped(self.restored)}")
        if self.not_requested:
            lines.append(f"  not requested: {_grouped(self.not_requested)}")
        if self.missing:
            lines.append(f"  kept as initialized, not in the file: {_grouped(self.missing)}")
        lines += [f"  kept as initialized, {line}" for line in self.mismatched[:_SHOWN]]
        if len(self.mismatched) > _SHOWN:
            rest = _grouped(line.split(":")[0] for line in self.mismatched[_SHOWN:])
            lines.append(f"  ... and {len(self.mismatched) - _SHOWN} more of another shape: {rest}")
        for reason, names in self.unused_by_reason().items():
            lines.append(f"  unused in the file, {reason}: {_grouped(names)}")
        return "\n".join(lines + [f"  {note}" for note in self.notes])

    def unused_by_reason(self) -> dict[str, list[str]]:
        """Return {reason: names of entries of the file that were not used}."""
        reasons: dict[str, list[str]] = {}
        for name in self.unused:
            reasons.setdefault(formats.reason_unused(name), []).append(name)
        return reasons


class RestorePlan(NamedTuple):
    """Which variables a file has values for."""

    sources: dict[str, VariableSource]  # of those that can be restored
    missing: list[str]  # not in the file
    mismatched: dict[str, list[int]]  # another shape in the file: that shape


def plan_restore(
    variables: Mapping, sources: Mapping[str, VariableSource], shapes: Mapping[str, list[int]]
) -> RestorePlan:
    """Compare variables with what a file has for them.

    Args:
        variables: path or key -> variable.
        sources: path or key -> where its value would be.
        shapes: of the file, name -> list of int.
    """
    plan = RestorePlan({}, [], {})
    for path, variable in variables.items():
        source = sources.get(path)
        if source is None or source.name not in shapes:
            plan.missing.append(path)
            continue
        shape = shapes[source.name]
        if source.axes is not None and len(source.axes) == len(shape):
            shape = [shape[axis] for axis in source.axes]
        if list(variable.shape) == shape:
            plan.sources[path] = source
        else:
            plan.mismatched[path] = shape
    return plan


def assign(variables: Mapping, values: Mapping[str, np.ndarray] | Iterator) -> None:
    """Assign values to variables: the only place where a restore changes a model.

    Args:
        variables: path or key -> variable.
        values: path or key -> value, or pairs of them that are read one at a time.
    """
    for path, value in values.items() if isinstance(values, Mapping) else values:
        variables[path].assign(value)


def values_of(
    checkpoint: StoredCheckpoint, sources: Mapping[str, VariableSource]
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (path or key, value as our network has it), one at a time in memory.

    Raises:
        DamagedCheckpointError: a value cannot be read.
    """
    for path, source in sources.items():
        value = checkpoint.read(source.name)
        if source.axes is not None:
            value = value.transpose(source.axes)
        if source.flip_input:
            value = value[:, :, ::-1]
        if source.subtract:
            value = value - checkpoint.read(source.subtract)
        yield path, value


def restore(
    network,
    path,
    *,
    checkpoint_type: str = "full",
    partial: bool = False,
    moving_averages: bool = False,
) -> RestoreReport:
    """Restore the variables of a network from whatever weights a path refers to.

    Args:
        network: `FasterRCNN`.
        path: see `open.open_checkpoint`.
        checkpoint_type: "full" (the whole model), "detection" (both feature extractors) or
            "classification" (their base network, which classifiers share).
        partial: whether variables that are missing or of another shape may keep their values.
        moving_averages: take the moving averages where the file has them besides the weights.

    Raises:
        CheckpointError: nothing readable at `path`, an unknown type, nothing that fits, averages
            that a training did not keep, or, without `partial`, a variable that is missing or of
            another shape. No variable has been changed then.
    """
    if checkpoint_type not in TYPES:
        raise CheckpointError(f"{_FIELD}_type is '{checkpoint_type}'; allowed: {', '.join(TYPES)}")
    with open_checkpoint(path) as checkpoint:
        return restore_opened(
            network,
            checkpoint,
            checkpoint_type=checkpoint_type,
            partial=partial,
            moving_averages=moving_averages,
        )


def restore_opened(
    network,
    checkpoint: StoredCheckpoint,
    *,
    checkpoint_type: str = "full",
    partial: bool = False,
    moving_averages: bool = False,
) -> RestoreReport:
    """Restore as `restore` does, from a checkpoint that is open."""
    variables = variables_by_path(network)
    naming = formats.naming_of(checkpoint, network, list(variables))
    return _restore_named(
        network,
        variables,
        checkpoint,
        naming,
        checkpoint_type=checkpoint_type,
        partial=partial,
        moving_averages=moving_averages,
    )


def _restore_named(
    network, variables, checkpoint, naming, *, checkpoint_type, partial, moving_averages=False
):
    plan, report = _plan_and_report(variables, naming, checkpoint, checkpoint_type)
    if not report.restored or (not partial and (report.missing or report.mismatched)):
        hint = _hint(checkpoint, naming.family, variables)
        raise CheckpointError(
            f"{checkpoint.path} does not fit this model{hint}\n{report.summary()}"
        )
    _check_backbone(checkpoint, naming.family, variables, report)
    planned = plan.sources
    if moving_averages:
        averages = _averages(checkpoint, network)
        planned = {
            path: source._replace(name=averages.get(path, source.name))
            for path, source in planned.items()
        }
    values = values_of(checkpoint, planned)
    assign(variables, ((path, value.astype(variables[path].dtype)) for path, value in values))
    return report


def restore_for_fine_tuning(network, train_config) -> RestoreReport:
    """Restore a network from `train_config.fine_tune_checkpoint`, as far as it fits.

    `fine_tune_checkpoint_type` says which part of the model to take, in the words of TFOD 2.x;
    without it `from_detection_checkpoint` does, and `load_all_detection_checkpoint_vars` widens
    `detection` to everything that fits. The file itself determines what kind it is: a field that
    contradicts it is corrected and named in one warning, where TFOD ended in an AttributeError or
    restored nothing.

    Heads for another number of classes stay as initialized; with `fine_tune_new_classes` also those
    for the same number, which may be other classes. Averages are not taken: training continues
    from the weights, as in TFOD.

    Args:
        network: `FasterRCNN`.
        train_config: a TrainConfig message with a fine_tune_checkpoint.

    Raises:
        CheckpointError: see `restore`.
    """
    with open_checkpoint(train_config.fine_tune_checkpoint) as checkpoint:
        variables = variables_by_path(network)
        naming = formats.naming_of(checkpoint, network, list(variables))
        checkpoint_type, corrections = choose_type(train_config, checkpoint.path, naming)
        if corrections:
            logging.warning("%s", "; ".join(corrections))
        new_layers = _layers_of_classes(network) if train_config.fine_tune_new_classes else []
        initial = [(v, v.numpy()) for layer in new_layers for v in layer.variables]
        report = _restore_named(
            network, variables, checkpoint, naming, checkpoint_type=checkpoint_type, partial=True
        )
        for variable, value in initial:
            variable.assign(value)
        if initial:
            names = ", ".join(sorted(variable.path for variable, _ in initial))
            logging.info("fine_tune_new_classes: these variables start anew: %s", names)
        return report


def choose_type(train_config, path: str, naming: formats.Naming) -> tuple[str, tuple[str, ...]]:
    """Return the checkpoint type to restore, and what was corrected for it.

    A correction reads "field is value, but ...: what is done".
    """
    requested, source = _requested_type(train_config)
    corrections = []
    word = OTHER_WORDS.get(requested, requested)
    everything = train_config.load_all_detection_checkpoint_vars
    if naming.is_classifier:
        selected = "classification"
        if word != selected:
            corrections.append(
                f"{source}, but {path} holds a classifier only: its network is "
                "restored, as with 'classification', and the rest of the model starts anew"
            )
        elif word != requested:
            corrections.append(f"{source}, a word for other models: restored as '{word}'")
        return selected, tuple(corrections + _version(train_config, path, naming.family))
    selected = "full" if everything and word != "full" else word
    if word == "classification" or word not in TYPES:
        selected = "full" if everything else "detection"
        what = "everything that fits" if everything else "its feature extractors"
        corrections.append(
            f"{source}, but {path} is a detection checkpoint: {what} restored, as with '{selected}'"
        )
    elif word != requested:
        corrections.append(f"{source}, a word for other models: restored as '{selected}'")
    return selected, tuple(corrections + _version(train_config, path, naming.family))


def _requested_type(train_config):
    """What the config requests, and the words that name the field."""
    if train_config.fine_tune_checkpoint_type:
        requested = train_config.fine_tune_checkpoint_type
        return requested, f"{_FIELD}_type is '{requested}'"
    if train_config.from_detection_checkpoint:
        return "detection", "train_config.from_detection_checkpoint is true"
    return "classification", (
        f"{_FIELD}_type is '' and from_detection_checkpoint false, which means a classifier"
    )


def _version(train_config, path, family):
    """Only a version that was written down can contradict: V1 is the field's default."""
    if not family.version or not train_config.HasField("fine_tune_checkpoint_version"):
        return []
    version = train_config.fine_tune_checkpoint_version
    if version == family.version or version not in (1, 2):
        return []
    actual = "an object-based checkpoint (V2)" if family.version == 2 else "a name-based one (V1)"
    return [f"{_FIELD}_version is V{version}, but {path} is {actual}: read as what it is"]


def _layers_of_classes(network):
    """The layers whose outputs are those of the classes."""
    layers = []
    if network.roi_stage is not None:
        head = network.roi_stage.head
        layers = [head.classes, head.boxes] if head.num_boxes > 1 else [head.classes]
    if network.mask_stage is not None:
        layers.append(network.mask_stage.head.last)
    return layers


def _plan_and_report(variables, naming, checkpoint, checkpoint_type):
    sources, family = naming.sources, naming.family
    requested = {p: v for p, v in variables.items() if _is_requested(p, checkpoint_type)}
    plan = plan_restore(requested, sources, checkpoint.shapes)
    mismatched = [
        f"{path}: model {list(variables[path].shape)}, file {shape}"
        for path, shape in plan.mismatched.items()
    ]
    # What the model has a name for is not listed as unused, even if it was not restored.
    known = {source.name for source in sources.values()}
    known |= {source.subtract for source in sources.values()}
    notes = ()
    if any(source.subtract for source in plan.sources.values()):
        notes = (
            "A ResNet of Keras applications: its biases were taken into the norms and its first "
            "convolution turned from blue-green-red to red-green-blue.",
        )
    return plan, RestoreReport(
        checkpoint.path,
        family.name,
        family.description,
        restored=tuple(plan.sources),
        not_requested=tuple(path for path in variables if path not in requested),
        missing=tuple(plan.missing),
        mismatched=tuple(mismatched),
        unused=tuple(name for name in checkpoint.shapes if name not in known),
        notes=notes,
    )


def _averages(checkpoint, network):
    """{path: name of its average}; weights that are not trained have none.

    Raises:
        CheckpointError: a training's checkpoint without any.
    """
    averages = training_state.find(checkpoint.shapes, names_of(network)).averages
    if averages:
        return averages
    if formats.is_of_training(checkpoint.shapes):
        raise CheckpointError(
            f"eval_config.use_moving_averages is true, but {checkpoint.path} holds no averages: it "
            "was trained with train_config.optimizer.use_moving_average: false, or by another "
            "program."
        )
    if checkpoint.file_format != "frozen_graph":
        logging.warning(
            "eval_config.use_moving_averages is true, and %s holds one value for each weight: it "
            "is taken for what was exported, averages or not.",
            checkpoint.path,
        )
    return {}


def _is_requested(path, checkpoint_type):
    """TFOD: `detection` restores both feature extractors, `classification` their base network."""
    if checkpoint_type == "full":
        return True
    if checkpoint_type == "classification":
        return bool(_NETWORK.match(path))
    return path.startswith(("backbone/", "roi_stage/")) and not path.startswith("roi_stage/head/")


def _check_backbone(checkpoint, family, variables, report):
    """Raise where a file has the heads' names, but another backbone's.

    RPN and heads have the same names in all of TFOD's models; without its backbone they are
    useless.
    """
    requested = {path for path in variables if path.startswith("backbone/")}
    requested -= set(report.not_requested)
    fitting = requested & set(report.restored)
    if requested and 2 * len(fitting) < len(requested):
        raise CheckpointError(
            f"{checkpoint.path} is of another backbone than this model's: {len(fitting)} of its "
            f"{len(requested)} variables fit{_hint(checkpoint, family, variables)}\n"
            f"{report.summary()}"
        )


def _hint(checkpoint, family, variables):
    """What the file seems to be of and what the model is, where these differ."""
    if all(formats.reason_unused(name) == "counters" for name in checkpoint.shapes):
        return ". It holds no model at all: TFOD's training saves its first checkpoint before one"
    scopes = Counter(
        name.removeprefix(tfod_tf1.FIRST_STAGE + "/").split("/")[0] for name in checkpoint.shapes
    )
    names = [own for own, scope in tfod_tf1.NETWORKS.items() if scope in scopes]
    ours = {path.split("/")[1] for path in variables if path.startswith("backbone/")}
    if family.version == 1:
        if names and not ours & set(names):
            name = names[0].replace("_v1_", "")
            return f". The file holds {names[0]}; feature_extractor.type: 'faster_rcnn_{name}' fits"
        if not names:
            first = ", ".join(sorted(scopes)[:4])
            return f". The file's names begin with {first}: no Faster or Mask R-CNN of TFOD's"
    elif ours & set(tfod_tf1.NETWORKS):
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
