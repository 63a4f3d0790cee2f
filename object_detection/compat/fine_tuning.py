"""Where a new training's weights come from: TFOD's fine_tune_checkpoint fields, and what they mean.

`fine_tune_checkpoint_type` says which part of the model to take, in the words of TFOD 2.x; without
it `from_detection_checkpoint` does, and `load_all_detection_checkpoint_vars` widens `detection` to
everything that fits. What kind of file there is, the file itself says: a field that contradicts it
is corrected and named in one warning, where TFOD ended in an AttributeError or restored nothing.
"""

from typing import NamedTuple

from absl import logging

from object_detection.compat import checkpoint_kinds
from object_detection.compat.checkpoint_files import open_stored
from object_detection.compat.checkpoint_reader import TYPES, RestoreReport, restore_stored

# Words that TFOD has for other models (CenterNet, SSD), and what comes nearest here.
OTHER_WORDS = {"fine_tune": "detection", "feature_extractor": "classification"}
_V1, _V2 = 1, 2  # CheckpointVersion
_FIELD = "train_config.fine_tune_checkpoint"


class Choice(NamedTuple):
    """Which part of a file is restored, and what was corrected for it."""

    checkpoint_type: str
    corrections: tuple[str, ...]  # "field is value, but ...: what is done"


def restore(network, train_config) -> RestoreReport:
    """Gives a network its weights from `train_config.fine_tune_checkpoint`, as far as they fit.

    Heads for another number of classes stay as initialized; with `fine_tune_new_classes` those for
    the same number too, for these may be other classes. Averages are not taken: training goes
    on from the weights, as in TFOD.

    Args:
        network: `FasterRCNN`.
        train_config: a TrainConfig message with a fine_tune_checkpoint.

    Raises:
        CheckpointError: see `checkpoint_reader.restore`.
    """
    with open_stored(train_config.fine_tune_checkpoint) as stored:
        choice = choose(train_config, stored)
        if choice.corrections:
            logging.warning("%s", "; ".join(choice.corrections))
        anew = _layers_of_classes(network) if train_config.fine_tune_new_classes else []
        initial = [(v, v.numpy()) for layer in anew for v in layer.variables]
        report = restore_stored(
            network, stored, checkpoint_type=choice.checkpoint_type, partial=True
        )
        for variable, value in initial:
            variable.assign(value)
        if initial:
            names = ", ".join(sorted(variable.path for variable, _ in initial))
            logging.info("fine_tune_new_classes: these start anew: %s", names)
        return report


def _layers_of_classes(network):
    """The layers whose outputs are those of the classes."""
    layers = []
    if network.roi_stage is not None:
        head = network.roi_stage.head
        layers = [head.classes, head.boxes] if head.num_boxes > 1 else [head.classes]
    if network.mask_stage is not None:
        layers.append(network.mask_stage.head.last)
    return layers


def choose(train_config, stored) -> Choice:
    """What to restore from a file, by the config's words and the file's kind."""
    wish, said = _wish(train_config)
    corrections = []
    word = OTHER_WORDS.get(wish, wish)
    everything = train_config.load_all_detection_checkpoint_vars
    if checkpoint_kinds.is_classifier(stored):
        kind = "classification"
        if word != kind:
            corrections.append(
                f"{said}, but {stored.path} holds a classifier only: its network is restored, as "
                f"with 'classification', and the rest of the model starts anew"
            )
        elif word != wish:
            corrections.append(f"{said}, a word for other models: restored as '{word}'")
        return Choice(kind, tuple(corrections + _version(train_config, stored)))
    kind = "full" if everything and word != "full" else word
    if word == "classification" or word not in TYPES:
        kind = "full" if everything else "detection"
        what = "everything that fits" if everything else "its feature extractors"
        corrections.append(
            f"{said}, but {stored.path} is a detection checkpoint: {what} restored, as with "
            f"'{kind}'"
        )
    elif word != wish:
        corrections.append(f"{said}, a word for other models: restored as '{kind}'")
    return Choice(kind, tuple(corrections + _version(train_config, stored)))


def _wish(train_config):
    """What the config asks for, and the words that name the field."""
    if train_config.fine_tune_checkpoint_type:
        wish = train_config.fine_tune_checkpoint_type
        return wish, f"{_FIELD}_type is '{wish}'"
    if train_config.from_detection_checkpoint:
        return "detection", "train_config.from_detection_checkpoint is true"
    return "classification", (
        f"{_FIELD}_type is '' and from_detection_checkpoint false, which means a classifier"
    )


def _version(train_config, stored):
    """Only a version that was written down can contradict: V1 is the field's default."""
    if stored.kind == "keras" or not train_config.HasField("fine_tune_checkpoint_version"):
        return []
    given = train_config.fine_tune_checkpoint_version
    object_based = stored.kind in ("ours", "tf2")
    if given == (_V2 if object_based else _V1) or given not in (_V1, _V2):
        return []
    found = "an object-based checkpoint (V2)" if object_based else "a name-based one (V1)"
    return [f"{_FIELD}_version is V{given}, but {stored.path} is {found}: read as what it is"]
