"""The command `predict`: from its flags to its files."""

import json
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

from object_detection.datasets.formats import coco, csv_table
from object_detection.errors import ImageError
from object_detection.prediction import image_files, modes, pixels, results, video, writers
from object_detection.prediction.predictor import Predictor


def predict_images(flags, patterns):
    """Predict the images that patterns name, as the flags say; return the exit code.

    Raises:
        ValueError: No images, no such model, or flags that exclude each other.
    """
    files, left_out = image_files.find(patterns, recursive=flags.recursive)
    mode = mode_of(flags)
    boxes = None
    if flags.mode == "bboxes":
        boxes = boxes_of(flags.boxes_file, flags.boxes_classes)
    predictor = _predictor(flags, mode)
    predictor.progress = True
    output = Path(flags.output)
    check_output(files, output, flags.format)
    output.mkdir(parents=True, exist_ok=True)
    outputs = writers_of(flags, output, predictor)
    failed, num_objects, seconds, remarks = predict_all(
        predictor, files, outputs, boxes, bit_depth=int(flags.bit_depth)
    )
    done = len(files) - len(failed)
    rate = f", {seconds / done:.2f} s each" if done else ""
    forms = "pictures and JSON" if set(flags.format) == {"json", "png"} else ", ".join(flags.format)
    print(f"{done} images, {num_objects} objects{rate}: {forms} in {flags.output}")
    counted = [f"{count} images: {remark}" for remark, count in remarks.items()]
    for line in (*image_files.describe_left_out(left_out), *counted):
        print(line, file=sys.stderr)
    if failed:
        print(f"{len(failed)} images could not be read:", file=sys.stderr)
        for message in failed:
            print(f"  {message}", file=sys.stderr)
    return 1 if failed else 0


def predict_all(predictor, files, outputs, boxes=None, *, bit_depth=16):
    """Predict each image and pass it to the writers; leave out unreadable images.

    Args:
        predictor: A `Predictor`.
        files: Paths of images.
        outputs: Writers, see `writers`.
        boxes: Function of a path that returns the boxes to predict, or None.
        bit_depth: Of 16-bit gray images, as for `pixels.read`.

    Returns:
        Messages about unreadable images, number of detections, seconds that prediction itself took,
        and {warning: number of images}.
    """
    from tqdm import tqdm

    names = results.output_names(files)
    failed, waiting, num_objects, seconds, remarks = [], [], 0, 0.0, Counter()
    bar = tqdm(total=len(files), unit="image", desc="predict")

    def readable():
        nonlocal start
        for file, name in zip(files, names, strict=True):
            paused = time.perf_counter()
            try:
                with warnings.catch_warnings(record=True) as raised:
                    warnings.simplefilter("always", pixels.FewBitsWarning)
                    image = pixels.read(file, bit_depth=bit_depth)
                remarks.update(str(each.message) for each in raised)
            except ImageError as error:
                failed.append(str(error))
                bar.update()
                continue
            waiting.append((name, file, image))
            start += time.perf_counter() - paused
            yield image

    def predictions():
        if boxes is None:
            yield from predictor.predict_many(readable())
        else:
            for image in readable():
                yield predictor.predict(image, boxes(waiting[-1][1]))

    start = time.perf_counter()
    with bar:
        for prediction in predictions():
            seconds += time.perf_counter() - start
            name, file, image = waiting.pop(0)
            num_objects += len(prediction)
            for writer in outputs:
                writer.add(name, file, image, prediction)
            bar.update()
            start = time.perf_counter()
    for writer in outputs:
        writer.close()
    return failed, num_objects, seconds, remarks


def predict_video(flags):
    """Write NAME.mp4 with the objects drawn in and NAME.jsonl with one line per frame.

    Returns:
        The exit code. A webcam, or an endless stream, ends with --max_frames or Ctrl-C.

    Raises:
        ValueError: No such video, no OpenCV, or flags that do not apply to videos.
    """
    from tqdm import tqdm

    unsupported = set(flags.format) - {"json", "png"}
    if unsupported or flags.mode == "bboxes":
        what = f"--format={min(unsupported)}" if unsupported else "--mode=bboxes"
        raise ValueError(f"{what} is for images; a video gives --format=json and --format=png")
    predictor = _predictor(flags, mode_of(flags))
    source = flags.video
    webcam = video.is_webcam(source)
    name = f"webcam{source}" if webcam else Path(str(source).split("?")[0]).stem or "video"
    output = Path(flags.output)
    output.mkdir(parents=True, exist_ok=True)
    target = output / f"{name}.mp4"
    if not webcam and target.resolve() == Path(source).resolve():
        raise ValueError(f"--output {output}: {target.name} would overwrite the video itself")
    frames = video.frames(source, flags.max_frames)
    drawn = video.VideoFile(target, frames.rate) if "png" in flags.format else None
    lines = (output / f"{name}.jsonl").open("w") if "json" in flags.format else None
    number = num_objects = 0
    begin = time.perf_counter()
    try:
        for frame, prediction in tqdm(
            predictor.predict_video(frames), unit="frame", desc="predict", total=frames.count
        ):
            if drawn:
                drawn.add(predictor.draw(frame, prediction))
            if lines:
                entry = results.to_json(
                    prediction, str(source), flags.json_masks, flags.polygon_tolerance
                )
                lines.write(json.dumps({"frame": number, **entry}) + "\n")
            number, num_objects = number + 1, num_objects + len(prediction)
    except KeyboardInterrupt:
        pass  # how to end a webcam: the frames so far are kept
    finally:
        frames.close()
        for file in (drawn, lines):
            if file:
                file.close()
    rate = f", {(time.perf_counter() - begin) / number:.2f} s each" if number else ""
    print(f"{number} frames, {num_objects} objects{rate}: in {output}")
    return 0


def check_output(files, output, formats):
    """Raise ValueError if an image, or a JSON file of the user, would be overwritten."""
    endings = [end for form, end in (("png", ".png"), ("heatmap", ".heat.png")) if form in formats]
    sources = {file.resolve() for file in files}
    for name in results.output_names(files):
        for end in endings:
            if (output / f"{name}{end}").resolve() in sources:
                raise ValueError(
                    f"--output {output}: {name}{end} would overwrite an image of --images; choose "
                    "another folder."
                )
        annotation = output / f"{name}.json"
        if "json" in formats and annotation.is_file() and not results.is_ours(annotation):
            raise ValueError(
                f"--output {output}: {annotation.name} is there already, and was not written by "
                "this command (an annotation file?); choose another folder."
            )


def writers_of(flags, output, predictor):
    """Return the writers for --format."""
    tolerance = flags.polygon_tolerance
    names = [entry["name"] for entry in predictor.category_index.values()]
    truth = coco.load(flags.coco_json) if flags.coco_json else None
    table = {
        "png": lambda: writers.Pictures(output, predictor.category_index),
        "heatmap": lambda: writers.HeatMaps(output, flags.masks_per_dim),
        "json": lambda: writers.Json(output, flags.json_masks, tolerance),
        "coco": lambda: writers.Coco(output, truth),
        "labelme": lambda: writers.Labelme(output, tolerance),
        "csv": lambda: writers.Csv(output, tolerance),
        "supervisely": lambda: writers.Supervisely(output, names),
    }
    return [table[form]() for form in dict.fromkeys(flags.format)]


def mode_of(flags):
    """Return the mode that the flags describe; raises ValueError for invalid flags."""
    if flags.mode == "roi":
        if flags.roi is None or len(flags.roi) != 4:
            raise ValueError("--mode=roi needs --roi=left,top,right,bottom, such as 10%,0,10%,40px")
        return modes.RegionOfInterest(*flags.roi)
    if flags.mode == "bboxes":
        if flags.boxes_file is None:
            raise ValueError("--mode=bboxes needs --boxes_file, a COCO json or a CSV")
        return modes.GivenBoxes(None, *_several(flags.padding, 4, "padding"))
    if flags.mode == "sliding_window":
        sides = (_whole(flags.window, "window"), _whole(flags.overlap, "overlap"))
        return modes.SlidingWindow(*sides[0], *sides[1])
    return modes.FullImage()


def boxes_of(path, classes=None):
    """Read the boxes of a file.

    Args:
        path: Of a COCO json or a table with one row for each box.
        classes: Names of the classes to use; None: all.

    Returns:
        A function of an image's path that returns its boxes [n, 4], empty if the file lacks it.

    Raises:
        ValueError: Another kind of file, or two images with the same name.
    """
    if Path(path).suffix.lower() == ".json":
        listed = coco.read(path, Path(path).parent)
    else:
        listed = csv_table.read(path, coordinates=csv_table.PIXELS)
    boxes = {}
    for image in listed.images:
        selected = [
            each.box
            for each in image.objects
            if each.box is not None and (classes is None or each.class_name in classes)
        ]
        name = Path(image.filename).name
        if name in boxes:
            raise ValueError(f"{path} has two images called {name}; boxes are found by that name")
        boxes[name] = np.array(selected, np.float64).reshape(-1, 4)
    return lambda file: boxes.get(Path(file).name, np.zeros([0, 4]))


def _predictor(flags, mode):
    return Predictor(
        flags.saved_model,
        flags.min_score,
        flags.min_image_size,
        label_map=flags.label_map,
        pipeline_config=flags.pipeline_config_path,
        mode=mode,
        classes=flags.classes,
        class_suffix=flags.class_suffix,
        max_detections=flags.max_detections,
        batch_size=flags.batch_size,
    )


def _several(values, count, name):
    """Return `count` values, from as many or from one for all."""
    if len(values) not in (1, count):
        raise ValueError(f"--{name} takes 1 or {count} values, got {len(values)}: {values}")
    return values * count if len(values) == 1 else values


def _whole(values, name):
    try:
        return [int(value) for value in _several(values, 2, name)]
    except ValueError:
        raise ValueError(
            f"--{name} takes one whole number of pixels or height,width, got {','.join(values)}"
        ) from None
