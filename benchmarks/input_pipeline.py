"""Times the input pipeline beside a naive one and beside decoding alone, on the same records.

    PYTHONPATH=. python benchmarks/input_pipeline.py [--rounds 5] [--seconds 2]

Makes its own records: photograph-like noise of 640 x 480 as JPEG (quality 90) with 7 objects, each
with a mask of the whole image as Pillow writes it; the same again with masks cut at their extent.
Images become 800 x 1067. What is measured, one after the other and again in every round:

    naive          what the original API does: masks as float32, each resized to the model's input
    decode limit   nothing but parsing, the JPEG and 7 PNGs, by TensorFlow (uint8, in a map_fn)
    pipeline ...   the product, of records with whole masks and with cut ones, and with
                   `crop_masks: false`

Of each the medians: images a second as they came, CPU milliseconds an image, and the images a
second that all cores would give at that cost (which other programs change little). Then, each in a
process of its own, how far memory grows over a TensorFlow that does nothing, and the bytes of a
batch's masks. The product makes batches of `--batch_size`; the others make single images.
`--records GLOB` measures records of your own instead, in the pipeline alone.
"""

import argparse
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import tensorflow as tf
from google.protobuf import text_format
from PIL import Image

from object_detection.builders import dataset_builder
from object_detection.datasets import examples
from object_detection.protos import pipeline_pb2
from object_detection.structures.masks import CroppedMask

HEIGHT, WIDTH, OBJECTS = 480, 640, 7
RESIZED = (800, 1067)
FORMS = {"whole": "png", "cut": "box"}  # of masks in the records: the writer's --mask_storage
PIPELINES = {
    "pipeline, whole masks": ("whole", ""),
    "pipeline, cut masks": ("cut", ""),
    "... whole masks, crop_masks: false": ("whole", "crop_masks: false"),
    "... cut masks, crop_masks: false": ("cut", "crop_masks: false"),
}
CONFIG = """
model {{ faster_rcnn {{ num_classes: 90 image_resizer {{
  keep_aspect_ratio_resizer {{ min_dimension: 800 max_dimension: 1333 }} }} }} }}
train_config {{ data_augmentation_options {{ random_horizontal_flip {{ }} }} }}
train_input_reader {{
  label_map_path: "{label_map}" load_instance_masks: {masks} mask_type: PNG_MASKS {fields}
  tf_record_input_reader {{ input_path: "{records}" }} }}
"""


# Records


def photograph(rng):
    """Noise on several scales, which a JPEG of about 115 kB holds."""
    image = np.zeros((HEIGHT, WIDTH, 3))
    for size, strength in ((4, 120), (32, 60), (120, 40), (480, 24)):
        noise = rng.uniform(0, strength, (size * 3 // 4 + 1, size, 3)).astype(np.uint8)
        image += np.asarray(Image.fromarray(noise).resize((WIDTH, HEIGHT), Image.BICUBIC))
    return np.clip(image, 0, 255).astype(np.uint8)


def blob(rng):
    """A mask [HEIGHT, WIDTH] of one object, and its `CroppedMask`."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    cy, cx = rng.uniform(60, HEIGHT - 60), rng.uniform(60, WIDTH - 60)
    radius = np.exp(rng.uniform(3, 5))
    wobble = 0.7 + 0.2 * np.sin(5 * np.arctan2(y - cy, x - cx) + rng.uniform(0, 6))
    mask = (((y - cy) ** 2 + (x - cx) ** 2) < (radius * wobble) ** 2).astype(np.uint8)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    part = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return mask, CroppedMask(part, int(rows[0]), int(columns[0]))


def encode(pixels, kind, **options):
    """The bytes of an image file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def add(example, key, values):
    """Puts a list of bytes, integers or floats into an example."""
    kind = {bytes: "bytes_list", int: "int64_list", float: "float_list"}[type(values[0])]
    getattr(example.features.feature[key], kind).value.extend(values)


def records_of(rng, number):
    """The serialized examples of one image, by form of its masks."""
    jpeg = encode(photograph(rng), "JPEG", quality=90)
    masks, parts = zip(*(blob(rng) for _ in range(OBJECTS)), strict=True)
    classes = rng.integers(1, 91, OBJECTS).tolist()
    found = {}
    for form, storage in FORMS.items():
        example = tf.train.Example()
        add(example, "image/encoded", [jpeg])
        add(example, "image/format", [b"jpeg"])
        add(example, "image/source_id", [b"%d" % number])
        add(example, "image/height", [HEIGHT])
        add(example, "image/width", [WIDTH])
        add(example, "image/object/class/label", classes)
        for side, length in (("top", HEIGHT), ("left", WIDTH)):
            name = {"top": "y", "left": "x"}[side]
            starts = [getattr(part, side) for part in parts]
            extents = [part.pixels.shape[side == "left"] for part in parts]
            ends = [a + b for a, b in zip(starts, extents, strict=True)]
            add(example, f"image/object/bbox/{name}min", [a / length for a in starts])
            add(example, f"image/object/bbox/{name}max", [b / length for b in ends])
        if storage == "png":  # as TFOD's scripts write them
            add(example, examples.MASK, [encode(mask, "PNG") for mask in masks])
        else:
            for key, values in examples.mask_features(parts, HEIGHT, WIDTH, storage).items():
                add(example, key, list(values) if isinstance(values, list) else values.tolist())
        found[form] = example.SerializeToString()
    return found


def write_records(folder, count):
    """Four files of each form with `count` different examples in all; their globs by form."""
    rng = np.random.default_rng(0)
    examples = [records_of(rng, number) for number in range(count)]
    for form in FORMS:
        for shard in range(4):
            name = f"{form}.record-{shard:05d}-of-00004"
            with tf.io.TFRecordWriter(str(folder / name)) as writer:
                for example in examples[shard::4]:
                    writer.write(example[form])
    return {form: str(folder / f"{form}.record-*") for form in FORMS}


# What is measured


def parse(serialized):
    """The JPEG and the PNGs of a record."""
    strings = tf.io.FixedLenSequenceFeature([], tf.string, allow_missing=True)
    features = {"image/encoded": tf.io.FixedLenFeature([], tf.string), examples.MASK: strings}
    parsed = tf.io.parse_single_example(serialized, features)
    return parsed["image/encoded"], parsed[examples.MASK]


def naive(serialized):
    """Masks become float32 one by one, and each is resized to the size of the resized image."""
    jpeg, pngs = parse(serialized)
    image = tf.cast(tf.io.decode_jpeg(jpeg, channels=3), tf.float32)
    masks = tf.map_fn(
        lambda png: tf.cast(tf.io.decode_png(png, channels=1)[..., 0], tf.float32),
        pngs,
        fn_output_signature=tf.float32,
    )
    resized = tf.map_fn(
        lambda mask: tf.image.resize(mask[..., tf.newaxis], RESIZED, method="nearest")[..., 0],
        masks,
    )
    return tf.image.resize(image, RESIZED), resized


def decode_limit(serialized):
    """Everything compressed is decoded, and nothing else is done."""
    jpeg, pngs = parse(serialized)
    masks = tf.map_fn(
        lambda png: tf.io.decode_png(png, channels=1), pngs, fn_output_signature=tf.uint8
    )
    return tf.io.decode_jpeg(jpeg, channels=3), masks


def simple_dataset(pattern, function):
    """A plain pipeline of records in memory; as many calls at once as there are cores."""
    paths = sorted(tf.io.gfile.glob(pattern))
    records = [record.numpy() for record in tf.data.TFRecordDataset(paths)]
    dataset = tf.data.Dataset.from_tensor_slices(records).repeat()
    dataset = dataset.map(function, num_parallel_calls=os.cpu_count()).prefetch(4)
    options = tf.data.Options()
    options.threading.private_threadpool_size = os.cpu_count()
    return dataset.with_options(options)


def pipeline(pattern, fields="", *, batch_size=1, label_map="", masks=True):
    """The dataset that training reads."""
    text = CONFIG.format(
        records=pattern, fields=fields, label_map=label_map, masks=str(masks).lower()
    )
    config = text_format.Parse(text, pipeline_pb2.TrainEvalPipelineConfig())
    return dataset_builder.build(
        config.train_input_reader,
        model_config=config.model,
        train_config=config.train_config,
        training=True,
        batch_size=batch_size,
    ).dataset


def once(dataset, seconds):
    """(images a second, CPU seconds an image) of a fresh iterator, after a warm-up."""
    batches = iter(dataset)
    first = next(batches)
    size = first.image_id.shape[0] if hasattr(first, "image_id") else 1
    warm = time.perf_counter()
    while time.perf_counter() - warm < seconds / 2:
        next(batches)
    images, wall, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - wall < seconds:
        next(batches)
        images += size
    return images / (time.perf_counter() - wall), (time.process_time() - cpu) / images


def compare(datasets, options):
    """Prints a line for each dataset, and returns its median CPU seconds an image."""
    figures = {name: [] for name in datasets}
    for _ in range(options.rounds):
        for name, dataset in datasets.items():
            figures[name].append(once(dataset, options.seconds))
    costs, cores = {}, os.cpu_count()
    for name, found in figures.items():
        rate = statistics.median(rate for rate, _ in found)
        costs[name] = statistics.median(cost for _, cost in found)
        each, full = 1000 * costs[name], cores / costs[name]
        print(
            f"{name:36s}{rate:8.0f} images/s{each:8.2f} ms CPU{full:8.0f} images/s on {cores} cores"
        )
    return costs


# Memory


def growth(pattern, fields, batch_size):
    """Prints how many MiB this process grows by reading batches, and its masks' bytes."""
    process = psutil.Process()
    tf.reduce_sum(tf.random.normal([512, 512]) @ tf.random.normal([512, 512])).numpy()
    idle, peak = process.memory_info().rss, 0
    for number, batch in enumerate(pipeline(pattern, fields, batch_size=batch_size)):
        peak = max(peak, process.memory_info().rss)
        if number == 40:
            print((peak - idle) >> 20, batch.truth.masks.pixels.numpy().nbytes)
            return


def memory(patterns, options):
    """Prints memory of every kind of pipeline, each in a process of its own."""
    size, reference = options.batch_size, options.batch_size * RESIZED[0] * RESIZED[1] * 4
    padded, bare = 100 * reference, OBJECTS * reference
    print(
        f"\nbatches of {size}; masks as float32 at the image's size: {padded / 1e6:.0f} MB padded "
        f"to 100 boxes (the original API), {bare / 1e6:.0f} MB for {OBJECTS}"
    )
    for name, (form, fields) in PIPELINES.items():
        command = [sys.executable, __file__, "--grow", patterns[form], fields]
        command += ["--batch_size", str(size)]
        found = subprocess.run(command, check=True, capture_output=True, text=True)
        grown, held = map(int, found.stdout.split())
        print(
            f"{name:36s} grows by {grown:5d} MiB; masks {held / 1e6:6.2f} MB, "
            f"1/{padded / held:.0f} and 1/{bare / held:.0f} of these"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--different", type=int, default=64, help="different images to make")
    parser.add_argument("--batch_size", type=int, default=8, help="of the product")
    parser.add_argument("--records", default="", help="glob of your own records")
    parser.add_argument("--label_map", default="", help="label map of your own records")
    parser.add_argument("--no_masks", action="store_true", help="of your own records")
    parser.add_argument("--grow", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.grow:
        growth(*options.grow, options.batch_size)
        return
    if options.records:
        kinds = {"pipeline": "", "pipeline, crop_masks: false": "crop_masks: false"}
        how = {"label_map": options.label_map, "masks": not options.no_masks}
        how["batch_size"] = options.batch_size
        own = {name: pipeline(options.records, fields, **how) for name, fields in kinds.items()}
        compare(own, options)
        return
    with tempfile.TemporaryDirectory() as folder:
        patterns = write_records(Path(folder), options.different)
        datasets = {
            "naive": simple_dataset(patterns["whole"], naive),
            "decode limit": simple_dataset(patterns["whole"], decode_limit),
        }
        for name, (form, fields) in PIPELINES.items():
            datasets[name] = pipeline(patterns[form], fields, batch_size=options.batch_size)
        costs = compare(datasets, options)
        print()
        for name in PIPELINES:
            faster = costs["naive"] / costs[name]
            share = 100 * costs["decode limit"] / costs[name]
            print(f"{name:36s}{faster:6.1f} x naive{share:6.0f} % of the decode limit")
        memory(patterns, options)


if __name__ == "__main__":
    main()
