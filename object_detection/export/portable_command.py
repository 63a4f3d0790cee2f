"""What the commands that convert for other runtimes share: flags, the check, the writing."""

import glob
import os
import re
from pathlib import Path

import numpy as np
from absl import flags, logging

FLAGS = flags.FLAGS
_INPUT_TYPES = ("image_tensor", "float_image_tensor")
_LEAST_SHARE = 0.5  # of detections that agree; below, something is wrong and not only rounded


def define_flags(form, batch_size):
    """The shared flags.

    Args:
        form: what is written, for the help, such as "model.onnx".
        batch_size: the default, 0 for any.
    """
    flags.DEFINE_string("pipeline_config_path", None, "The model's pipeline.config.")
    flags.DEFINE_string(
        "trained_checkpoint_dir",
        None,
        "Training folder whose last checkpoint is converted, an export's checkpoint/ folder, or "
        "other weights, see docs/checkpoints.md.",
    )
    flags.DEFINE_string("output", None, f"The file to write, {form}.")
    flags.DEFINE_multi_string(
        "config_override",
        [],
        "Changes the config: either text of its own format to be merged, or a dotted field=value. "
        "May be given more than once.",
    )
    flags.DEFINE_enum(
        "input_type", "image_tensor", _INPUT_TYPES, "Images as uint8, or as float32 of 0..255."
    )
    flags.DEFINE_string("input_size", "", "HEIGHTxWIDTH of all images, as 480x640; default: any.")
    flags.DEFINE_integer(
        "batch_size", batch_size, "Images at a time; 0: any number.", lower_bound=0
    )
    flags.DEFINE_multi_string(
        "check_images",
        [],
        "Image files (patterns) on which the result is compared with TensorFlow; default: one "
        "drawn picture.",
    )
    flags.DEFINE_boolean("check", True, "Compare the result with TensorFlow after writing it.")
    flags.mark_flags_as_required(["pipeline_config_path", "trained_checkpoint_dir", "output"])


def form_of_flags():
    """The `Form` that the flags ask for.

    Raises:
        ValueError: an input_size that is none.
    """
    from object_detection.export.portable_model import Form

    size = None
    if FLAGS.input_size:
        found = re.fullmatch(r"([1-9]\d*)[xX]([1-9]\d*)", FLAGS.input_size)
        if not found:
            raise ValueError(
                f"--input_size is {FLAGS.input_size!r}; write HEIGHTxWIDTH, for example 480x640"
            )
        size = int(found[1]), int(found[2])
    return Form(FLAGS.input_type, size, FLAGS.batch_size or None)


def write_checked(content, path, restored, form, open_model):
    """Writes a converted model where it agrees with TensorFlow; prints how far it does.

    Args:
        content: bytes.
        path: of the file; one that stands there is replaced once the new one is found good.
        restored: `Restored`.
        form: `Form`.
        open_model: path -> function {name: array} of images [B, h, w, 3].

    Raises:
        ValueError: less than half of the detections agree, or an image that can't be read.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(content)
        if FLAGS.check:
            check(restored, form, open_model(partial), check_pictures(form))
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def check(restored, form, run, pictures):
    """Compares a converted model with TensorFlow.

    Args:
        restored, form: as for `write_checked`.
        run: function {name: array} of images [B, h, w, 3].
        pictures: {name: uint8 [h, w, 3]}.

    Returns:
        [`Agreement`] of the pictures.

    Raises:
        ValueError: less than half of the detections of a picture agree.
    """
    from object_detection.export.agreement import agreement
    from object_detection.export.portable_model import INPUT_TYPES, reference_outputs

    results = []
    for name, picture in pictures.items():
        image = picture.astype(INPUT_TYPES[form.input_type].as_numpy_dtype)
        wanted = reference_outputs(restored, image)
        result = agreement(wanted, run(np.stack([image] * (form.batch or 1))))
        print(f"{name}: {result}")
        if result.paired < _LEAST_SHARE * max(result.wanted, result.found):
            raise ValueError(f"{name}: the converted model does not agree: {result}")
        if not result.is_complete:
            logging.warning("%s: not all detections agree (see docs/other_runtimes.md)", name)
        results.append(result)
    return results


def check_pictures(form):
    """{name: uint8 [h, w, 3]} of the flags' images, at the form's size where it has one."""
    from PIL import Image, ImageOps

    paths = [path for pattern in FLAGS.check_images for path in sorted(glob.glob(pattern))]
    if FLAGS.check_images and not paths:
        raise ValueError(f"--check_images: no file matches {', '.join(FLAGS.check_images)}")
    if not paths:
        return {"a drawn picture": drawn_picture(*(form.size or (240, 320)))}
    pictures = {}
    for path in paths:
        with Image.open(path) as image:
            image = ImageOps.exif_transpose(image).convert("RGB")
        if form.size:
            image = image.resize(form.size[::-1])
        pictures[path] = np.asarray(image)
    return pictures


def drawn_picture(height, width):
    """uint8 [height, width, 3]: coloured rectangles on a slope of grey, always the same."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    picture = np.repeat((90 * (rows / height + columns / width))[..., np.newaxis], 3, axis=2)
    generator = np.random.default_rng(0)
    for _ in range(12):
        top, left = generator.integers(0, [max(height - 8, 1), max(width - 8, 1)])
        high, wide = generator.integers(8, [max(height // 2, 9), max(width // 2, 9)])
        picture[top : top + high, left : left + wide] = generator.uniform(0, 255, 3)
    return picture.astype(np.uint8)
