"""What the command `predict` does, from its flags to its files."""

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


def predict_images(given, patterns):
    """Predicts the images that patterns name, as the flags `given` say; returns the exit code.

    Raises:
        ValueError: no images, no such model, flags that do not go together.
    """
    files, left_out = image_files.find(patterns, recursive=given.recursive)
    mode = mode_of(given)
    boxes = None
    if given.mode == "bboxes":
        boxes = boxes_of(given.boxes_file, given.boxes_classes)
    predictor = _predictor(given, mode)
    predictor.progress = True
    output = Path(given.output)
    check_output(files, output, given.format)
    output.mkdir(parents=True, exist_ok=True)
    outputs = writers_of(given, output, predictor)
    failed, found, seconds, remarks = predict_all(
        predictor, files, outputs, boxes, bit_depth=int(given.bit_depth)
    )
    done = len(files) - len(failed)
    rate = f", {seconds / done:.2f} s each" if done else ""
    forms = "pictures and JSON" if set(given.format) == {"json", "png"} else ", ".join(given.format)
    print(f"{done} images, {found} objects{rate}: {forms} in {given.output}")
    counted = [f"{count} images: {remark}" for remark, count in remarks.items()]
    for line in (*image_files.told(left_out), *counted):
        print(line, file=sys.stderr)
    if failed:
        print(f"{len(failed)} images could not be read:", file=sys.stderr)
        for fault in failed:
            print(f"  {fault}", file=sys.stderr)
    return 1 if failed else 0


def predict_all(predictor, files, outputs, boxes=None, *, bit_depth=16):
    """Predicts each image and gives it to the writers; those that cannot be read are left out.

    Args:
        predictor: a `Predictor`.
        files: paths of images.
        outputs: writers, see `writers`.
        boxes: a function of a path that gives the boxes to look at, or None.
        bit_depth: of 16-bit grey images, as for `pixels.read`.

    Returns:
        What was wrong with the unreadable ones, the number of objects found, the seconds that
        prediction itself took, and how many images each warning was about.
    """
    from tqdm import tqdm

    names = results.output_names(files)
    failed, waiting, found, seconds, remarks = [], [], 0, 0.0, Counter()
    bar = tqdm(total=len(files), unit="image", desc="predict")

    def readable():
        nonlocal start
        for file, name in zip(files, names, strict=True):
            paused = time.perf_counter()
            try:
                with warnings.catch_warnings(record=True) as raised:
                    warnings.simplefilter("always", pixels.FewBits)
                    image = pixels.read(file, bit_depth=bit_depth)
                remarks.update(str(each.message) for each in raised)
            except ImageError as fault:
                failed.append(str(fault))
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
            found += len(prediction)
            for writer in outputs:
                writer.add(name, file, image, prediction)
            bar.update()
            start = time.perf_counter()
    for writer in outputs:
        writer.close()
    return failed, found, seconds, remarks


def predict_video(given):
    """Writes NAME.mp4 with the objects drawn in and NAME.jsonl with a line a frame.

    Returns:
        The exit code. A webcam, or an endless stream, ends with --max_frames or Ctrl-C.

    Raises:
        ValueError: no such video, no OpenCV, flags that have no meaning for videos.
    """
    from tqdm import tqdm

    strange = set(given.format) - {"json", "png"}
    if strange or given.mode == "bboxes":
        what = f"--format={min(strange)}" if strange else "--mode=bboxes"
        raise ValueError(f"{what} is for images; a video gives --format=json and --format=png")
    predictor = _predictor(given, mode_of(given))
    source = given.video
    webcam = video.is_webcam(source)
    name = f"webcam{source}" if webcam else Path(str(source).split("?")[0]).stem or "video"
    output = Path(given.output)
    output.mkdir(parents=True, exist_ok=True)
    target = output / f"{name}.mp4"
    if not webcam and target.resolve() == Path(source).resolve():
        raise ValueError(f"--output {output}: {target.name} would overwrite the video itself")
    frames = video.frames(source, given.max_frames)
    drawn = video.VideoFile(target, frames.rate) if "png" in given.format else None
    lines = (output / f"{name}.jsonl").open("w") if "json" in given.format else None
    number = found = 0
    begin = time.perf_counter()
    try:
        for frame, prediction in tqdm(
            predictor.predict_video(frames), unit="frame", desc="predict", total=frames.count
        ):
            if drawn:
                drawn.add(predictor.draw(frame, prediction))
            if lines:
                entry = results.to_json(
                    prediction, str(source), given.json_masks, given.polygon_tolerance
                )
                lines.write(json.dumps({"frame": number, **entry}) + "\n")
            number, found = number + 1, found + len(prediction)
    except KeyboardInterrupt:
        pass  # the way to end a webcam: what was seen is kept
    finally:
        frames.close()
        for file in (drawn, lines):
            if file:
                file.close()
    rate = f", {(time.perf_counter() - begin) / number:.2f} s each" if number else ""
    print(f"{number} frames, {found} objects{rate}: in {output}")
    return 0


def check_output(files, output, formats):
    """Raises ValueError where an image, or a JSON file of the user's, would be overwritten."""
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


def writers_of(given, output, predictor):
    """The writers that --format asks for."""
    tolerance = given.polygon_tolerance
    names = [entry["name"] for entry in predictor.category_index.values()]
    truth = coco.load(given.coco_json) if given.coco_json else None
    table = {
        "png": lambda: writers.Pictures(output, predictor.category_index),
        "heatmap": lambda: writers.HeatMaps(output, given.masks_per_dim),
        "json": lambda: writers.Json(output, given.json_masks, tolerance),
        "coco": lambda: writers.Coco(output, truth),
        "labelme": lambda: writers.Labelme(output, tolerance),
        "csv": lambda: writers.Csv(output, tolerance),
        "supervisely": lambda: writers.Supervisely(output, names),
    }
    return [table[form]() for form in dict.fromkeys(given.format)]


def mode_of(given):
    """The mode that the flags describe; raises ValueError where they do not."""
    if given.mode == "roi":
        if given.roi is None or len(given.roi) != 4:
            raise ValueError("--mode=roi needs --roi=left,top,right,bottom, such as 10%,0,10%,40px")
        return modes.RegionOfInterest(*given.roi)
    if given.mode == "bboxes":
        if given.boxes_file is None:
            raise ValueError("--mode=bboxes needs --boxes_file, a COCO json or a CSV")
        return modes.GivenBoxes(None, *_several(given.padding, 4, "padding"))
    if given.mode == "sliding_window":
        sides = (_whole(given.window, "window"), _whole(given.overlap, "overlap"))
        return modes.SlidingWindow(*sides[0], *sides[1])
    return modes.FullImage()


def boxes_of(path, classes=None):
    """The boxes of a file.

    Args:
        path: of a COCO json or a table with a row a box.
        classes: names of those that count; None: all.

    Returns:
        A function of an image's path that gives its boxes [n, 4], none for one not in the file.

    Raises:
        ValueError: no file of either kind, or two images of one name.
    """
    if Path(path).suffix.lower() == ".json":
        listed = coco.read(path, Path(path).parent)
    else:
        listed = csv_table.read(path, coordinates=csv_table.PIXELS)
    boxes = {}
    for image in listed.images:
        chosen = [
            found.box
            for found in image.objects
            if found.box is not None and (classes is None or found.class_name in classes)
        ]
        name = Path(image.filename).name
        if name in boxes:
            raise ValueError(f"{path} has two images called {name}; boxes are found by that name")
        boxes[name] = np.array(chosen, np.float64).reshape(-1, 4)
    return lambda file: boxes.get(Path(file).name, np.zeros([0, 4]))


def _predictor(given, mode):
    return Predictor(
        given.saved_model,
        given.min_score,
        given.min_image_size,
        label_map=given.label_map,
        pipeline_config=given.pipeline_config_path,
        mode=mode,
        classes=given.classes,
        class_suffix=given.class_suffix,
        max_detections=given.max_detections,
        batch_size=given.batch_size,
    )


def _several(values, count, name):
    """`count` values from as many or from one that holds for all."""
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
