"""Draws what an exported model finds in images: `python -m object_detection.predict --help`."""

import glob
import os
import sys
import time
from pathlib import Path

if not __package__:  # run as a file: Python then looks in this folder, not in the one above
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from absl import app, flags, logging  # noqa: E402

IMAGE_ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def define_flags():
    """The flags of this command."""
    flags.DEFINE_string(
        "saved_model",
        None,
        "Folder of an exported model; or weights: a checkpoint, a frozen graph, a zoo archive.",
    )
    flags.DEFINE_string(
        "pipeline_config_path",
        None,
        "Config of weights that are no SavedModel; without it the one beside them is taken.",
    )
    flags.DEFINE_multi_string(
        "images", None, "Images: a file, a folder or a pattern in quotes ('photos/**/*.jpg')."
    )
    flags.DEFINE_string("output", None, "Folder for one PNG and one JSON file for each image.")
    flags.DEFINE_string("label_map", None, "Label map; without it the one in the model is taken.")
    flags.DEFINE_float("min_score", 0.5, "Leave out what scores less.", 0.0, 1.0)
    flags.DEFINE_integer("max_detections", None, "Keep at most so many an image.", 1)
    flags.mark_flags_as_required(["saved_model", "images", "output"])


def main(arguments):
    """Predicts as the flags say; returns the exit code."""
    from object_detection.training import commands, quiet

    given = flags.FLAGS
    if not given["verbosity"].present:
        logging.set_verbosity(logging.INFO)
    quiet.start_tensorflow()
    commands.say_who_we_are()
    import tensorflow as tf

    from object_detection.prediction.predictor import Predictor

    try:
        files = find_images([*given.images, *arguments[1:]])
        predictor = Predictor(
            given.saved_model,
            label_map=given.label_map,
            min_score=given.min_score,
            max_detections=given.max_detections,
            pipeline_config=given.pipeline_config_path,
        )
        failed, found, seconds = predict_all(predictor, files, Path(given.output))
    except (ValueError, OSError, tf.errors.OpError) as fault:
        logging.error("%s", fault)
        logging.debug("Raised here:", exc_info=True)
        return 1
    done = len(files) - len(failed)
    rate = f", {seconds / done:.2f} s each" if done else ""
    print(f"{done} images, {found} objects{rate}: pictures and JSON in {given.output}")
    if failed:
        print(f"{len(failed)} images could not be read:", file=sys.stderr)
        for fault in failed:
            print(f"  {fault}", file=sys.stderr)
    return 1 if failed else 0


def find_images(patterns):
    """The image files that files, folders and patterns name, each once, sorted.

    Raises:
        ValueError: a pattern that matches nothing.
    """
    files = set()
    for pattern in patterns:
        path = Path(pattern)
        if path.is_dir():
            matches = [p for p in path.iterdir() if p.suffix.lower() in IMAGE_ENDINGS]
        elif path.is_file():
            matches = [path]
        else:
            matches = [Path(p) for p in glob.glob(pattern, recursive=True)]
            matches = [p for p in matches if p.is_file()]
        if not matches:
            kind = "folder has no images" if path.is_dir() else "pattern matches no file"
            raise ValueError(f"--images {pattern}: this {kind}.")
        files.update(matches)
    return sorted(files)


def predict_all(predictor, files, output):
    """Writes a picture and a JSON file for each image.

    Returns:
        What was wrong with the unreadable ones, the number of objects found, and the seconds that
        prediction itself took.

    Raises:
        ValueError: a picture would overwrite one of the images.
    """
    from tqdm import tqdm

    from object_detection.prediction import pixels, results

    names = results.output_names(files)
    sources = {file.resolve() for file in files}
    for name in names:
        if (output / f"{name}.png").resolve() in sources:
            raise ValueError(
                f"--output {output}: {name}.png would overwrite an image of --images; choose "
                "another folder."
            )
    output.mkdir(parents=True, exist_ok=True)
    failed, found, seconds = [], 0, 0.0
    for file, name in zip(tqdm(files, unit="image", desc="predict"), names, strict=True):
        try:
            image = pixels.read(file)
        except pixels.UnreadableImage as fault:
            failed.append(str(fault))
            continue
        start = time.perf_counter()
        prediction = predictor.predict(image)
        seconds += time.perf_counter() - start
        found += len(prediction)
        results.write(
            output,
            name,
            image,
            prediction,
            image_file=file,
            category_index=predictor.category_index,
        )
    return failed, found, seconds


def run():
    """The command."""
    define_flags()
    app.run(main)


if __name__ == "__main__":
    run()
