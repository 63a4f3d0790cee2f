"""Times the input pipeline: images a second, CPU time and memory.

    PYTHONPATH=. python benchmarks/input_pipeline.py [--images 400] [--batch_size 1] [--masks png]

Makes its own records: photograph-like noise of 640 x 480 as JPEG (quality 90) with 7 objects, each
with a mask of the whole image, resized to 800 x 1067. `--records GLOB --label_map FILE` for yours.
"""

import argparse
import io
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from PIL import Image

from object_detection.builders import dataset_builder
from object_detection.protos import pipeline_pb2

HEIGHT, WIDTH, OBJECTS = 480, 640, 7

CONFIG = """
model {{ faster_rcnn {{ num_classes: 90 image_resizer {{
  keep_aspect_ratio_resizer {{ min_dimension: 800 max_dimension: 1333 }} }} }} }}
train_config {{ data_augmentation_options {{ random_horizontal_flip {{ }} }} }}
train_input_reader {{
  label_map_path: "{label_map}" load_instance_masks: {masks} mask_type: {mask_type}
  tf_record_input_reader {{ input_path: "{records}" }} }}
"""


def photograph(rng):
    """Noise on several scales, which a JPEG of about 115 kB holds."""
    image = np.zeros((HEIGHT, WIDTH, 3))
    for size, strength in ((4, 120), (32, 60), (120, 40), (480, 24)):
        noise = rng.uniform(0, strength, (size * 3 // 4 + 1, size, 3)).astype(np.uint8)
        image += np.asarray(Image.fromarray(noise).resize((WIDTH, HEIGHT), Image.BICUBIC))
    return np.clip(image, 0, 255).astype(np.uint8)


def record(rng, number, numerical):
    """One serialized example."""
    example = tf.train.Example()
    feature = example.features.feature
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    for _ in range(OBJECTS):
        cy, cx = rng.uniform(100, HEIGHT - 100), rng.uniform(100, WIDTH - 100)
        ry, rx = rng.uniform(20, 90, 2)
        wobble = 1 + 0.2 * np.sin(5 * np.arctan2(y - cy, x - cx))
        mask = ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 < wobble
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        box = {
            "ymin": rows[0] / HEIGHT,
            "xmin": columns[0] / WIDTH,
            "ymax": (rows[-1] + 1) / HEIGHT,
            "xmax": (columns[-1] + 1) / WIDTH,
        }
        for side, value in box.items():
            feature[f"image/object/bbox/{side}"].float_list.value.append(value)
        feature["image/object/class/label"].int64_list.value.append(int(rng.integers(1, 91)))
        if numerical:
            feature["image/object/mask"].float_list.value.extend(mask.ravel().tolist())
        else:
            feature["image/object/mask"].bytes_list.value.append(encode(mask, "PNG"))
    jpeg = encode(photograph(rng), "JPEG", quality=90)
    feature["image/encoded"].bytes_list.value.append(jpeg)
    feature["image/format"].bytes_list.value.append(b"jpeg")
    feature["image/source_id"].bytes_list.value.append(b"%d" % number)
    feature["image/height"].int64_list.value.append(HEIGHT)
    feature["image/width"].int64_list.value.append(WIDTH)
    return example.SerializeToString()


def encode(pixels, kind, **options):
    """The bytes of an image file."""
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, kind, **options)
    return file.getvalue()


def write_records(folder, count, numerical):
    """Four files with `count` different examples in all; returns their glob."""
    rng = np.random.default_rng(0)
    for shard in range(4):
        with tf.io.TFRecordWriter(str(folder / f"made.record-{shard:05d}-of-00004")) as writer:
            for number in range(shard, count, 4):
                writer.write(record(rng, number, numerical))
    return str(folder / "made.record-*")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=400, help="images to time")
    parser.add_argument("--different", type=int, default=40, help="different images to make")
    parser.add_argument("--batch_size", type=int, default=1)
    parser.add_argument("--masks", choices=("png", "numerical", "none"), default="png")
    parser.add_argument("--records", default="", help="glob of your own records")
    parser.add_argument("--label_map", default="", help="label map of your own records")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        numerical = options.masks == "numerical"
        config = CONFIG.format(
            label_map=options.label_map,
            masks=str(options.masks != "none").lower(),
            mask_type="NUMERICAL_MASKS" if numerical else "PNG_MASKS",
            records=options.records or write_records(Path(folder), options.different, numerical),
        )
        config = text_format.Parse(config, pipeline_pb2.TrainEvalPipelineConfig())
        measure(config, options)


def measure(config, options):
    """Prints what `options.images` images take after a warm-up."""
    pipeline = dataset_builder.build(
        config.train_input_reader,
        model_config=config.model,
        train_config=config.train_config,
        training=True,
        batch_size=options.batch_size,
    )
    batches = iter(pipeline)
    for _ in range(max(1, 50 // options.batch_size)):
        next(batches)
    steps = options.images // options.batch_size
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(steps):
        next(batches)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    images = steps * options.batch_size
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{images / wall:.0f} images/s, {1000 * cpu / images:.1f} ms CPU an image, "
        f"peak memory {peak:.0f} MiB"
    )


if __name__ == "__main__":
    main()
