"""The flags of our own that both export commands have."""

from absl import flags

from object_detection.export.options import MASK_FORMS, PRECISIONS, ExportOptions

SIDE_INPUTS = ("side_input_shapes", "side_input_types", "side_input_names")


def define(values=flags.FLAGS):
    """Defines them in absl's `values`; called once, by the command that runs."""
    flags.DEFINE_enum(
        "masks",
        "box",
        list(MASK_FORMS),
        "box: detection_masks inside each box, as TFOD gives them. image or rle: beside that, a "
        "signature image_masks or rle_masks with uint8 masks of the whole image, or with COCO's "
        "run-length codes. none: no masks, which are then not computed.",
        flag_values=values,
    )
    flags.DEFINE_float(
        "score_threshold",
        None,
        "Leave out detections whose score is not above this.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "max_detections",
        None,
        "Keep at most so many of the best of an image.",
        flag_values=values,
    )
    flags.DEFINE_list(
        "classes",
        [],
        "Detect only these classes: ids or names of the label map, by commas.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "precision",
        "float32",
        list(PRECISIONS),
        "What convolutions and matrix products are computed in. auto takes the faster on this "
        "machine; what bfloat16 costs in accuracy on the test image is said.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "optimize",
        False,
        "Fold norms into the convolutions: less to compute, the same numbers but for rounding. In "
        "bfloat16 kernels are stored so: half the size. checkpoint/ keeps the trained weights.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "verify",
        True,
        "Load what was written in a new process and compare its answer with the checkpoint's.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "test_image",
        None,
        "Verify with this image instead of a drawn one.",
        flag_values=values,
    )


def define_side_inputs():
    """TFOD's flags for Context R-CNN, which are refused."""
    flags.DEFINE_boolean("use_side_inputs", False, "For models with side inputs; none here has.")
    for name in SIDE_INPUTS:
        flags.DEFINE_string(name, "", "Goes with use_side_inputs.")


def side_inputs_of(given):
    """Which flags of side inputs were given, as one text; empty for none."""
    named = [name for name in ("use_side_inputs", *SIDE_INPUTS) if given[name].value]
    return ", ".join(f"--{name}" for name in named)


def options_of(given, *, input_type, raw=False):
    """The `ExportOptions` that absl's FLAGS `given` ask for."""
    return ExportOptions(
        input_type=input_type,
        raw=raw,
        masks=given.masks,
        score_threshold=given.score_threshold,
        max_detections=given.max_detections,
        classes=tuple(given.classes),
        precision=given.precision,
        optimize=given.optimize,
        verify=given.verify,
        test_image=given.test_image,
    )
