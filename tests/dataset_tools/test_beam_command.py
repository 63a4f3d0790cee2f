"""--runner as people type it, behind one of the commands that all have it."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
HAS_BEAM = importlib.util.find_spec("apache_beam") is not None


@pytest.fixture
def coco(tmp_path):
    """A folder with three photographs and their annotations."""
    for number in range(3):
        pixels = np.full((20, 30, 3), 50 * number, np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    annotations = {
        "images": [{"id": k, "file_name": f"{k}.png", "height": 20, "width": 30} for k in range(3)],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [
            {"id": k, "image_id": k, "category_id": 1, "bbox": [3, 4, 10, 8], "iscrowd": 0}
            for k in range(3)
        ],
    }
    (tmp_path / "coco.json").write_text(json.dumps(annotations))
    return tmp_path


def convert(folder, output, *arguments):
    command = [
        sys.executable,
        ROOT / "dataset_tools" / "create_coco_tf_record.py",
        f"--train_image_dir={folder}",
        f"--train_annotations_file={folder}/coco.json",
        f"--output_dir={folder}/{output}",
        "--num_shards=2",
        *arguments,
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.skipif(not HAS_BEAM, reason="the extra `beam` brings Apache Beam")
def test_the_same_records_with_a_runner_and_its_options(coco):
    assert convert(coco, "local").returncode == 0
    options = ("--direct_num_workers=2", "--direct_running_mode=multi_processing")

    done = convert(coco, "beam", "--runner=DirectRunner", "--", *options)

    assert done.returncode == 0, done.stderr
    assert "3 images written" in done.stdout
    names = [f"coco_train.record-{k:05d}-of-00002" for k in range(2)]
    for name in [*names, "label_map.pbtxt"]:
        assert (coco / "beam" / name).read_bytes() == (coco / "local" / name).read_bytes()


@pytest.mark.skipif(not HAS_BEAM, reason="the extra `beam` brings Apache Beam")
def test_a_runner_that_there_is_not(coco):
    done = convert(coco, "beam", "--runner=NoSuchRunner")

    assert done.returncode == 1
    assert "error: --runner=NoSuchRunner: Unexpected pipeline runner" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(HAS_BEAM, reason="Apache Beam is here")
def test_without_beam_it_is_said_how_to_get_it(coco):
    done = convert(coco, "beam", "--runner=DirectRunner")

    assert done.returncode == 1
    assert "error: --runner=DirectRunner needs Apache Beam" in done.stderr
    assert "pip install --editable '.[beam]'" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--", "--flink_master=x"), "unknown arguments: --flink_master=x"),
        (("--worker_paths=a=b",), "--worker_paths belongs to --runner"),
    ],
)
def test_what_belongs_to_a_runner_needs_one(arguments, sentence, coco):
    done = convert(coco, "beam", *arguments)

    assert done.returncode == 1
    assert sentence in done.stdout + done.stderr
