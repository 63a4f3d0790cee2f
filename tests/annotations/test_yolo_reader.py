"""YOLO's text files, in all the layouts of its tools, into records of our own."""

import numpy as np
import pytest
from drawn_sets import HEIGHT, WIDTH, image, reasons, text
from rasterization import even_odd, iou, star
from reference import REFERENCE, needs_reference

from object_detection.annotations import normalized, yolo
from object_detection.annotations.record import AnnotationError, Category

LINE = star(40, 30, 20, 28, spikes=5)
ROW = "1 " + " ".join(f"{x / WIDTH:.6f} {y / HEIGHT:.6f}" for x, y in LINE)
BOX = "0 0.5 0.5 0.25 0.1"
NAMES = "names: [cat, dog]\n"
CLASSES = (Category("cat", 0), Category("dog", 1))


def _set(root, rows, *, images="images", labels="labels", name="a.png"):
    image(root / images / name)
    text(root / labels / f"{name.rpartition('.')[0]}.txt", rows)


def _read(root, rows, yaml=f"train: images\n{NAMES}"):
    _set(root, rows)
    (found,) = yolo.read(text(root / "data.yaml", yaml)).values()
    return found


def _objects(found):
    (photo,) = found.images
    return normalized.in_pixels(photo, HEIGHT, WIDTH)


def test_polygons_and_boxes(tmp_path):
    found = _read(tmp_path, f"{ROW}\n\n{BOX}\r\n")

    (photo,) = found.images
    assert (photo.key, photo.source_id, photo.path) == (
        "images/a.png",
        "images/a.png",
        tmp_path / "images/a.png",
    )
    assert found.categories == CLASSES and found.findings == ()
    polygon, box = _objects(found)
    assert (polygon.class_name, polygon.box) == ("dog", None)
    assert iou(polygon, even_odd([LINE], HEIGHT, WIDTH)) >= 0.99
    assert (box.class_name, box.mask) == ("cat", None)
    np.testing.assert_allclose(box.box, (27, 30, 33, 50))  # 60 x 80: 0.5 +- 0.05, 0.5 +- 0.125


def test_classes_and_numbers_in_other_notations(tmp_path):
    found = _read(tmp_path, "1.0 5e-1 0.5 0.25 1e-1\n0,0.5,0.5,0.25,0.1\n")

    assert [each.class_name for each in _objects(found)] == ["dog", "cat"]


def test_rows_that_are_no_objects_are_named(tmp_path):
    rows = [
        "2 0.5 0.5 0.1 0.1",
        "-1 0.5 0.5 0.1 0.1",
        "0.5 0.5 0.5 0.1 0.1",
        "0 0.5 0.5 0.1",
        "0",
        "0 320 240 64 48",
        "cat 0.5 0.5 0.1 0.1",
        "0 0.5 nan 0.1 0.1",
    ]

    found = _read(tmp_path, "\n".join(rows))

    assert _objects(found) == ()
    told = [key for keys in reasons(found).values() for key in keys]
    assert sorted(told) == [f"labels/a.txt line {number}" for number in range(1, 9)]
    assert "class 2: the names go from 0 to 1" in reasons(found)


def test_the_confidence_of_a_prediction_is_left_out_and_told(tmp_path):
    found = _read(tmp_path, f"{BOX} 0.9\n{ROW} 0.8\n")

    box, polygon = _objects(found)
    np.testing.assert_allclose(box.box, (27, 30, 33, 50))
    assert iou(polygon, even_odd([LINE], HEIGHT, WIDTH)) >= 0.99
    (told,) = reasons(found).items()
    assert "confidence" in told[0] and len(told[1]) == 2


@pytest.mark.parametrize("shape", ["[3, 2]", "[2, 3]"])
def test_keypoints_are_not_taken_for_a_polygon(tmp_path, shape):
    rows = f"{BOX} 0.1 0.1 0.2 0.2 0.3 0.3"

    found = _read(tmp_path, rows, f"train: images\nkpt_shape: {shape}\n{NAMES}")

    (only,) = _objects(found)
    assert only.mask is None
    np.testing.assert_allclose(only.box, (27, 30, 33, 50))


def test_an_image_without_objects_and_one_without_a_label_file(tmp_path):
    image(tmp_path / "images" / "b.jpg")

    found = _read(tmp_path, "")

    assert [photo.objects for photo in found.images] == [(), ()]
    assert reasons(found) == {yolo.NO_LABELS: ["images/b.jpg"]}


def test_a_label_file_without_an_image_is_told(tmp_path):
    text(tmp_path / "labels" / "lost.txt", BOX)
    text(tmp_path / "labels" / "classes.txt", "cat\ndog")

    assert reasons(_read(tmp_path, BOX)) == {"label file without an image": ["labels/lost.txt"]}


@pytest.mark.parametrize(
    ("images", "labels", "entry"),
    [
        ("images/train", "labels/train", "images/train"),
        ("images/train", "labels/train", "./images/train/"),
        ("train/images", "train/labels", "../train/images"),  # one level too many, as some write
        ("train/images", "train/labels", "C:\\me\\set\\train\\images"),
        ("images/deep/er", "labels/deep/er", "/mnt/disk/set/images"),
        ("train", "train", "train"),
        ("obj_train_data", "obj_train_data", "data/obj_train_data"),
        ("photos", "photos/labels", "photos"),
        ("photos", "labels", "photos"),
    ],
)
def test_places_of_images_and_labels(tmp_path, images, labels, entry):
    root = tmp_path / "images of mine" / "set"
    _set(root, BOX, images=images, labels=labels)
    yaml = text(root / "data.yaml", f"train: '{entry}'\nval:\n{NAMES}")

    sets = yolo.read(yaml)

    assert list(sets) == ["train"]
    assert [photo.filename for photo in sets["train"].images] == [f"{images}/a.png"]
    assert len(_objects(sets["train"])) == 1


@pytest.mark.parametrize("path", [".", "../set", "{absolute}", "/content/datasets/set", "sets/set"])
def test_splits_below_a_path(tmp_path, path):
    root = tmp_path / "set"
    for split in ("train", "val", "test"):
        _set(root, BOX, images=f"images/{split}", labels=f"labels/{split}")
    path = path.format(absolute=root)
    entries = "train: images/train\nval: images/val\ntest: [images/test]\n"
    text(root / "data.yaml", f"path: {path}\n{entries}names:\n  0: cat\n  1: dog\n")

    sets = yolo.read(root)

    names = {split: [photo.filename for photo in found.images] for split, found in sets.items()}
    assert names == {split: [f"images/{split}/a.png"] for split in ("train", "val", "test")}


def test_several_folders_are_one_split_and_missing_ones_are_told(tmp_path):
    for folder in ("one", "two"):
        _set(tmp_path, BOX, images=f"{folder}/images", labels=f"{folder}/labels")
    entries = "train:\n  - one/images\n  - two/images\nvalid: three/images\n"
    text(tmp_path / "data.yaml", entries + NAMES)

    sets = yolo.read(tmp_path)

    assert [photo.filename for photo in sets["train"].images] == [
        "one/images/a.png",
        "two/images/a.png",
    ]
    told = reasons(sets["train"])
    assert told == {"the images of 'valid' are not there: left out": ["three/images"]}


@pytest.mark.parametrize(
    "prefix", ["./images/", "images/", "data/images/", "/mnt/disk/images/", ""]
)
def test_splits_by_lists(tmp_path, prefix):
    for name in ("a.png", "b.png", "c.png"):
        _set(tmp_path, BOX, name=name)
    text(tmp_path / "train.txt", f"{prefix}b.png\n{prefix}a.png\n{prefix}lost.png\n")
    text(tmp_path / "data.yaml", f"train: train.txt\nval: [images/c.png]\n{NAMES}")

    sets = yolo.read(tmp_path)

    names = [photo.filename.rpartition("/")[2] for photo in sets["train"].images]
    assert names == ["b.png", "a.png", "lost.png"]  # the last is missed by the conversion
    assert not sets["train"].images[2].path.is_file()
    assert [photo.filename for photo in sets["val"].images] == ["images/c.png"]


def test_darknet(tmp_path):
    _set(tmp_path, BOX, images="obj_train_data", labels="obj_train_data")
    text(tmp_path / "train.txt", "data/obj_train_data/a.png\n")
    text(tmp_path / "obj.names", "cat\ndog\n")
    data = "classes = 2\ntrain = data/train.txt\nnames = data/obj.names\nbackup = backup/\n"
    text(tmp_path / "obj.data", data)

    for place in (tmp_path, tmp_path / "obj.data"):
        sets = yolo.read(place)
        assert list(sets) == ["train"]
        assert sets["train"].categories == CLASSES
        assert len(_objects(sets["train"])) == 1


@pytest.mark.parametrize("names", ["classes.txt", "labels/classes.txt", "obj.names"])
def test_a_folder_without_a_description(tmp_path, names):
    _set(tmp_path, BOX)
    text(tmp_path / names, "cat\ndog\n\n")

    sets = yolo.read(tmp_path)

    assert list(sets) == [""]
    assert sets[""].categories == CLASSES
    assert sets[""].findings == ()


@pytest.mark.parametrize("images", ["images/{}", "{}/images", "{}"])
def test_splits_by_the_names_of_folders(tmp_path, images):
    for split in ("train", "valid"):
        folder = images.format(split)
        _set(tmp_path, BOX, images=folder, labels=folder.replace("images", "labels"))

    sets = yolo.read(tmp_path, text(tmp_path / "mine.txt", "cat\ndog"))

    assert {split: len(found.images) for split, found in sets.items()} == {"train": 1, "val": 1}


def test_names_with_gaps_and_names_in_a_file(tmp_path):
    found = _read(tmp_path, BOX, "train: images\nnames: {0: cat, 2: dog}\n")
    assert [each.name for each in found.categories] == ["cat", "1", "dog"]
    text(tmp_path / "coco.names", "cat\ndog")
    found = _read(tmp_path, BOX, "train: images\nnames: coco.names\n")
    assert found.categories == CLASSES


@pytest.mark.parametrize(
    ("yaml", "why"),
    [
        ("train: images\n", "nothing says the names"),
        (f"train: elsewhere/photos\n{NAMES}", "no images are where"),
        ("train: images\nnames: {cat: 0}\n", "are not numbers"),
        ("train images", "line 1"),
    ],
)
def test_a_set_that_cannot_be_used_is_an_error(tmp_path, yaml, why):
    with pytest.raises(AnnotationError, match=why):
        _read(tmp_path, BOX, yaml)


def test_a_set_of_which_no_image_has_a_label_file_is_an_error(tmp_path):
    image(tmp_path / "images" / "a.png")
    text(tmp_path / "classes.txt", "cat")

    with pytest.raises(AnnotationError, match="no image has a label file.*labels/a.txt"):
        yolo.read(tmp_path)
    with pytest.raises(AnnotationError, match="no file or folder"):
        yolo.read(tmp_path / "nowhere")


SAMPLES = {  # folder -> objects
    "yolo": 2,
    "yolov8_detection": 2,
    "yolov8_detection_with_list_of_imgs": 2,
    "yolov8_detection_with_list_of_names": 2,
    "yolov8_detection_with_subset_txt": 2,
    "yolov8_oriented_boxes": 2,
    "yolov8_segmentation": 2,
    "yolov8_pose": 1,
    "yolov8_pose_two_values_per_point": 1,
}


@needs_reference
@pytest.mark.parametrize("name", SAMPLES)
def test_samples_of_yolo(name):
    folder = REFERENCE / "data" / "formats" / "yolo_dataset" / name

    sets = yolo.read(folder)

    assert list(sets) == ["train"]
    (photo,) = sets["train"].images
    assert photo.path.is_file()
    assert len(photo.objects) == SAMPLES[name]
    outlines = name in ("yolov8_oriented_boxes", "yolov8_segmentation")
    assert all((each.mask is not None) == outlines for each in photo.objects)
    assert not sets["train"].findings
