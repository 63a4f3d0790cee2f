"""Finds objects in images, videos and webcams: `python -m object_detection.predict --help`.

    --saved_model=exported/saved_model --images='photos/*.jpg' --output=drawn
    --saved_model=exported --images=large.tif --mode=sliding_window --window=512 --overlap=128 ...
    --saved_model=exported --video=film.mp4 --output=drawn         (--video=0: the first webcam)

Writes a picture and a JSON file for each image; --format chooses other files.
"""

import os
import sys

if not __package__:  # run as a file: Python then looks in this folder, not in the one above
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from absl import app, flags  # noqa: E402

from object_detection.cli import path_flags, runner  # noqa: E402

FORMATS = ("json", "png", "heatmap", "coco", "labelme", "csv", "supervisely")
MODES = ("full_image", "roi", "bboxes", "sliding_window")


def define_flags():
    """Define the flags of this command."""
    flags.DEFINE_string(
        "saved_model",
        None,
        "Folder of an exported model; or weights: a checkpoint, a frozen graph, a zoo archive.",
    )
    flags.DEFINE_string(
        "pipeline_config_path",
        None,
        "Config of weights that are not a SavedModel. Default: the one next to them.",
    )
    flags.DEFINE_multi_string(
        "images", None, "Images: a file, a folder or a pattern in quotes ('photos/**/*.jpg')."
    )
    flags.DEFINE_bool("recursive", False, "Read subfolders of a folder in --images too.")
    flags.DEFINE_enum(
        "bit_depth",
        "16",
        ["8", "10", "12", "14", "16"],
        "Bits of the values of 16-bit gray images, as when the records were made.",
    )
    flags.DEFINE_string(
        "video", None, "Instead of --images: a video's path or address, or a webcam's number."
    )
    flags.DEFINE_integer("max_frames", None, "Maximum number of frames to read from --video.", 1)
    flags.DEFINE_string("output", None, "Output folder.")
    flags.DEFINE_string("label_map", None, "Label map. Default: the one stored with the model.")
    flags.DEFINE_float("min_score", 0.5, "Minimum score of a detection.", 0.0, 1.0)
    flags.DEFINE_alias("confidence_threshold", "min_score")
    flags.DEFINE_integer("max_detections", None, "Maximum number of detections in an image.", 1)
    flags.DEFINE_integer(
        "min_image_size",
        None,
        "Shorter side, in pixels, of the images that the model sees; see docs/predictor.md.",
        1,
    )
    flags.DEFINE_integer("batch_size", 8, "Maximum number of images of one size in a batch.", 1)
    flags.DEFINE_list("classes", None, "Names of the classes to keep. Default: all.")
    flags.DEFINE_string("class_suffix", "", "Text to append to every class name.")
    define_output_flags()
    define_mode_flags()
    flags.mark_flags_as_required(["saved_model", "output"])


def define_output_flags():
    """Define the flags of the output."""
    flags.DEFINE_multi_enum("format", ["json", "png"], FORMATS, "What to write; may be repeated.")
    flags.DEFINE_enum(
        "json_masks", "rle", ("rle", "polygon", "none"), "Format of masks in --format=json."
    )
    flags.DEFINE_float(
        "polygon_tolerance", 0.5, "Pixels by which polygons may deviate from a mask's border.", 0.0
    )
    flags.DEFINE_integer("masks_per_dim", 2, "Rows and columns of --format=heatmap.", 1)
    flags.DEFINE_string(
        "coco_json", None, "For --format=coco: the json whose image and category ids are used."
    )


def define_mode_flags():
    """Define the flags of the part of an image that the model sees."""
    flags.DEFINE_enum("mode", "full_image", MODES, "What of each image the model sees.")
    flags.DEFINE_list(
        "roi", None, "For --mode=roi: border to cut off at left,top,right,bottom, as 10% or 40px."
    )
    flags.DEFINE_string(
        "boxes_file", None, "For --mode=bboxes: a COCO json or a CSV with the boxes of each image."
    )
    flags.DEFINE_list("boxes_classes", None, "Use only boxes of these classes in --boxes_file.")
    flags.DEFINE_list(
        "padding", ["0"], "For --mode=bboxes: one border or left,top,right,bottom, as 10% or 40px."
    )
    flags.DEFINE_list(
        "window", ["512"], "For --mode=sliding_window: side in pixels, or height,width."
    )
    flags.DEFINE_list("overlap", ["128"], "Pixels that windows share, or vertical,horizontal.")


def main(arguments):
    """Predict as the flags say; return the exit code."""
    options = flags.FLAGS
    patterns = [*(options.images or ()), *arguments[1:]]
    if bool(patterns) == (options.video is not None):
        raise app.UsageError("give either --images or --video")
    for pattern in arguments[1:]:
        path_flags.check_value("--images", path_flags.PATHS, pattern)
    from object_detection.training import commands

    commands.start_tensorflow()
    from object_detection.prediction import command

    if options.video is not None:
        return command.predict_video(options)
    return command.predict_images(options, patterns)


def run():
    """Run the command."""
    runner.run(main, define_flags)


if __name__ == "__main__":
    run()
