"""Export options of our own: their flags, their checks, and their effect on the network."""

import difflib
from typing import NamedTuple

from absl import flags

from object_detection.errors import ExportError
from object_detection.utils import label_map_util

MASK_FORMS = ("box", "image", "rle", "none")
PRECISIONS = ("float32", "bfloat16", "auto")


class ExportOptions(NamedTuple):
    """Options of an export; with the defaults the signature is TFOD's."""

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
    """Check that the options fit each other and the model.

    Args:
        options: `ExportOptions`.
        model_config: a DetectionModel message of a Faster R-CNN.

    Raises:
        ExportError: an option that the model does not allow.
    """
    if options.masks not in MASK_FORMS:
        raise ExportError(f"masks is {options.masks!r}; allowed: {', '.join(MASK_FORMS)}")
    if options.precision not in PRECISIONS:
        raise ExportError(f"precision is {options.precision!r}; allowed: {', '.join(PRECISIONS)}")
    stages = model_config.faster_rcnn.number_of_stages
    if options.masks in ("image", "rle") and stages < 3:
        raise ExportError(
            f"masks is {options.masks!r}, but the model has no masks (number_of_stages is {stages})"
        )
    if options.classes and stages < 2:
        raise ExportError("classes cannot be selected: a model of one stage has no classes")
    threshold, most = options.score_threshold, options.max_detections
    if threshold is not None and not 0 <= threshold < 1:
        raise ExportError(f"score_threshold is {threshold}; allowed: 0 <= score_threshold < 1")
    if most is not None and most < 1:
        raise ExportError(f"max_detections is {most}; allowed: at least 1")


def class_ids(classes, num_classes, label_map):
    """Return the ids of classes given by id or by name, in ascending order.

    Args:
        classes: ids, or names or display names of the label map, as texts or ints.
        num_classes: of the model.
        label_map: path of the label map, or None.

    Raises:
        ExportError: a name that is not in the label map, or an id that the model does not have.
    """
    items = label_map_util.load_labelmap(str(label_map)).item if label_map else []
    ids = {name: item.id for item in items for name in (item.name, item.display_name) if name}
    selected = set()
    for text in map(str, classes):
        label = ids.get(text, int(text) if text.isdigit() else None)
        if label is None:
            near = difflib.get_close_matches(text, ids, n=1)
            where = f"the label map {label_map}" if label_map else "a label map (none: use ids)"
            hint = f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(ids)}"
            raise ExportError(f"classes: {text!r} is not in {where}{hint if ids else ''}")
        if not 1 <= label <= num_classes:
            raise ExportError(
                f"classes: {text!r} is class {label}; the model has 1 to {num_classes}"
            )
        selected.add(label)
    return tuple(sorted(selected))


def changes_the_network(options):
    """Return whether an export computes anything other than the checkpoint's model."""
    untouched = ExportOptions()
    changing = ("score_threshold", "max_detections", "classes", "precision", "optimize")
    changed = [name for name in changing if getattr(options, name) != getattr(untouched, name)]
    return bool(changed) or options.masks == "none"


def narrow(network, options, ids):
    """Limit a network to the detections that the options keep; nothing else is computed.

    The remaining detections are the same as without the options.

    Args:
        network: `FasterRCNN`.
        options: `ExportOptions`.
        ids: the selected classes, or () for all.
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


SIDE_INPUTS = ("side_input_shapes", "side_input_types", "side_input_names")


def define_flags(values=flags.FLAGS):
    """Define the flags that both export commands have, in absl's `values`."""
    flags.DEFINE_enum(
        "masks",
        "box",
        list(MASK_FORMS),
        "Format of the masks. box: detection_masks inside each box, as in TFOD. image: also a "
        "signature image_masks with uint8 masks of the whole image. rle: also a signature "
        "rle_masks with COCO's run-length codes. none: masks are not computed.",
        flag_values=values,
    )
    flags.DEFINE_float(
        "score_threshold",
        None,
        "Minimum score of detections, exclusive, from 0 to 1. Default: the config's.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "max_detections",
        None,
        "Maximum number of detections per image. Default: the config's.",
        flag_values=values,
    )
    flags.DEFINE_list(
        "classes",
        [],
        "Detect only these classes: ids or names of the label map, separated by commas. "
        "Default: all.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "precision",
        "float32",
        list(PRECISIONS),
        "Number format of convolutions and matrix products. auto selects the faster one on this "
        "machine. bfloat16 prints its effect on the detections of the test image.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "optimize",
        False,
        "Fold norms into the convolutions: faster, equal except for rounding. With bfloat16, "
        "kernels are also stored as bfloat16, at half the size. checkpoint/ keeps the trained "
        "weights.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "verify",
        True,
        "Load the export in a new process and compare its outputs with the checkpoint's.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "test_image",
        None,
        "Image file to verify the export with. Default: a drawn picture.",
        flag_values=values,
    )


def define_side_inputs():
    """Define TFOD's flags for Context R-CNN, which are rejected."""
    flags.DEFINE_boolean("use_side_inputs", False, "Not supported: for models with side inputs.")
    for name in SIDE_INPUTS:
        flags.DEFINE_string(name, "", "Not supported: used with use_side_inputs.")


def side_inputs_in_flags(values):
    """Return the flags of side inputs that are set, as one text; empty for none."""
    named = [name for name in ("use_side_inputs", *SIDE_INPUTS) if values[name].value]
    return ", ".join(f"--{name}" for name in named)


def options_from_flags(values, *, input_type, raw=False):
    """Return the `ExportOptions` of absl's FLAGS `values`."""
    return ExportOptions(
        input_type=input_type,
        raw=raw,
        masks=values.masks,
        score_threshold=values.score_threshold,
        max_detections=values.max_detections,
        classes=tuple(values.classes),
        precision=values.precision,
        optimize=values.optimize,
        verify=values.verify,
        test_image=values.test_image,
    )
