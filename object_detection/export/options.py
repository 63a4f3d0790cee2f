"""What can be asked of an export beside TFOD's own, and what a config and its label map allow."""

import difflib
from typing import NamedTuple

from object_detection.utils import label_map_util

MASK_FORMS = ("box", "image", "rle", "none")
PRECISIONS = ("float32", "bfloat16", "auto")


class ExportOptions(NamedTuple):
    """The choices of an export; without any the signature is TFOD's."""

    input_type: str = "image_tensor"  # a key of `serving.INPUT_TYPES`
    raw: bool = False  # TFOD's internal tensors come out too
    masks: str = "box"  # one of MASK_FORMS
    score_threshold: float | None = None  # detections at or below are left out; None: the config's
    max_detections: int | None = None  # of an image; None: the config's
    classes: tuple = ()  # ids or names of the only classes that are detected; none: all
    precision: str = "float32"  # one of PRECISIONS
    optimize: bool = False  # norms folded into the convolutions
    verify: bool = True  # compare the written model with the checkpoint's before it is kept
    test_image: str | None = None  # file of the image that it is verified with; None: a drawn one


def check(options, model_config):
    """Raises ValueError where the options do not fit each other or the model.

    Args:
        options: `ExportOptions`.
        model_config: a DetectionModel message of a Faster R-CNN.
    """
    if options.masks not in MASK_FORMS:
        raise ValueError(f"masks is {options.masks!r}; allowed are {', '.join(MASK_FORMS)}")
    if options.precision not in PRECISIONS:
        raise ValueError(f"precision is {options.precision!r}; allowed are {', '.join(PRECISIONS)}")
    stages = model_config.faster_rcnn.number_of_stages
    if options.masks in ("image", "rle") and stages < 3:
        raise ValueError(
            f"masks is {options.masks!r}, but the model has no masks (number_of_stages is {stages})"
        )
    if options.classes and stages < 2:
        raise ValueError("classes are chosen, but a model of one stage knows none")
    threshold, most = options.score_threshold, options.max_detections
    if threshold is not None and not 0 <= threshold < 1:
        raise ValueError(f"score_threshold is {threshold}; allowed are 0 up to below 1")
    if most is not None and most < 1:
        raise ValueError(f"max_detections is {most}; at least 1")


def class_ids(chosen, num_classes, label_map):
    """The ids of classes that are named by id or by name, in ascending order.

    Args:
        chosen: ids, or names or display names of the label map, as texts or ints.
        num_classes: of the model.
        label_map: path of the label map, or None.

    Raises:
        ValueError: a name that is not there, or an id that the model has not got.
    """
    items = label_map_util.load_labelmap(str(label_map)).item if label_map else []
    ids = {name: item.id for item in items for name in (item.name, item.display_name) if name}
    found = set()
    for text in map(str, chosen):
        label = ids.get(text, int(text) if text.isdigit() else None)
        if label is None:
            near = difflib.get_close_matches(text, ids, n=1)
            where = f"the label map {label_map}" if label_map else "no label map, so only ids count"
            hint = f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(ids)}"
            raise ValueError(f"classes: {text!r} is not in {where}{hint if ids else ''}")
        if not 1 <= label <= num_classes:
            raise ValueError(
                f"classes: {text!r} is class {label}; the model has 1 to {num_classes}"
            )
        found.add(label)
    return tuple(sorted(found))


def changes_the_network(options):
    """Whether an export computes anything else than the checkpoint's model."""
    untouched = ExportOptions()
    changing = ("score_threshold", "max_detections", "classes", "precision", "optimize")
    changed = [name for name in changing if getattr(options, name) != getattr(untouched, name)]
    return bool(changed) or options.masks == "none"


def narrow(network, options, ids):
    """Lets a network find no more than the options ask for; what is not asked for is not computed.

    Its remaining detections are those that it would find otherwise.

    Args:
        network: `FasterRCNN`.
        options: `ExportOptions`.
        ids: the chosen classes, or () for all.
    """
    if options.masks == "none":
        network.mask_stage = None
    threshold, most = options.score_threshold, options.max_detections
    if threshold is None and most is None and not ids:
        return
    if network.roi_stage is None:
        rpn = network.rpn
        rpn.settings = rpn.settings._replace(
            nms_score_threshold=max(threshold or 0.0, rpn.settings.nms_score_threshold),
            max_proposals=min(most or rpn.settings.max_proposals, rpn.settings.max_proposals),
        )
        return
    stage = network.roi_stage
    settings = stage.detection
    stage.detection = settings._replace(
        score_threshold=max(threshold or 0.0, settings.score_threshold),
        max_total=min(most or settings.max_total, settings.max_total),
        classes=ids,
    )
