"""The command, end to end, and real sets made by others."""

import io
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from pycocotools.coco import COCO
from reference import REFERENCE, needs_reference

from object_detection.dataset_tools.conversion_command import Options, Split, convert
from object_detection.dataset_tools.create_coco_tf_record import persons_only
from object_detection.datasets.formats import coco
from object_detection.errors import AnnotationError

ROOT = Path(__file__).parents[2]


def _make_set(folder, names=("person", "dog"), first_id=1):
    """Two images of 8 x 10, the first with a person and a dog, the second with a dog."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("a.png", "b.png"):
        Image.new("RGB", (10, 8)).save(folder / name)
    triangle = [[1, 1, 5, 1, 5, 5]]
    objects = [(1, 0), (1, 1), (2, 1)]
    content = {
        "images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}],
        "categories": [{"id": first_id + k, "name": name} for k, name in enumerate(names)],
        "annotations": [
            {"id": k, "image_id": i, "category_id": first_id + c, "segmentation": triangle}
            for k, (i, c) in enumerate(objects)
        ],
    }
    (folder / "set.json").write_text(json.dumps(content))
    return str(folder), str(folder / "set.json")


def _convert(splits, output_dir, **options):
    """Converts (name, image folder, annotation file)s as all commands do."""
    found = [
        Split(name, Path(output_dir) / f"coco_{name}.record", coco.read(annotations, images))
        for name, images, annotations in splits
    ]
    return convert(found, Options(**options))


def _examples(folder, name):
    paths = sorted(str(path) for path in Path(folder).glob(f"coco_{name}.record-*"))
    return [
        tf.train.Example.FromString(record).features.feature
        for record in tf.data.TFRecordDataset(paths).as_numpy_iterator()
    ]


def _run(*arguments):
    command = [sys.executable, str(ROOT / "dataset_tools/create_coco_tf_record.py"), *arguments]
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_one_split_alone_has_tfods_names_and_number_of_shards(tmp_path):
    images, annotations = _make_set(tmp_path / "set")
    flags = [f"--val_image_dir={images}", f"--val_annotations_file={annotations}"]

    done = _run(*flags, f"--output_dir={tmp_path / 'out'}", "--include_masks")

    assert done.returncode == 0, done.stderr
    assert "3 objects" in done.stdout
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names[0] == "coco_val.record-00000-of-00050"
    reports = ["coco_val.record.report.json", "coco_val.record.report.txt"]
    assert names[50:] == [*reports, "label_map.pbtxt"]
    assert f"from {ROOT / 'object_detection'}" in done.stderr  # which package of that name this is
    assert "\r" not in done.stderr  # no progress bar where nobody watches


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        ([], "nothing to convert"),
        (["--train_image_dir=."], "needs both --train_image_dir and --train_annotations_file"),
        (["--train_image_dir=nowhere", "--train_annotations_file=x"], "no folder nowhere"),
        (["--train_keypoint_annotations_file=x"], "keypoints and DensePose are not supported"),
    ],
)
def test_wrong_flags_end_in_a_sentence(flags, why):
    done = _run(*flags)

    assert done.returncode == 1
    assert why in done.stderr
    assert "Traceback" not in done.stderr


def test_a_split_of_which_nothing_can_be_written_fails(tmp_path):
    images, annotations = _make_set(tmp_path / "set")
    for path in (tmp_path / "set").glob("*.png"):
        path.unlink()

    done = _run(
        f"--train_image_dir={images}",
        f"--train_annotations_file={annotations}",
        f"--output_dir={tmp_path / 'out'}",
    )

    assert done.returncode == 1
    assert "a.png, b.png" in done.stdout


def test_ids_from_zero_are_raised_in_records_and_label_map(tmp_path):
    train = ("train", *_make_set(tmp_path / "train", first_id=0))

    (report,) = _convert([train], tmp_path / "out", include_masks=True)

    labels = [
        e["image/object/class/label"].int64_list.value[:]
        for e in _examples(tmp_path / "out", "train")
    ]
    assert labels == [[1, 2], [2]]
    assert "start at 0" in report.text()
    assert 'id: 1\n  name: "person"' in (tmp_path / "out" / "label_map.pbtxt").read_text()


def test_splits_share_one_label_map(tmp_path):
    train = ("train", *_make_set(tmp_path / "train"))
    val = ("val", *_make_set(tmp_path / "val", names=("dog", "person")))

    _convert([train, val], tmp_path / "out", include_masks=False)

    (a, _), (b, _) = (_examples(tmp_path / "out", name) for name in ("train", "val"))
    assert a["image/object/class/text"].bytes_list.value[:] == [b"person", b"dog"]
    assert a["image/object/class/label"].int64_list.value[:] == [1, 2]
    assert b["image/object/class/text"].bytes_list.value[:] == [b"dog", b"person"]
    assert b["image/object/class/label"].int64_list.value[:] == [2, 1]


def test_a_given_label_map_decides(tmp_path):
    (tmp_path / "mine.pbtxt").write_text("item { id: 4 name: 'dog' }")
    train = ("train", *_make_set(tmp_path / "train"))

    (report,) = _convert(
        [train], tmp_path / "out", include_masks=False, label_map_path=tmp_path / "mine.pbtxt"
    )

    labels = [
        e["image/object/class/label"].int64_list.value[:]
        for e in _examples(tmp_path / "out", "train")
    ]
    assert labels == [[4], [4]]
    assert report.names["skipped objects"] == {
        "the label map has no class 'person'": ["annotation 0"]
    }
    assert not (tmp_path / "out" / "label_map.pbtxt").exists()


def test_a_cut_off_json_stops_before_anything_is_written(tmp_path):
    images, annotations = _make_set(tmp_path / "set")
    text = Path(annotations).read_text()
    Path(annotations).write_text(text[: len(text) // 2])

    with pytest.raises(AnnotationError, match="cut off"):
        _convert([("train", images, annotations)], tmp_path / "out", include_masks=True)
    assert not (tmp_path / "out").exists()


def test_persons_only(tmp_path):
    found = coco.read(*reversed(_make_set(tmp_path / "set")))

    def kept(**flags):
        images = [persons_only(image, **flags) for image in found.images]
        return [[each.class_name for each in image.objects] for image in images if image]

    assert kept(objects=True, images=False) == [["person"], []]
    assert kept(objects=False, images=True) == [["person", "dog"]]


def test_the_flags_of_persons(tmp_path):
    images, annotations = _make_set(tmp_path / "set")
    flags = [f"--train_image_dir={images}", f"--train_annotations_file={annotations}"]
    flags += ["--remove_non_person_annotations", "--remove_non_person_images", "--num_shards=0"]

    done = _run(*flags, f"--output_dir={tmp_path / 'out'}")

    assert "train: 1 images written" in done.stdout
    assert "objects by class: person 1\n" in done.stdout
    assert (tmp_path / "out" / "coco_train.record").is_file()


REAL_SETS = {
    "nuclei256": ("images", "instances_val.json", {"images": 60, "objects": 1687, "crowds": 0}),
    "nuts": ("data/images", "data/trainval.json", {"images": 18, "objects": 165, "crowds": 0}),
    "horse_zebra": (
        "dataset/val_img",
        "dataset/val.json",
        {"images": 2, "objects": 4, "crowds": 0},
    ),
    "tiny_coco_lz": (
        "tiny_coco/train2017",
        "tiny_coco/annotations/instances_train2017.json",
        {"images": 50, "objects": 470, "crowds": 5},
    ),
}


@needs_reference
@pytest.mark.parametrize("name", REAL_SETS)
def test_every_object_of_a_real_set_comes_out_as_pycocotools_sees_it(tmp_path, name):
    folder = REFERENCE / "data" / "sets" / name
    images, annotations, counts = REAL_SETS[name]
    split = ("val", str(folder / images), str(folder / annotations))

    (report,) = _convert([split], tmp_path, include_masks=True, num_shards=2)

    assert {key: report.written[key] for key in counts} == counts
    truth = COCO(str(folder / annotations))
    shift = min(truth.cats) == 0
    for features in _examples(tmp_path, "val"):
        image_id = int(features["image/source_id"].bytes_list.value[0])
        expected = truth.imgToAnns[image_id]
        labels = features["image/object/class/label"].int64_list.value
        assert [a["category_id"] + shift for a in expected] == list(labels)
        masks = features["image/object/mask"].bytes_list.value
        for annotation, encoded in zip(expected, masks, strict=True):
            mask = np.asarray(Image.open(io.BytesIO(encoded)))
            np.testing.assert_array_equal(mask, truth.annToMask(annotation))
        width = features["image/width"].int64_list.value[0]
        xmin = np.array(features["image/object/bbox/xmin"].float_list.value) * width
        np.testing.assert_allclose(xmin, [max(a["bbox"][0], 0) for a in expected], atol=1e-3)


@needs_reference
@pytest.mark.parametrize(("part", "objects"), [("train2017", 470), ("val2017", 382)])
def test_a_slice_of_coco_is_accounted_for_to_the_last_object(tmp_path, part, objects):
    folder = REFERENCE / "data" / "sets" / "tiny_coco_lz" / "tiny_coco"
    annotations = folder / "annotations" / f"instances_{part}.json"
    content = json.loads(annotations.read_text())
    sizes = {image["id"]: (image["width"], image["height"]) for image in content["images"]}
    crossing, at_border, crowds = 0, 0, Counter()
    for each in content["annotations"]:
        (x, y, width, height), (right, bottom) = each["bbox"], sizes[each["image_id"]]
        crossing += max(x + width - right, y + height - bottom, -x, -y) > 1e-3
        at_border += x + width > right or y + height > bottom  # what TFOD leaves out
        crowds[each["image_id"]] += each["iscrowd"]
    empty = sizes.keys() - {each["image_id"] for each in content["annotations"]}

    (report,) = _convert(
        [("x", str(folder / part), str(annotations))], tmp_path, include_masks=True
    )

    assert len(content["annotations"]) == objects
    assert dict(report.written) == {
        "images": 50,
        "images without objects": len(empty),
        "objects": objects,
        "crowds": sum(crowds.values()),
        "masks": objects,
    }
    assert report.count("clipped objects") == crossing <= at_border
    assert report.count("skipped objects") == report.count("skipped images") == 0
    assert "lie apart" not in report.text()
    for example in _examples(tmp_path, "x"):
        image = int(example["image/source_id"].bytes_list.value[0])
        assert sum(example["image/object/is_crowd"].int64_list.value) == crowds[image]
        assert bool(example["image/object/bbox/ymin"].float_list.value) == (image not in empty)
