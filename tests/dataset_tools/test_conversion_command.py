"""What all commands have in common, by way of COCO's: flags, files, exit codes, a kill."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "dataset_tools" / "create_coco_tf_record.py"


def _make_set(folder, count=5, **fields):
    """Images of 10 x 8 with one object each; `fields` replace those of the first annotation."""
    folder.mkdir()
    annotations, images = [], []
    for number in range(count):
        Image.new("RGB", (10, 8), (number, 0, 0)).save(folder / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png"})
        one = {"id": number, "image_id": number, "category_id": 1, "bbox": [1, 1, 4, 4]}
        annotations.append(one | {"area": 16, "segmentation": [[1, 1, 5, 1, 5, 5, 1, 5]]})
    annotations[0] |= fields
    content = {"images": images, "annotations": annotations}
    content["categories"] = [{"id": 1, "name": "cat"}]
    (folder / "set.json").write_text(json.dumps(content))
    return [f"--train_image_dir={folder}", f"--train_annotations_file={folder / 'set.json'}"]


def _command(arguments, output):
    return [sys.executable, str(SCRIPT), *arguments, f"--output_dir={output}"]


def _run(arguments, output):
    return subprocess.run(
        _command(arguments, output),
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        check=False,
    )


def _examples(path):
    return [
        tf.train.Example.FromString(record).features.feature
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    ]


def _ids(path):
    return [each["image/source_id"].bytes_list.value[0] for each in _examples(path)]


def test_a_share_is_set_aside_as_records_of_their_own(tmp_path):
    flags = [*_make_set(tmp_path / "set"), "--val_fraction=0.4", "--split_seed=3", "--num_shards=0"]

    done = _run(flags, tmp_path / "out")

    assert done.returncode == 0, done.stderr
    assert "train_train: 3 images" in done.stdout
    assert "train_val: 2 images" in done.stdout
    train, val = (_ids(tmp_path / "out" / f"coco_train_{part}.record") for part in ("train", "val"))
    assert sorted(train + val) == [b"0", b"1", b"2", b"3", b"4"]
    assert len(val) == 2


def test_image_i_is_in_shard_i_modulo_their_number(tmp_path):
    flags = _make_set(tmp_path / "set")
    (tmp_path / "set" / "1.png").write_bytes(b"broken")  # its place stays empty

    _run([*flags, "--num_shards=2"], tmp_path / "out")

    shards = sorted((tmp_path / "out").glob("coco_train.record-0*"))
    assert [_ids(shard) for shard in shards] == [[b"0", b"2", b"4"], [b"3"]]


def test_shards_by_size(tmp_path):
    flags = _make_set(tmp_path / "set")  # records of some 700 bytes

    _run([*flags, "--shard_size_mb=0.001"], tmp_path / "out")

    assert 2 <= len(list((tmp_path / "out").glob("coco_train.record-0*"))) <= 5


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({}, None),
        ({"area": None}, None),  # taken from the mask: nothing to correct
        ({"bbox": [1, 1, 0, 0]}, "1 findings"),
        ({"bbox": [7, 1, 9, 4]}, "2 findings"),  # cut at the border; far from its mask
        ({"segmentation": []}, "1 findings"),
    ],
)
def test_strict_ends_in_an_error_where_there_is_something_to_correct(tmp_path, fields, fault):
    flags = [*_make_set(tmp_path / "set", **fields), "--include_masks", "--num_shards=1"]

    strict = _run([*flags, "--strict"], tmp_path / "strict")

    assert strict.returncode == (1 if fault else 0)
    assert (fault or "") in strict.stderr
    assert (tmp_path / "strict" / "coco_train.record-00000-of-00001").is_file()
    assert (tmp_path / "strict" / "coco_train.record.report.json").is_file()
    if fault:
        assert _run(flags, tmp_path / "lax").returncode == 0


@pytest.mark.parametrize("storage", ["box", "numerical"])
def test_masks_of_another_storage(tmp_path, storage):
    flags = [*_make_set(tmp_path / "set"), "--include_masks", f"--mask_storage={storage}"]

    _run([*flags, "--num_shards=0"], tmp_path / "out")

    example = _examples(tmp_path / "out" / "coco_train.record")[0]
    if storage == "box":
        (encoded,) = example["image/object/mask/box_png"].bytes_list.value
        assert tf.io.decode_png(encoded).numpy().shape == (4, 4, 1)
        assert example["image/object/mask/box_top"].int64_list.value == [1]
        assert example["image/object/mask/box_left"].int64_list.value == [1]
        assert "image/object/mask" not in example
    else:
        mask = np.reshape(example["image/object/mask"].float_list.value, (8, 10))
        assert mask.sum() == mask[1:5, 1:5].sum() == 16


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (["--num_shards=1", "--shard_size_mb=5"], "give one"),
        (["--val_fraction=1"], "no image for training"),
        (["--mask_storage=box"], "needs --include_masks"),
    ],
)
def test_flags_that_do_not_go_together(tmp_path, flags, why):
    done = _run([*_make_set(tmp_path / "set"), *flags], tmp_path / "out")

    assert done.returncode == 1
    assert why in done.stderr
    assert not (tmp_path / "out").exists()


def test_tensorflow_is_not_needed(tmp_path):
    """Its import would take longer than the conversion of some hundred images."""
    code = (
        "import sys, runpy\n"
        "sys.modules['tensorflow'] = None\n"
        f"sys.argv = {_command(_make_set(tmp_path / 'set'), tmp_path / 'out')[1:]!r}\n"
        f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')\n"
    )
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, capture_output=True)

    assert len(list((tmp_path / "out").glob("coco_train.record-0*"))) == 100


def _make_slow_set(folder, count):
    """Many names of one large photograph."""
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (750, 1000, 3), np.uint8)
    Image.fromarray(noise).resize((1400, 1050)).save(folder / "0.jpg")
    for number in range(1, count):
        os.link(folder / "0.jpg", folder / f"{number}.jpg")
    images = [{"id": number, "file_name": f"{number}.jpg"} for number in range(count)]
    bad = {"image_id": 0, "category_id": 1, "bbox": [1, 1, 0, 0]}
    good = {"image_id": 0, "category_id": 1, "bbox": [1, 1, 4, 4]}
    content = {"images": images, "categories": [{"id": 1, "name": "cat"}]}
    content["annotations"] = [{"id": i} | (good if i else bad) for i in range(3)]
    (folder / "set.json").write_text(json.dumps(content))
    return [f"--train_image_dir={folder}", f"--train_annotations_file={folder / 'set.json'}"]


@pytest.mark.parametrize("num_workers", [1, 2])
def test_a_run_that_was_killed_goes_on(tmp_path, num_workers):
    flags = [*_make_slow_set(tmp_path / "set", 96), "--num_shards=24"]
    flags.append(f"--num_workers={num_workers}")
    output = tmp_path / "out"
    folder = output / ".coco_train.record.partial"
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    run = subprocess.Popen(_command(flags, output), env=environment, stderr=subprocess.DEVNULL)
    deadline = time.time() + 60
    while not (folder / "00002.json").exists():
        assert run.poll() is None and time.time() < deadline
        time.sleep(0.005)
    run.send_signal(signal.SIGKILL)
    run.wait()

    assert not list(output.glob("coco_train*"))  # nothing that looks whole
    finished = {path: path.stat().st_mtime_ns for path in folder.glob("000??.json")}
    assert 3 <= len(finished) < 24
    kept = (folder / "00001").read_bytes()
    done = _run([*flags, "--resume"], output)

    assert done.returncode == 0, done.stderr
    assert "96 images written" in done.stdout
    assert "no height or no width: 1 (annotation 0)" in done.stdout  # it was in the first shard
    shards = sorted(output.glob("coco_train.record-*"))
    assert len(shards) == 24
    assert shards[1].read_bytes() == kept
    assert [_ids(shard) for shard in shards] == [
        [b"%d" % number for number in range(index, 96, 24)] for index in range(24)
    ]
    assert not folder.exists()


def test_resume_refuses_another_data_set(tmp_path):
    flags = [*_make_set(tmp_path / "set"), "--num_shards=2"]
    folder = tmp_path / "out" / ".coco_train.record.partial"
    _run(flags, tmp_path / "out")
    report = json.loads((tmp_path / "out" / "coco_train.record.report.json").read_text())
    folder.mkdir()  # as a run leaves it that was stopped after its first shard
    inputs = report["made_from"]
    notes = {"digest": inputs.pop("shards")[0], "written": {}, "classes": {}, "findings": []}
    shard = (tmp_path / "out" / "coco_train.record-00000-of-00002").read_bytes()
    (folder / "00000").write_bytes(shard)
    (folder / "00000.json").write_text(json.dumps({"bytes": len(shard), "notes": notes}))
    (folder / "inputs.json").write_text(json.dumps(inputs))

    refused = _run([*flags, "--resume", "--include_masks"], tmp_path / "out")
    taken = _run([*flags, "--resume"], tmp_path / "out")

    assert refused.returncode == 1
    assert "What changed: include_masks" in refused.stderr
    assert taken.returncode == 0, taken.stderr
