"""Times the conversion of COCO annotations to records with masks: images a second.

    PYTHONPATH=. python benchmarks/create_records.py [--images 300] [--data FOLDER]
        [--tfod PYTHON --tfod_path SOURCE:SOURCE/slim]

Makes its own data: photograph-like noise of 640 x 480 as JPEG (quality 90), 7 polygons of 8 to 24
corners an image. `--data` takes `FOLDER/img` and `FOLDER/instances.json` in their place. For each
number of processes and form of masks it prints the rate of the conversion alone and of the whole
command with its start. With `--tfod`, a Python that has TensorFlow and what TFOD needs, TFOD's own
script is timed on the same data in the same way, in turn with ours.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from object_detection.datasets import label_ids
from object_detection.datasets.conversion import convert
from object_detection.datasets.examples import Settings
from object_detection.datasets.formats import coco
from object_detection.datasets.records import ShardedRecords

HEIGHT, WIDTH, OBJECTS, SHARDS = 480, 640, 7, 10
ROOT = Path(__file__).resolve().parents[1]
TFOD = """
import json, sys, time
from absl import flags
from object_detection.dataset_tools import create_coco_tf_record as script
flags.FLAGS(["x"])
started = time.time()
script._create_tf_record_from_coco_annotations(*sys.argv[1:4], True, int(sys.argv[4]))
print("SECONDS", time.time() - started)
"""


def make_data(folder, count):
    """Writes `img/*.jpg` and `instances.json`."""
    rng = np.random.default_rng(0)
    (folder / "img").mkdir(parents=True)
    content = {"images": [], "annotations": [], "categories": []}
    content["categories"] = [{"id": i, "name": f"class{i}"} for i in range(1, 91)]
    for number in range(1, count + 1):
        name = f"{number:012d}.jpg"
        Image.fromarray(_photograph(rng)).save(folder / "img" / name, quality=90)
        content["images"].append(
            {"id": number, "file_name": name, "height": HEIGHT, "width": WIDTH}
        )
        for _ in range(OBJECTS):
            key = len(content["annotations"]) + 1
            content["annotations"].append({"id": key, "image_id": number, **_object(rng)})
    (folder / "instances.json").write_text(json.dumps(content))


def _photograph(rng):
    """Noise on several scales, which a JPEG of about 115 kB holds."""
    image = np.zeros((HEIGHT, WIDTH, 3))
    for size, strength in ((4, 120), (32, 60), (120, 40), (480, 24)):
        noise = rng.uniform(0, strength, (size * 3 // 4 + 1, size, 3)).astype(np.uint8)
        image += np.asarray(Image.fromarray(noise).resize((WIDTH, HEIGHT), Image.BICUBIC))
    return np.clip(image, 0, 255).astype(np.uint8)


def _object(rng):
    """A star-shaped polygon with its box, wholly inside the image."""
    corners = rng.integers(8, 25)
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    radii = rng.uniform(15, 110) * rng.uniform(0.6, 1, corners)
    x = np.clip(rng.uniform(60, WIDTH - 60) + radii * np.cos(angles), 0, WIDTH - 1)
    y = np.clip(rng.uniform(60, HEIGHT - 60) + radii * np.sin(angles), 0, HEIGHT - 1)
    points = np.stack([x, y], axis=1).round(2)
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    box = [float(number) for number in (left, top, right - left, bottom - top)]
    return {
        "category_id": int(rng.integers(1, 91)),
        "iscrowd": 0,
        "area": box[2] * box[3] * 0.6,
        "bbox": box,
        "segmentation": [points.ravel().tolist()],
    }


def inner_seconds(data, output, num_workers, mask_storage):
    """Time from the annotation file to the last record, in this process."""
    started = time.time()
    found = coco.read(data / "instances.json", data / "img")
    settings = Settings(label_ids.from_annotations([found]).ids, True, mask_storage)
    records = ShardedRecords(output / "inner.record", SHARDS)
    convert(found.images, records, settings, title="benchmark", num_workers=num_workers)
    return time.time() - started


def process_seconds(data, output, num_workers, mask_storage):
    """Time of the whole command."""
    script = ROOT / "dataset_tools" / "create_coco_tf_record.py"
    flags = [f"--train_image_dir={data / 'img'}", f"--num_workers={num_workers}"]
    flags += [f"--train_annotations_file={data / 'instances.json'}", f"--output_dir={output}"]
    flags += ["--include_masks", f"--mask_storage={mask_storage}", f"--num_shards={SHARDS}"]
    started = time.time()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run(
        [sys.executable, script, *flags], check=True, capture_output=True, env=environment
    )
    return time.time() - started


def tfod_seconds(data, output, python, path):
    """Times of TFOD's function alone and of the process that does nothing else."""
    arguments = [data / "instances.json", data / "img", output / "tfod.record", str(SHARDS)]
    environment = os.environ | {"PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"}
    started = time.time()
    done = subprocess.run(
        [python, "-c", TFOD, *arguments],
        check=True, capture_output=True, text=True, env=environment, cwd="/",
    )  # fmt: skip
    return float(done.stdout.split("SECONDS")[1]), time.time() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=3, help="the best of these counts")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--tfod", help="a Python for TFOD's script")
    parser.add_argument("--tfod_path", default="", help="PYTHONPATH with TFOD's sources")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        output, data = Path(folder) / "records", options.data or Path(folder) / "data"
        output.mkdir()
        if not options.data:
            make_data(data, options.images)
        count = len(list((data / "img").iterdir()))
        cases = {
            f"{storage}, {workers} process{'es'[: 2 * (workers > 1)]}": (workers, storage)
            for storage in ("png", "box")
            for workers in (1, os.cpu_count())
        }
        best = {name: (float("inf"), float("inf")) for name in (*cases, "TFOD")}
        for _ in range(options.repeats):  # in turn: a busy machine is busy for all
            for name, case in cases.items():
                times = inner_seconds(data, output, *case), process_seconds(data, output, *case)
                best[name] = tuple(map(min, best[name], times))
            if options.tfod:
                times = tfod_seconds(data, output, options.tfod, options.tfod_path)
                best["TFOD"] = tuple(map(min, best["TFOD"], times))
    print(f"{count} images, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}: images a second")
    print(f"{'':24}{'conversion':>12}{'whole process':>16}")
    for name, times in best.items():
        if times[0] < float("inf"):
            print(f"{name:24}{count / times[0]:12.1f}{count / times[1]:16.1f}")


if __name__ == "__main__":
    main()
