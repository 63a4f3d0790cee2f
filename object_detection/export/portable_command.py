"""Shared parts of the commands that convert for other runtimes: flags, verification, writing."""

import glob
import os
import re
from pathlib import Path

import numpy as np
from absl import flags, logging

from object_detection.errors import ExportError

FLAGS = flags.FLAGS
_INPUT_TYPES = ("image_tensor", "float_image_tensor")
_MIN_AGREEMENT = 0.5  # fraction of detections that agree; below, rounding is not the reason


def define_flags(file_name, batch_size):
    """Define the shared flags.

    Args:
        file_name: example for the help, such as "model.onnx".
        batch_size: the default, 0 for any.
    """
    flags.DEFINE_string("pipeline_config_path", None, "Path of the model's pipeline.config.")
    flags.DEFINE_string(
        "trained_checkpoint_dir",
        None,
        "Training folder (its last checkpoint is converted), an export's checkpoint/ folder, or "
        "other weights (see docs/checkpoints.md).",
    )
    flags.DEFINE_string("output", None, f"File to write, such as {file_name}.")
    flags.DEFINE_multi_string(
        "config_override",
        [],
        "Change to the config: text in its own format to merge, or a dotted field=value. "
        "Can be repeated.",
    )
    flags.DEFINE_enum(
        "input_type",
        "image_tensor",
        _INPUT_TYPES,
        "Input of the converted model: uint8 images, or float32 images with values 0 to 255.",
    )
    flags.DEFINE_string(
        "input_size",
        "",
        "HEIGHTxWIDTH of all images in pixels, such as 480x640. Default: any size.",
    )
    flags.DEFINE_integer(
        "batch_size", batch_size, "Number of images per call; 0 for any number.", lower_bound=0
    )
    flags.DEFINE_multi_string(
        "check_images",
        [],
        "Image files (patterns) to compare the result with TensorFlow on. Default: a drawn "
        "picture.",
    )
    flags.DEFINE_boolean("check", True, "Compare the converted model with TensorFlow.")
    flags.mark_flags_as_required(["pipeline_config_path", "trained_checkpoint_dir", "output"])


def input_spec_from_flags():
    """Return the `InputSpec` of the flags.

    Raises:
        ExportError: an input_size that is not HEIGHTxWIDTH.
    """
    from object_detection.export.portable import InputSpec

    size = None
    if FLAGS.input_size:
        match = re.fullmatch(r"([1-9]\d*)[xX]([1-9]\d*)", FLAGS.input_size)
        if not match:
            raise ExportError(
                f"--input_size is {FLAGS.input_size!r}; write HEIGHTxWIDTH, for example 480x640"
            )
        size = int(match[1]), int(match[2])
    return InputSpec(FLAGS.input_type, size, FLAGS.batch_size or None)


def write_verified(content, path, restored, spec, load_model):
    """Write a converted model if it agrees with TensorFlow, and print the differences.

    Args:
        content: bytes.
        path: of the file; an existing file is replaced only if the new one agrees.
        restored: `Restored`.
        spec: `InputSpec`.
        load_model: path -> function {name: array} of images [B, h, w, 3].

    Raises:
        ExportError: less than half of the detections agree, or an image cannot be read.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(content)
        if FLAGS.compare_with_tensorflow:
            compare_with_tensorflow(restored, spec, load_model(partial), load_pictures(spec))
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def compare_with_tensorflow(restored, spec, run, pictures):
    """Compare a converted model with TensorFlow.

    Args:
        restored, spec: as for `write_verified`.
        run: function {name: array} of images [B, h, w, 3].
        pictures: {name: uint8 [h, w, 3]}.

    Returns:
        [`RuntimeComparison`] of the pictures.

    Raises:
        ExportError: less than half of the detections of a picture agree.
    """
    from object_detection.export.portable import INPUT_TYPES, reference_outputs
    from object_detection.export.verification import compare_runtimes

    results = []
    for name, picture in pictures.items():
        image = picture.astype(INPUT_TYPES[spec.input_type].as_numpy_dtype)
        expected = reference_outputs(restored, image)
        result = compare_runtimes(run(np.stack([image] * (spec.batch or 1))), expected)
        print(f"{name}: {result}")
        if result.paired < _MIN_AGREEMENT * max(result.expected, result.detected):
            raise ExportError(f"{name}: the converted model differs from TensorFlow: {result}")
        if not result.is_complete:
            logging.warning("%s: not all detections agree (see docs/other_runtimes.md)", name)
        results.append(result)
    return results


def load_pictures(spec):
    """Load {name: uint8 [h, w, 3]} of the flags' images, resized if the spec has a size."""
    from PIL import Image, ImageOps

    from object_detection.export.verification import drawn_picture

    paths = [path for pattern in FLAGS.check_images for path in sorted(glob.glob(pattern))]
    if FLAGS.check_images and not paths:
        raise ExportError(f"--check_images: no file matches {', '.join(FLAGS.check_images)}")
    if not paths:
        return {"a drawn picture": drawn_picture(*(spec.size or (240, 320)))}
    pictures = {}
    for path in paths:
        with Image.open(path) as image:
            image = ImageOps.exif_transpose(image).convert("RGB")
        if spec.size:
            image = image.resize(spec.size[::-1])
        pictures[path] = np.asarray(image)
    return pictures
