"""COCODemo on a webcam or a video: `python -m object_detection.integrations.webcam --help`.

--config-file=exported                                      a window with the first webcam
--config-file=exported --video=film.mp4 --output=drawn.mp4  draws into a new video; no window
--config-file=exported --min-image-size 300 MODEL.DEVICE cpu

The flags are those of maskrcnn-benchmark's demo/webcam.py; KEY VALUE pairs can follow them.
"""

import argparse
import os
import sys
import time
from pathlib import Path

from object_detection.cli import path_flags, runner
from object_detection.errors import PathError, SettingsError

_ESCAPE = 27  # as `cv2.waitKey` gives it
_WINDOW = "COCO detections"


def parser():
    """Return the parser of the command's flags."""
    result = argparse.ArgumentParser(
        prog="python -m object_detection.integrations.webcam",
        description="Draw the detections of a model in the frames of a webcam or a video.",
    )
    result.add_argument(
        "--config-file",
        required=True,
        metavar="PATH",
        help="exported model, or pipeline.config next to its weights",
    )
    result.add_argument(
        "--weights", metavar="PATH", help="weights that replace those next to the config"
    )
    result.add_argument(
        "--confidence-threshold",
        type=float,
        default=0.7,
        metavar="SCORE",
        help="minimum score of drawn objects, from 0 to 1 (default: 0.7)",
    )
    size_help = "shorter side of the network's input; smaller is faster (default: the model's)"
    result.add_argument("--min-image-size", type=int, metavar="PIXELS", help=size_help)
    result.add_argument(
        "--show-mask-heatmaps", action="store_true", help="draw mask probabilities instead"
    )
    result.add_argument(
        "--masks-per-dim",
        type=int,
        default=2,
        metavar="N",
        help="rows and columns of heat maps (default: 2)",
    )
    result.add_argument(
        "--video",
        default="0",
        metavar="SOURCE",
        help="number of a webcam, a file or a URL (default: 0)",
    )
    result.add_argument(
        "--output", metavar="FILE", help="write an .mp4 file instead of showing a window"
    )
    result.add_argument(
        "--max-frames", type=int, metavar="N", help="maximum number of frames (default: all)"
    )
    result.add_argument(
        "--write-config",
        metavar="FOLDER",
        help="write the resulting pipeline.config to this folder",
    )
    result.add_argument(
        "opts",
        nargs=argparse.REMAINDER,
        metavar="KEY VALUE",
        help="settings such as INPUT.MIN_SIZE_TEST 600, or fields of a pipeline.config",
    )
    return result


def main(arguments=None):
    """Run the command; return the exit code."""
    options = parser().parse_args(arguments)
    path_flags.check_value("--config-file", path_flags.WEIGHTS, options.config_file)
    for name, kind, value in (
        ("--weights", path_flags.WEIGHTS, options.weights),
        ("--output", path_flags.NEW_FILE, options.output),
        ("--write-config", path_flags.NEW_FOLDER, options.write_config),
    ):
        if value:
            path_flags.check_value(name, kind, value)
    runner.log_version()
    from object_detection.training import commands

    commands.start_tensorflow()
    show(options)
    return 0


def show(options):
    """Draw every frame, in a window or a video.

    Raises:
        ObjectDetectionError: no such model or video, or neither a window nor an output.
    """
    from object_detection.integrations import demo_model
    from object_detection.integrations.coco_demo import COCODemo
    from object_detection.prediction import video

    video.opencv()  # before the model, which takes longer
    if options.max_frames is not None and options.max_frames < 1:
        raise SettingsError(f"--max-frames must be at least 1, got {options.max_frames}")
    if not options.output:
        _check_window(video.opencv())
    _check_output(options)
    source = demo_model.with_options(
        demo_model.read_cfg(options.config_file, options.weights), options.opts
    )
    frames = video.frames(options.video, options.max_frames)
    size = {} if options.min_image_size is None else {"min_image_size": options.min_image_size}
    demo = COCODemo(
        source,
        confidence_threshold=options.confidence_threshold,
        show_mask_heatmaps=options.show_mask_heatmaps,
        masks_per_dim=options.masks_per_dim,
        **size,
    )
    if options.write_config:
        print(f"Wrote {demo.write_config(options.write_config)}")
    target = video.VideoFile(options.output, frames.rate) if options.output else None
    try:
        number = draw_frames(demo, frames, target)
    finally:
        frames.close()
        if target:
            target.close()
    if target:
        print(f"{number} frames in {options.output}")


def draw_frames(demo, frames, target):
    """Draw frames until they end, Esc is pressed in the window, or Ctrl-C.

    Args:
        demo: a `COCODemo`.
        frames: RGB.
        target: a `video.VideoFile`; None: a window.

    Returns:
        The number of drawn frames.
    """
    from object_detection.prediction import video

    number = 0
    cv2 = video.opencv()
    try:
        for frame in frames:
            start = time.perf_counter()
            drawn = demo.run_on_opencv_image(frame[..., ::-1].copy())
            print(f"Time: {time.perf_counter() - start:.2f} s / img", flush=True)
            number += 1
            if target:
                target.add(drawn[..., ::-1])
                continue
            cv2.imshow(_WINDOW, drawn)
            if cv2.waitKey(1) == _ESCAPE:
                break
    except KeyboardInterrupt:
        pass  # ends the recording of a webcam
    if not target:
        cv2.destroyAllWindows()
    return number


def _check_window(cv2):
    """Raise an error if no window can be shown."""
    advice = "set --output=drawn.mp4 to write a video instead"
    if sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
        raise SettingsError(f"there is no screen for a window (DISPLAY is not set): {advice}")
    try:
        cv2.namedWindow(_WINDOW)
    except cv2.error:
        raise SettingsError(
            f"this OpenCV cannot open windows (opencv-python-headless): {advice}, or install "
            "opencv-python in its place"
        ) from None


def _check_output(options):
    if options.output is None:
        return
    if Path(options.output).suffix.lower() != ".mp4":
        raise PathError(f"--output {options.output}: the name must end in .mp4")
    if Path(options.output).resolve() == Path(options.video).resolve():
        raise PathError(f"--output {options.output} would overwrite the video itself")
    Path(options.output).parent.mkdir(parents=True, exist_ok=True)


def run():
    """Run the command."""
    runner.run(lambda arguments: main(arguments[1:]))


if __name__ == "__main__":
    run()
