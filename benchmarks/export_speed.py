"""Times an exported model as it is and with --optimize, through its SavedModel.

    python benchmarks/export_speed.py [--config FILE] [--height 600 --width 1024] [--batch 1]
                                      [--runs 5] [--forms plain,optimize,rle]

Without --config it is the model of `benchmarks/train_step.py`: Mask R-CNN on ResNet-50 C4 with 90
classes, 300 proposals, 100 detections and 33 x 33 masks. Weights are random, so every detection is
computed; images are noise at the model's size. Each form is written, loaded and run as a client
would: one call to warm up, then the median. Prints the time of an image, the SavedModel's size, and
how far the numbers are from those of the first form.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from train_step import RESNET50_C4_MASKS

from object_detection.builders import model_builder
from object_detection.export import batching, preparation, serving
from object_detection.ops import image as resizers
from object_detection.protos import model_pb2

FORMS = ("plain", "optimize", "rle")


def saved(form, model, folder):
    """Writes the SavedModel of a form; its default function, or the one with codes of masks."""
    tf.keras.utils.set_random_seed(1)
    network = model_builder.build_network(model, is_training=False)
    if form != "plain":
        preparation.fold_norms(network)
    detector = batching.Detector(network)
    mask_format = "rle" if form == "rle" else None
    module = serving.FromImages(detector, resizers.Identity(), mask_format=mask_format)
    serving.save(module, folder)
    loaded = tf.saved_model.load(str(folder))
    name = serving.MASK_SIGNATURES["rle"] if form == "rle" else serving.SIGNATURE
    function = loaded.signatures[name]
    return lambda images: (loaded, function(input_tensor=images))[1]


def main():
    """Prints one line for each form."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", help="text of a DetectionModel, such as `model { ... }` holds")
    for name, default in (("height", 600), ("width", 1024), ("batch", 1), ("runs", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--forms", default=",".join(FORMS))
    given = parser.parse_args()
    text = Path(given.config).read_text() if given.config else RESNET50_C4_MASKS
    model = text_format.Parse(text, model_pb2.DetectionModel())
    shape = [given.batch, given.height, given.width, 3]
    images = tf.constant(np.random.default_rng(0).integers(0, 255, shape, np.uint8))
    first = None
    for form in given.forms.split(","):
        with tempfile.TemporaryDirectory() as folder:
            function = saved(form, model, Path(folder))
            size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
            times, cpu = [], []
            for _ in range(given.runs + 1):
                start, used = time.perf_counter(), time.process_time()
                outputs = {name: value.numpy() for name, value in function(images).items()}
                times.append((time.perf_counter() - start) / given.batch)
                cpu.append((time.process_time() - used) / given.batch)
        first = first or outputs
        off = np.abs(outputs["detection_scores"] - first["detection_scores"]).max()
        print(
            f"{form}: {statistics.median(times[1:]):.3f} s an image, "
            f"{statistics.median(cpu[1:]):.3f} s of CPU (first call {times[0]:.1f} s), "
            f"{size / 2**20:.0f} MiB; scores off by at most {off:.1e}",
            flush=True,
        )


if __name__ == "__main__":
    main()
