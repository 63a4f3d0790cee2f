"""Translation of maskrcnn-benchmark's cfg to weights and a pipeline.config of this project."""

import ast
import logging
import os
import tempfile
from collections.abc import Mapping
from numbers import Real
from pathlib import Path
from typing import NamedTuple

from object_detection.builders import image_resizer_builder
from object_detection.checkpoints import location
from object_detection.config import overrides, pipeline_file
from object_detection.errors import CheckpointError, SettingsError
from object_detection.prediction import loaded_model
from object_detection.prediction.predictor import Predictor

_RCNN = "model.faster_rcnn"
_NMS = f"{_RCNN}.second_stage_post_processing.batch_non_max_suppression"
_FRACTION, _COUNT = "a number from 0 to 1", "a whole number >= 1"
# Key of theirs (maskrcnn-benchmark's, then detectron2's name of the same) -> fields of ours.
KEYS = {
    "MODEL.ROI_HEADS.SCORE_THRESH": (_FRACTION, f"{_NMS}.score_threshold"),
    "MODEL.ROI_HEADS.SCORE_THRESH_TEST": (_FRACTION, f"{_NMS}.score_threshold"),
    "MODEL.ROI_HEADS.NMS": (_FRACTION, f"{_NMS}.iou_threshold"),
    "MODEL.ROI_HEADS.NMS_THRESH_TEST": (_FRACTION, f"{_NMS}.iou_threshold"),
    "MODEL.ROI_HEADS.DETECTIONS_PER_IMG": (
        _COUNT,
        f"{_NMS}.max_total_detections",
        f"{_NMS}.max_detections_per_class",
    ),
    "MODEL.RPN.NMS_THRESH": (_FRACTION, f"{_RCNN}.first_stage_nms_iou_threshold"),
}
SIZES = ("INPUT.MIN_SIZE_TEST", "INPUT.MAX_SIZE_TEST")
WEIGHTS = ("MODEL.WEIGHT", "MODEL.WEIGHTS")
_CONFIGS = (".config", ".pbtxt", ".prototxt")
_FOREIGN = (".pth", ".pt", ".pkl", ".pickle", ".onnx", ".safetensors")

_log = logging.getLogger(__name__)


class Source(NamedTuple):
    """Model source, as described by a cfg."""

    weights: str
    config: str | None = None  # path of a pipeline.config; None: the one next to the weights
    changes: tuple[tuple[str, str], ...] = ()  # key of the cfg, "dotted.path=value"
    sizes: tuple[int, int] | None = None  # shorter side, maximum of the longer side
    with_masks: bool = True
    device: str | None = None


class Opened(NamedTuple):
    """Loaded model."""

    predictor: Predictor
    config: object  # its pipeline.config; None for a SavedModel without one
    num_classes: int | None


def read_cfg(cfg, weight_loading=None) -> Source:
    """Return the `Source` that a cfg describes.

    Args:
        cfg: see `COCODemo`; a `Source` is returned unchanged.
        weight_loading: weights that replace those of the cfg; None: the cfg's.

    Raises:
        SettingsError: not a cfg, values of the wrong kind, or unsupported weights.
    """
    if isinstance(cfg, Source):
        return cfg
    if weight_loading is not None:
        _check_ours(weight_loading, "weight_loading")
    if isinstance(cfg, (str, os.PathLike)):
        return _source_from_path(os.fspath(cfg), weight_loading)
    if _value(cfg, "MODEL") is not None and _value(cfg, "INPUT") is not None:
        return _source_from_object(cfg, weight_loading)
    raise SettingsError(
        "cfg must be the path of a pipeline.config, the folder of an exported model, or an object "
        f"with MODEL and INPUT as in maskrcnn-benchmark; got {type(cfg).__name__}"
    )


def with_options(source, options) -> Source:
    """Return a source with the KEY VALUE options of maskrcnn-benchmark's commands.

    Args:
        source: a `Source`.
        options: KEY, VALUE, KEY, VALUE, ...: keys of theirs (`MODEL.WEIGHT`, `MODEL.DEVICE`,
            `MODEL.MASK_ON`, `SIZES` and `KEYS`), or dotted fields of a pipeline.config.

    Raises:
        SettingsError: a key without a value, an unknown key, or a value of the wrong kind.
    """
    if len(options) % 2:
        raise SettingsError(f"{options[-1]} has no value; write options as KEY VALUE ...")
    known = {*KEYS, *SIZES, *WEIGHTS, "MODEL.DEVICE", "MODEL.MASK_ON"}
    theirs, ours = {"INPUT": {}, "MODEL": {}}, []
    for key, text in zip(options[::2], options[1::2], strict=True):
        if not key.isupper():
            ours.append((key, f"{key}={text}"))
            continue
        if key not in known:
            raise SettingsError(
                f"{key} is not supported; allowed: {', '.join(sorted(known))}, and fields of a "
                "pipeline.config such as model.faster_rcnn.first_stage_max_proposals"
            )
        *groups, name = key.split(".")
        branch = theirs
        for group in groups:
            branch = branch.setdefault(group, {})
        branch[name] = _literal(text)
    if not any(theirs["MODEL"].get(key.partition(".")[2]) for key in WEIGHTS):
        theirs["MODEL"]["WEIGHT"] = source.weights
    parsed = _source_from_object(theirs, None)
    return source._replace(
        weights=parsed.weights,
        changes=(*source.changes, *parsed.changes, *ours),
        sizes=parsed.sizes or source.sizes,
        with_masks=parsed.with_masks,
        device=parsed.device or source.device,
    )


def open_model(source, min_image_size=None) -> Opened:
    """Load the model of a source.

    Args:
        source: `Source`.
        min_image_size: shorter side in pixels of the network's input, which takes precedence over
            the source's; None: the source's, else the model's.

    Raises:
        ObjectDetectionError: no such model, or values that its config does not allow.
    """
    if min_image_size is not None:
        _check(min_image_size, _COUNT, "min_image_size")
    config = _config_of(source)
    folder = loaded_model.find_saved_model(source.weights)
    is_changed = bool(source.changes or source.sizes or min_image_size)
    if folder is not None and source.config is None and (config is None or not is_changed):
        if config is None:
            _warn_of_fixed_settings(source, folder)
        predictor = Predictor(folder, 0.0, None if config else min_image_size)
        return Opened(predictor, config, config and config.model.faster_rcnn.num_classes)
    if config is None:
        raise SettingsError(
            f"there is no {location.CONFIG} with the weights {source.weights}: copy it to their "
            "folder, or pass its path as cfg and the weights as weight_loading"
        )
    _change(config, source, min_image_size)
    label_map = None if folder is None else loaded_model.categories_of(None, folder) or None
    with tempfile.TemporaryDirectory() as written:
        path = pipeline_file.save(config, written)
        predictor = Predictor(source.weights, 0.0, label_map=label_map, pipeline_config=path)
    return Opened(predictor, config, config.model.faster_rcnn.num_classes)


def _source_from_path(path, weight_loading):
    lower = path.lower()
    if lower.endswith((".yaml", ".yml")):
        raise SettingsError(
            f"{path} is a YAML of maskrcnn-benchmark or detectron2, whose networks are not "
            "supported. Pass a pipeline.config or an exported model; to keep its sizes and "
            "thresholds, load the YAML with yacs, set MODEL.WEIGHT to an export of this project "
            "and pass the object"
        )
    if not Path(path).exists():
        raise SettingsError(f"cfg: there is no file or folder {path}")
    if not lower.endswith(_CONFIGS):
        _check_ours(path, "cfg")
        return Source(path if weight_loading is None else os.fspath(weight_loading))
    if weight_loading is not None:
        return Source(os.fspath(weight_loading), path)
    folder = str(Path(path).parent)
    try:
        location.find(folder)
    except CheckpointError:
        raise SettingsError(
            f"{path} is a config without weights next to it: pass them as weight_loading, or pass "
            "the folder of an export or of a training run as cfg"
        ) from None
    return Source(folder, path)


def _source_from_object(cfg, weight_loading):
    if _value(cfg, "MODEL.KEYPOINT_ON"):
        raise SettingsError("MODEL.KEYPOINT_ON is set: models of this project have no keypoints")
    weights, key = weight_loading, "weight_loading"
    for name in WEIGHTS:
        if weights is None and _value(cfg, name):
            weights, key = _value(cfg, name), name
    if weights is None:
        raise SettingsError(
            "MODEL.WEIGHT is empty: set it to an exported model, or to a checkpoint next to its "
            "pipeline.config"
        )
    if not isinstance(weights, (str, os.PathLike)):
        raise SettingsError(f"{key} must be a path, got {weights!r}")
    _check_ours(weights, key)
    return Source(
        os.fspath(weights),
        changes=tuple(_changes(cfg)),
        sizes=_sizes(cfg),
        with_masks=_value(cfg, "MODEL.MASK_ON") is not False,
        device=_device(_value(cfg, "MODEL.DEVICE")),
    )


def _literal(text):
    """Return the number or boolean that a text spells, else the text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _value(cfg, dotted):
    """Return the value at a dotted key of attributes or mappings; None if there is none."""
    for name in dotted.split("."):
        cfg = cfg.get(name) if isinstance(cfg, Mapping) else getattr(cfg, name, None)
    return cfg


def _changes(cfg):
    for key, (kind, *fields) in KEYS.items():
        value = _value(cfg, key)
        if value is not None:
            _check(value, kind, key)
            for field in fields:
                yield key, f"{field}={value}"


def _sizes(cfg):
    shorter, longer = (_value(cfg, key) for key in SIZES)
    for value, key in ((shorter, SIZES[0]), (longer, SIZES[1])):
        if value is not None:
            _check(value, _COUNT, key)
    if shorter is None and longer is None:
        return None
    # If the longer side is the narrower bound, only it has an effect.
    return min(shorter or longer, longer or shorter), longer


def _check(value, kind, key):
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if kind == _COUNT:
        fits = is_number and int(value) == value and value >= 1
    else:
        fits = is_number and 0 <= value <= 1
    if not fits:
        raise SettingsError(f"{key} must be {kind}, got {value!r}")


def _device(name):
    if name is None:
        return None
    kind = str(name).partition(":")[0].lower()
    if kind not in ("cpu", "cuda"):
        raise SettingsError(f"MODEL.DEVICE is {name!r}; allowed: cpu, cuda")
    return kind


def _check_ours(weights, key):
    path = os.fspath(weights)
    if path.startswith("catalog://") or path.lower().endswith(_FOREIGN):
        raise SettingsError(
            f"{key}: {path} are weights of PyTorch or Caffe2, which TensorFlow cannot read. Pass "
            "an exported model, a checkpoint of this project or of TFOD, or an archive of TFOD's "
            "zoo; or train on the same data: docs/first_steps.md"
        )


def _config_of(source):
    if source.config is not None:
        return pipeline_file.load(source.config)
    stored = location.find_config(source.weights)
    return None if stored is None else pipeline_file.parse(stored[1], source=stored[0])


def _change(config, source, min_image_size):
    """Apply the settings of a source to the config."""
    for key, override in source.changes:
        try:
            overrides.apply(config, override)
        except ValueError as error:
            raise SettingsError(f"{key}: {error}") from None
    shorter, longer = source.sizes or (None, None)
    if min_image_size is not None:
        shorter = min(min_image_size, longer or min_image_size)
    if shorter is None:
        return
    if longer is None:
        resizer = image_resizer_builder.build(config.model.faster_rcnn.image_resizer)
        longer = loaded_model.with_shorter_side(resizer, shorter).max_dimension
    kept = config.model.faster_rcnn.image_resizer.keep_aspect_ratio_resizer
    kept.min_dimension, kept.max_dimension = shorter, longer


def _warn_of_fixed_settings(source, folder):
    keys = [key for key, _ in source.changes] + [key for key in SIZES if source.sizes]
    if keys:
        _log.warning(
            "%s has its sizes and thresholds in its graph and no pipeline.config: %s have no "
            "effect.",
            folder,
            ", ".join(keys),
        )
