"""COCODemo on a webcam or a video: `python -m object_detection.integrations.webcam --help`.

--config-file=exported                                      a window with what the first webcam sees
--config-file=exported --video=film.mp4 --output=drawn.mp4  a video drawn into another; no window
--config-file=exported --min-image-size 300 MODEL.DEVICE cpu

The flags are those of maskrcnn-benchmark's demo/webcam.py; KEY VALUE pairs may follow them.
"""

import argparse
import os
import sys
import time
from pathlib import Path

from object_detection.cli import path_flags, runner

_ESCAPE = 27  # as `cv2.waitKey` gives it
_WINDOW = "COCO detections"


def parser():
    """The command's flags."""
    made = argparse.ArgumentParser(
        prog="python -m object_detection.integrations.webcam",
        description="Draws what a model finds in the frames of a webcam or a video.",
    )
    made.add_argument(
        "--config-file",
        required=True,
        metavar="PATH",
        help="an exported model, or a pipeline.config beside its weights",
    )
    made.add_argument("--weights", metavar="PATH", help="weights in place of those beside it")
    made.add_argument(
        "--confidence-threshold",
        type=float,
        default=0.7,
        metavar="SCORE",
        help="draw what scores more, 0..1 (0.7)",
    )
    made.add_argument(
        "--min-image-size",
        type=int,
        metavar="PIXELS",
        help="shorter side that the network sees; the smaller, the faster. Unset: the model's own",
    )
    made.add_argument(
        "--show-mask-heatmaps", action="store_true", help="mask probabilities instead"
    )
    made.add_argument(
        "--masks-per-dim", type=int, default=2, metavar="N", help="heat maps in a row (2)"
    )
    made.add_argument(
        "--video", default="0", metavar="SOURCE", help="a webcam's number (0), a file, an address"
    )
    made.add_argument("--output", metavar="FILE", help="write an .mp4 instead of showing a window")
    made.add_argument("--max-frames", type=int, metavar="N", help="end after so many frames")
    made.add_argument(
        "--write-config", metavar="FOLDER", help="write the pipeline.config that all this makes"
    )
    made.add_argument(
        "opts",
        nargs=argparse.REMAINDER,
        metavar="KEY VALUE",
        help="such as INPUT.MIN_SIZE_TEST 600, or fields of a pipeline.config",
    )
    return made


def main(arguments=None):
    """Runs the command; returns the exit code."""
    given = parser().parse_args(arguments)
    path_flags.check_value("--config-file", path_flags.WEIGHTS, given.config_file)
    for name, kind, value in (
        ("--weights", path_flags.WEIGHTS, given.weights),
        ("--output", path_flags.NEW_FILE, given.output),
        ("--write-config", path_flags.NEW_FOLDER, given.write_config),
    ):
        if value:
            path_flags.check_value(name, kind, value)
    runner.log_version()
    from object_detection.training import commands

    commands.start_tensorflow()
    show(given)
    return 0


def show(given):
    """Draws every frame, into a window or a video.

    Raises:
        ValueError: no such model, no such video, or neither a window nor an output to draw to.
    """
    from object_detection.integrations import demo_model
    from object_detection.integrations.coco_demo import COCODemo
    from object_detection.prediction import video

    video.opencv()  # before the model, which takes longer
    if given.max_frames is not None and given.max_frames < 1:
        raise ValueError(f"--max-frames must be at least 1, got {given.max_frames}")
    if not given.output:
        _check_window(video.opencv())
    _check_output(given)
    source = demo_model.with_options(
        demo_model.source_of(given.config_file, given.weights), given.opts
    )
    frames = video.frames(given.video, given.max_frames)
    size = {} if given.min_image_size is None else {"min_image_size": given.min_image_size}
    demo = COCODemo(
        source,
        confidence_threshold=given.confidence_threshold,
        show_mask_heatmaps=given.show_mask_heatmaps,
        masks_per_dim=given.masks_per_dim,
        **size,
    )
    if given.write_config:
        print(f"{demo.write_config(given.write_config)} is written")
    target = video.VideoFile(given.output, frames.rate) if given.output else None
    try:
        number = draw_frames(demo, frames, target)
    finally:
        frames.close()
        if target:
            target.close()
    if target:
        print(f"{number} frames in {given.output}")


def draw_frames(demo, frames, target):
    """Draws frames until they end, Esc is pressed in the window, or Ctrl-C.

    Args:
        demo: a `COCODemo`.
        frames: RGB.
        target: a `video.VideoFile`; None: a window.

    Returns:
        How many were drawn.
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
        pass  # the way to end a webcam that is written to a file
    if not target:
        cv2.destroyAllWindows()
    return number


def _check_window(cv2):
    """Raises ValueError where no window can be had."""
    where = "give --output=drawn.mp4 to write a video instead"
    if sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
        raise ValueError(f"there is no screen for a window (DISPLAY is not set): {where}")
    try:
        cv2.namedWindow(_WINDOW)
    except cv2.error:
        raise ValueError(
            f"this OpenCV opens no windows (opencv-python-headless): {where}, or install "
            "opencv-python in its place"
        ) from None


def _check_output(given):
    if given.output is None:
        return
    if Path(given.output).suffix.lower() != ".mp4":
        raise ValueError(f"--output {given.output}: the video is an MP4; call it so (.mp4)")
    if Path(given.output).resolve() == Path(given.video).resolve():
        raise ValueError(f"--output {given.output} would overwrite the video itself")
    Path(given.output).parent.mkdir(parents=True, exist_ok=True)


def run():
    """The command."""
    runner.run(lambda arguments: main(arguments[1:]))


if __name__ == "__main__":
    run()
