"""The commands for Open Images, LVIS, Cityscapes and CSV: flags in, records out."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from object_detection.errors import AnnotationError

ROOT = Path(__file__).parents[2]


def _examples(base):
    """The features of the records of a base path, as plain lists, but for the image's."""
    examples = []
    for path in sorted(base.parent.glob(f"{base.name}-*")):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            features = tf.train.Example.FromString(record).features.feature
            examples.append({key: _values(value) for key, value in features.items()})
    return examples


def _values(feature):
    return list(getattr(feature, feature.WhichOneof("kind")).value)


def _image(path, size=(60, 40)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)


def _mask(png):
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image)


OID_BOXES = """ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside
0b003,xclick,/m/b,1,0.1,0.333333,0.2,0.4,1,0,0,0,0
000a1,xclick,/m/a,1,0.012345,0.99875,0.0,1,0,1,1,0,0
0b003,xclick,/m/a,1,0.5,0.75,0.25,0.875,-1,-1,-1,-1,-1
000a1,xclick,/m/zz,1,0.1,0.2,0.3,0.4,0,0,0,0,0
"""  # noqa: E501  a line of the file
OID_LABELS = """ImageID,Source,LabelName,Confidence
000a1,verification,/m/a,1
000a1,verification,/m/b,0
0c004,verification,/m/b,1
0c004,verification,/m/zz,1
"""
BOX = "image/object/bbox/"
# What TFOD's create_oid_tf_record (2.8) wrote of these files; its other features are empty.
OID_BY_TFOD = {
    "000a1": {
        "image/class/label": [1, 2],
        "image/class/text": [b"/m/a", b"/m/b"],
        "image/filename": [b"000a1.jpg"],
        f"{BOX}xmax": [0.9987499713897705],
        f"{BOX}xmin": [0.01234500017017126],
        f"{BOX}ymax": [1.0],
        f"{BOX}ymin": [0.0],
        "image/object/class/label": [1],
        "image/object/class/text": [b"/m/a"],
        "image/object/depiction": [0],
        "image/object/group_of": [1],
        "image/object/occluded": [0],
        "image/object/truncated": [1],
    },
    "00ff2": {"image/filename": [b"00ff2.jpg"]},
    "0b003": {
        "image/filename": [b"0b003.jpg"],
        f"{BOX}xmax": [0.33333298563957214, 0.75],
        f"{BOX}xmin": [0.10000000149011612, 0.5],
        f"{BOX}ymax": [0.4000000059604645, 0.875],
        f"{BOX}ymin": [0.20000000298023224, 0.25],
        "image/object/class/label": [2, 1],
        "image/object/class/text": [b"/m/b", b"/m/a"],
        "image/object/depiction": [0, -1],
        "image/object/group_of": [0, 0],  # TFOD: -1, which its decoder reads as True
        "image/object/occluded": [1, -1],
        "image/object/truncated": [0, -1],
    },
    "0c004": {
        "image/class/label": [2],
        "image/class/text": [b"/m/b"],
        "image/filename": [b"0c004.jpg"],
    },
}


def _oid(folder):
    """Flags of TFOD's, for a set of four images."""
    for image_id in OID_BY_TFOD:
        _image(folder / "images" / f"{image_id}.jpg")
    (folder / "boxes.csv").write_text(OID_BOXES)
    (folder / "labels.csv").write_text(OID_LABELS)
    items = "".join(f'item{{id:{k} name:"/m/{name}"}}\n' for k, name in ((1, "a"), (2, "b")))
    (folder / "map.pbtxt").write_text(items)
    return {
        "input_box_annotations_csv": folder / "boxes.csv",
        "input_image_label_annotations_csv": folder / "labels.csv",
        "input_images_directory": folder / "images",
        "input_label_map": folder / "map.pbtxt",
        "output_tf_record_path_prefix": folder / "out" / "train.tfrecord",
    }


def test_open_images_are_written_as_tfod_writes_them(tmp_path, command):
    values = _oid(tmp_path)

    (report,) = command("oid", **values)

    assert len(list((tmp_path / "out").glob("train.tfrecord-*-of-00100"))) == 100
    found = {
        e["image/source_id"][0].decode(): e for e in _examples(tmp_path / "out/train.tfrecord")
    }
    assert list(found) == list(OID_BY_TFOD)
    own = {"image/encoded", "image/format", "image/height", "image/width", "image/key/sha256"}
    own |= {"image/source_id", "image/class/confidence", "image/object/inside"}
    own |= {"image/object/area", "image/object/is_crowd"}
    for image_id, expected in OID_BY_TFOD.items():
        filled = {key: value for key, value in found[image_id].items() if value}
        assert {key: filled[key] for key in filled.keys() - own} == expected
    assert report.written["objects"] == 3
    assert not (tmp_path / "out" / "label_map.pbtxt").exists()


def test_open_images_with_masks_number_their_classes_by_the_descriptions(tmp_path, command):
    values = _oid(tmp_path) | {"input_label_map": tmp_path / "new.pbtxt"}
    (tmp_path / "words.csv").write_text("/m/b,Bird\n/m/a,Apple\n/m/zz,Zebra\n")
    row = "m.png,0b003,/m/b,00ff,0.1,0.333333,0.2,0.4,0.9,\n"
    header = (
        "MaskPath,ImageID,LabelName,BoxID,BoxXMin,BoxXMax,BoxYMin,BoxYMax,PredictedIoU,Clicks\n"
    )
    (tmp_path / "masks.csv").write_text(header + row)
    drawn = np.zeros((20, 30), bool)
    drawn[4:8, 3:10] = True
    (tmp_path / "masks").mkdir()
    Image.fromarray(drawn).save(tmp_path / "masks" / "m.png")

    (report,) = command(
        "oid",
        **values,
        include_masks=True,
        input_mask_annotations_csv=tmp_path / "masks.csv",
        input_masks_directory=tmp_path / "masks",
        input_class_descriptions_csv=tmp_path / "words.csv",
        num_shards=1,
    )

    found = {e["image/source_id"][0]: e for e in _examples(tmp_path / "out/train.tfrecord")}
    # 000a1 has boxes and not one mask: without them it would teach that nothing is there.
    assert sorted(found) == [b"00ff2", b"0b003", b"0c004"]
    assert list(report.names["skipped images"].values()) == [["000a1"]]
    one = found[b"0b003"]
    assert one["image/object/class/label"] == [1]
    (mask,) = one["image/object/mask"]
    np.testing.assert_array_equal(_mask(mask), np.kron(drawn, np.ones((2, 2), np.uint8)))
    assert 'display_name: "Bird"' in (tmp_path / "new.pbtxt").read_text()
    assert report.count("skipped objects") == 1  # one entry for each image with bare boxes


@pytest.mark.parametrize(
    ("missing", "why"),
    [
        ("input_images_directory", "--input_images_directory is missing"),
        ("output_tf_record_path_prefix", "--output_tf_record_path_prefix is missing"),
        ("input_box_annotations_csv", "a table of boxes or one of masks"),
    ],
)
def test_flags_that_open_images_cannot_do_without(tmp_path, command, missing, why):
    values = {key: value for key, value in _oid(tmp_path).items() if key != missing}
    with pytest.raises(AnnotationError, match=why):
        command("oid", **values)


def test_masks_of_open_images_need_their_table(tmp_path, command):
    with pytest.raises(AnnotationError, match="needs --input_mask_annotations_csv"):
        command("oid", **_oid(tmp_path), include_masks=True)


def test_a_set_of_many_images_is_divided_without_being_held(tmp_path, command):
    values = _oid(tmp_path)

    reports = command("oid", **values, val_fraction=0.5, num_shards=1)

    assert [report.written["images"] for report in reports] == [2, 2]
    folder = tmp_path / "out"
    names = [_examples(folder / f"train_{part}.tfrecord") for part in ("train", "val")]
    assert sum(map(len, names)) == 4


def test_lvis(tmp_path, command):
    _image(tmp_path / "coco/train2017/01.jpg")
    annotation = {"id": 1, "image_id": 5, "category_id": 3, "bbox": [10, 10, 20, 20]}
    annotation |= {"segmentation": [[10, 10, 30, 10, 30, 30, 10, 30]], "area": 400.0}
    content = {
        "images": [
            {
                "id": 5,
                "coco_url": "http://images.cocodataset.org/train2017/01.jpg",
                "neg_category_ids": [4],
                "not_exhaustive_category_ids": [3],
            }
        ],
        "categories": [
            {"id": 3, "name": "cat", "frequency": "f"},
            {"id": 4, "name": "dog", "frequency": "r"},
        ],
        "annotations": [annotation],
    }
    (tmp_path / "lvis.json").write_text(json.dumps(content))

    command(
        "lvis",
        train_annotations_file=tmp_path / "lvis.json",
        image_dir=tmp_path / "coco",
        output_dir=tmp_path / "out",
        include_masks=True,
    )

    (found,) = _examples(tmp_path / "out" / "lvis_train.record")
    assert found["image/neg_category_ids"] == [4]
    assert found["image/not_exhaustive_category_ids"] == [3]
    assert found["image/object/class/label"] == [3]
    assert _mask(found["image/object/mask"][0]).sum() == 400
    assert "frequency: RARE" in (tmp_path / "out" / "label_map.pbtxt").read_text()
    with pytest.raises(AnnotationError, match="--train_annotations_file or --val"):
        command("lvis", image_dir=tmp_path, output_dir=tmp_path)


def _cityscapes(folder):
    ids = np.zeros((40, 60), np.uint16)
    ids[10:20, 10:30] = 26003
    for split in ("train", "val", "test"):
        _image(folder / f"leftImg8bit/{split}/ulm/ulm_1_leftImg8bit.png")
        path = folder / f"gtFine/{split}/ulm/ulm_1_gtFine_instanceIds.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(ids).save(path)


def test_cityscapes(tmp_path, command):
    _cityscapes(tmp_path / "set")
    values = {"data_dir": tmp_path / "set", "output_dir": tmp_path / "out", "include_masks": True}

    reports = command("cityscapes", **values, splits="val,train")

    assert [report.title for report in reports] == ["val", "train"]
    names = sorted(path.name for path in (tmp_path / "out").glob("*.record-*"))
    assert names == [f"cityscapes_{split}.record-00000-of-00001" for split in ("train", "val")]
    (found,) = _examples(tmp_path / "out" / "cityscapes_train.record")
    assert found["image/object/class/label"] == [3]
    assert _mask(found["image/object/mask"][0]).sum() == 200
    text = (tmp_path / "out" / "label_map.pbtxt").read_text()
    assert text.count("item {") == 8

    with pytest.raises(AnnotationError, match="has no train_extra; it has train, val, test"):
        command("cityscapes", **values, splits="train_extra")
    (*_, test) = command("cityscapes", **values | {"output_dir": tmp_path / "all"})
    assert (test.title, test.written["objects"]) == ("test", 1)


CSV = "filename,xmin,ymin,xmax,ymax,segmentation,class\n"


def test_csv_with_one_numbering_for_all_tables(tmp_path, command):
    _image(tmp_path / "images" / "a.png")
    _image(tmp_path / "images" / "b.png")
    polygon = '"[[10, 10, 30, 10, 30, 30, 10, 30]]"'
    (tmp_path / "train.csv").write_text(f"{CSV}a.png,10,10,30,30,{polygon},dog\nb.png,,,,,,\n")
    (tmp_path / "test.csv").write_text(f"{CSV}b.png,10,10,30,30,{polygon},cat\n")

    reports = command(
        "csv",
        train_csv=tmp_path / "train.csv",
        test_csv=tmp_path / "test.csv",
        image_dir=tmp_path / "images",
        output_dir=tmp_path / "out",
        include_masks=True,
        num_shards=0,
    )

    assert [report.title for report in reports] == ["train", "test"]
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"csv_train.record", "csv_test.record", "label_map.pbtxt"} <= names
    records = tf.data.TFRecordDataset(str(tmp_path / "out" / "csv_train.record"))
    dog, nothing = (
        tf.train.Example.FromString(record).features.feature
        for record in records.as_numpy_iterator()
    )
    assert _values(dog["image/object/class/label"]) == [2]
    assert _mask(_values(dog["image/object/mask"])[0]).sum() == 400
    assert _values(nothing["image/object/class/label"]) == []
    assert reports[0].faults() == 0


def test_one_csv_alone(tmp_path, command):
    _image(tmp_path / "a.png")
    (tmp_path / "all.csv").write_text("filename,xmin,ymin,xmax,ymax,class\na.png,1,2,30,30,cat\n")

    command("csv", csv=tmp_path / "all.csv", output_dir=tmp_path / "out", name="pets")

    (found,) = _examples(tmp_path / "out" / "pets.record")
    np.testing.assert_allclose(found[f"{BOX}xmax"], [0.5])
    with pytest.raises(AnnotationError, match="give --csv, or any of --train_csv"):
        command("csv", output_dir=tmp_path)


def test_a_table_without_a_header_ends_in_a_sentence(tmp_path):
    (tmp_path / "x.csv").write_text("a.png,1,2,30,30,cat\n")
    script = str(ROOT / "dataset_tools/create_csv_tf_record.py")

    done = subprocess.run(
        [sys.executable, script, f"--csv={tmp_path / 'x.csv'}", f"--output_dir={tmp_path}"],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        check=False,
    )

    assert done.returncode == 1
    assert "has no header: its first line is 'a.png,1,2,30,30,cat'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["oid", "lvis", "cityscapes"])
def test_the_commands_are_there(name):
    script = ROOT / "dataset_tools" / f"create_{name}_tf_record.py"
    assert f"object_detection.dataset_tools.create_{name}_tf_record import" in script.read_text()
