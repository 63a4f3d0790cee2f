"""The commands for Pascal VOC, color masks, the pets and KITTI: flags in, TFOD's records out.

The numbers expected are TFOD's formulas: sides as they stand over the image's size, in float32.
"""

import io
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from reference import REFERENCE, needs_reference
from voc_sets import (
    HEIGHT,
    WIDTH,
    box_around,
    color_png,
    disc,
    palette_png,
    photo,
    sheet,
    text,
    thing,
)

from object_detection.errors import AnnotationError

CAT, DOG = disc(20, 20, 12), disc(35, 55, 15)


def _examples(*paths):
    records = tf.data.TFRecordDataset([str(path) for path in paths]).as_numpy_iterator()
    return [tf.train.Example.FromString(record).features.feature for record in records]


def _shards(folder, base):
    return _examples(*sorted(Path(folder).glob(f"{base}-*")))


def _values(features, key):
    feature = features[f"image/object/{key}"]
    return list(getattr(feature, feature.WhichOneof("kind")).value)


def _masks(features):
    return [np.asarray(Image.open(io.BytesIO(encoded))) for encoded in _values(features, "mask")]


def _voc(root, year="VOC2012", name="a"):
    folder = root / year
    photo(folder / "JPEGImages" / f"{name}.jpg")
    sheet(
        folder / "Annotations" / f"{name}.xml",
        thing("cat", box_around(CAT), pose="Left", truncated=1),
        thing("dog", box_around(DOG), difficult=1),
    )
    text(folder / "ImageSets/Main/aeroplane_train.txt", f"{name} -1\n")
    palette_png(folder / "SegmentationObject" / f"{name}.png", CAT + 2 * DOG.astype(int))
    return folder


def test_pascal_writes_what_tfod_writes(tmp_path, command):
    _voc(tmp_path)
    output = tmp_path / "out/pascal.record"

    command("pascal", data_dir=tmp_path, year="VOC2012", output_path=output)

    (features,) = _examples(output)
    assert _values(features, "bbox/ymin") == np.float32([9 / 60, 21 / 60]).tolist()
    assert _values(features, "bbox/xmax") == np.float32([33 / 80, 71 / 80]).tolist()
    assert _values(features, "class/text") == [b"cat", b"dog"]
    assert _values(features, "class/label") == [8, 12]
    assert _values(features, "difficult") == [0, 1]
    assert _values(features, "truncated") == [1, 0]
    assert _values(features, "view") == [b"Left", b"Unspecified"]
    assert features["image/source_id"].bytes_list.value == [b"a.jpg"]
    assert features["image/format"].bytes_list.value == [b"jpeg"]
    assert "image/object/mask" not in features
    assert (tmp_path / "out/label_map.pbtxt").read_text().count("item") == 20


def test_pascal_merges_two_years_with_masks(tmp_path, command):
    for year in ("VOC2007", "VOC2012"):
        _voc(tmp_path, year, f"in_{year}")
    output = tmp_path / "out/pascal.record"
    choice = {"year": "merged", "ignore_difficult_instances": True, "include_masks": True}

    (report,) = command("pascal", data_dir=tmp_path, output_path=output, **choice)

    found = _examples(output)
    assert [_values(each, "class/text") for each in found] == [[b"cat"], [b"cat"]]
    np.testing.assert_array_equal(_masks(found[0])[0], CAT)
    assert report.count("left out as asked") == 2
    assert report.faults() == 0


def test_pascal_uses_tfods_label_map_where_it_lies(tmp_path, command, monkeypatch):
    _voc(tmp_path)
    text(tmp_path / "data/pascal_label_map.pbtxt", "item { id: 3 name: 'cat' }")
    monkeypatch.chdir(tmp_path)

    command("pascal", data_dir=".", year="VOC2012", output_path="out/pascal.record")

    (features,) = _examples(tmp_path / "out/pascal.record")
    assert _values(features, "class/label") == [3]
    assert not (tmp_path / "out/label_map.pbtxt").exists()


def test_pascal_writes_a_label_map_that_was_named_and_is_not_there(tmp_path, command):
    _voc(tmp_path)
    label_map = tmp_path / "mine.pbtxt"

    command(
        "pascal",
        data_dir=tmp_path,
        year="VOC2012",
        output_path=tmp_path / "out/a.record",
        label_map_path=label_map,
    )

    assert "tvmonitor" in label_map.read_text()


def test_colour_masks_become_records(tmp_path, command):
    photo(tmp_path / "set/images/a.jpg")
    things = [thing("cup", box_around(CAT)), thing("ball", box_around(DOG))]
    sheet(tmp_path / "set/xmls/a.xml", *things)
    numbers, colors = CAT + 2 * DOG.astype(int), [(0, 0, 0), (255, 0, 0), (0, 0, 230)]
    color_png(tmp_path / "set/masks/a.png", numbers, colors)

    command("voc_masks", data_dir=tmp_path / "set", output_dir=tmp_path / "out", num_workers=2)

    (features,) = _shards(tmp_path / "out", "voc_masks.record")
    assert _values(features, "class/label") == [2, 1]
    for found, mask in zip(_masks(features), (CAT, DOG), strict=True):
        np.testing.assert_array_equal(found, mask)


def _pets(root, count=10):
    names = [f"pug_{number}" for number in range(count)]
    for name in names:
        photo(root / "images" / f"{name}.jpg")
        sheet(root / "annotations/xmls" / f"{name}.xml", thing("dog", (5, 10, 20, 30)))
        path = root / "annotations/trimaps" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.where(CAT, 1, 2).astype(np.uint8)).save(path)
    text(root / "annotations/trainval.txt", "".join(f"{name} 1 1 1\n" for name in names))
    return root


def test_pets_are_written_under_tfods_names(tmp_path, command):
    _pets(tmp_path)

    command("pet", data_dir=tmp_path, output_dir=tmp_path / "out")

    train = _shards(tmp_path / "out", "pet_faces_train.record")
    val = _shards(tmp_path / "out", "pet_faces_val.record")
    assert len(list((tmp_path / "out").glob("pet_faces_train.record-*-of-00010"))) == 10
    assert (len(train), len(val)) == (7, 3)
    assert _values(val[0], "class/label") == [26]
    assert _values(val[0], "bbox/xmin") == np.float32([10 / 80]).tolist()
    assert "image/object/mask" not in val[0]


@pytest.mark.parametrize("mask_type", ["png", "numerical"])
def test_pets_bodies_have_masks_of_either_kind(tmp_path, command, mask_type):
    _pets(tmp_path, 2)
    choice = {"faces_only": False, "mask_type": mask_type, "num_shards": 1}

    command("pet", data_dir=tmp_path, output_dir=tmp_path / "out", **choice)

    (features,) = _shards(tmp_path / "out", "pets_fullbody_with_masks_train.record")
    if mask_type == "png":
        np.testing.assert_array_equal(_masks(features)[0], CAT)
    else:
        floats = np.array(_values(features, "mask")).reshape(HEIGHT, WIDTH)
        np.testing.assert_array_equal(floats, CAT)
    assert _values(features, "bbox/ymax") == np.float32([32 / 60]).tolist()  # the last row's number


def test_masks_of_faces_are_refused(tmp_path, command):
    _pets(tmp_path, 2)

    with pytest.raises(AnnotationError, match="--include_masks needs --faces_only=false"):
        command("pet", data_dir=tmp_path, output_dir=tmp_path / "out", include_masks=True)


def _kitti(root, numbers):
    for number in numbers:
        photo(root / "training/image_2" / f"{number:06d}.png")
        line = "Car 0.25 1 -1.5 8 6 40 30 1 2 3 4 5 6 7\n"
        text(root / "training/label_2" / f"{number:06d}.txt", line)
    return root


def test_kitti_is_written_under_tfods_names(tmp_path, command):
    _kitti(tmp_path, [3, 600])

    command("kitti", data_dir=tmp_path, output_path=tmp_path / "out/kitti")

    (train,) = _examples(tmp_path / "out/kitti_train.tfrecord")
    (val,) = _examples(tmp_path / "out/kitti_val.tfrecord")
    assert val["image/filename"].bytes_list.value == [b"000003.png"]
    assert _values(train, "bbox/ymin") == np.float32([6 / 60]).tolist()
    assert _values(train, "truncated") == [0.25]
    assert _values(train, "difficult") == [0]
    assert _values(train, "alpha") == [-1.5]
    assert _values(train, "3d_bbox/rot_y") == [7.0]
    assert _values(train, "class/label") == [1]
    assert (tmp_path / "out/label_map.pbtxt").read_text().count("item") == 2


def test_kitti_without_a_training_image_says_why(tmp_path, command):
    _kitti(tmp_path, [3, 4])

    with pytest.raises(AnnotationError, match="none of the 2 images.*--validation_set_size=500"):
        command("kitti", data_dir=tmp_path, output_path=tmp_path / "out/kitti")


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("pascal", "output_path"),
        ("voc_masks", "output_dir"),
        ("pet", "output_dir"),
        ("kitti", "output_path"),
    ],
)
def test_a_command_without_its_flags_says_which(command, name, missing):
    with pytest.raises(AnnotationError, match=f"--{missing} is missing"):
        command(name)


@needs_reference
def test_cups_and_speakers_beside_the_records_that_others_made(tmp_path, command):
    command("voc_masks", data_dir=REFERENCE / "data/sets/cup_speaker/dataset", output_dir=tmp_path)

    def by_name(examples):
        names = [each["image/filename"].bytes_list.value[0].decode() for each in examples]
        return {Path(name).stem: each for name, each in zip(names, examples, strict=True)}

    ours = by_name(_shards(tmp_path, "voc_masks.record"))
    theirs = by_name(_shards(REFERENCE / "data/records/cup_speaker", "train_data"))
    assert ours.keys() == theirs.keys()
    for name, features in ours.items():
        mine, other = (
            dict(zip(_values(each, "class/text"), _masks(each), strict=True))
            for each in (features, theirs[name])
        )
        assert mine.keys() == other.keys()
        for text_of_class, mask in mine.items():
            np.testing.assert_array_equal(mask, other[text_of_class])
