"""YOLO's text files, in all the layouts of its tools, into records of our own."""

import numpy as np
import pytest
from drawn_sets import HEIGHT, WIDTH, image, reasons, text
from rasterization import even_odd, iou, star
from reference import REFERENCE, needs_reference

from object_detection.datasets import checking, files
from object_detection.datasets.annotations import Category
from object_detection.datasets.formats import yolo
from object_detection.errors import AnnotationError

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
    return checking.to_pixels(photo, HEIGHT, WIDTH)


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
    reported = [key for keys in reasons(found).values() for key in keys]
    assert sorted(reported) == [f"labels/a.txt line {number}" for number in range(1, 9)]
    assert "class 2: the names go from 0 to 1" in reasons(found)


def test_the_confidence_of_a_prediction_is_left_out_and_reported(tmp_path):
    found = _read(tmp_path, f"{BOX} 0.9\n{ROW} 0.8\n")

    box, polygon = _objects(found)
    np.testing.assert_allclose(box.box, (27, 30, 33, 50))
    assert iou(polygon, even_odd([LINE], HEIGHT, WIDTH)) >= 0.99
    (reported,) = reasons(found).items()
    assert "confidence" in reported[0] and len(reported[1]) == 2


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


def test_a_label_file_without_an_image_is_reported(tmp_path):
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


def test_several_folders_are_one_split_and_missing_ones_are_reported(tmp_path):
    for folder in ("one", "two"):
        _set(tmp_path, BOX, images=f"{folder}/images", labels=f"{folder}/labels")
    entries = "train:\n  - one/images\n  - two/images\nvalid: three/images\n"
    text(tmp_path / "data.yaml", entries + NAMES)

    sets = yolo.read(tmp_path)

    assert [photo.filename for photo in sets["train"].images] == [
        "one/images/a.png",
        "two/images/a.png",
    ]
    reported = reasons(sets["train"])
    assert reported == {"the images of 'valid' are not there: left out": ["three/images"]}


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
        (f"train: elsewhere/photos\n{NAMES}", "no images at the paths"),
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


def test_findings_are_in_the_report_of_their_own_split(tmp_path):
    for split, rows in (("train", f"{BOX}\n{BOX}"), ("valid", f"2 {BOX[2:]}\n{BOX}")):
        _set(tmp_path, rows, images=f"{split}/images", labels=f"{split}/labels")
        text(tmp_path / split / "labels" / "lost.txt", BOX)
    text(tmp_path / "data.yaml", f"train: train/images\nval: valid/images\nnc: 3\n{NAMES}")

    sets = yolo.read(tmp_path)

    assert reasons(sets["train"]) == {
        "'nc' is 3, and there are 2 names: the names hold": ["data.yaml"],
        "the same object as in a row above": ["train/labels/a.txt line 2"],
        "label file without an image": ["train/labels/lost.txt"],
    }
    assert reasons(sets["val"]) == {
        "class 2: the names go from 0 to 1": ["valid/labels/a.txt line 1"],
        "label file without an image": ["valid/labels/lost.txt"],
    }


def test_label_files_are_found_by_other_spellings_of_the_name(tmp_path):
    for name in ("d\u00e9cran.png", "o\u0308l.png", "B.png"):
        image(tmp_path / "images" / name)
    for name in ("d%C3%A9cran.txt", "\u00f6l.txt", "b.txt"):
        text(tmp_path / "labels" / name, BOX)
    text(tmp_path / "classes.txt", "cat")

    (found,) = yolo.read(tmp_path).values()

    assert [len(photo.objects) for photo in found.images] == [1, 1, 1]
    assert found.findings == ()


POSES = {  # a box of [0.3, 0.5] x [0.3, 0.7] and three keypoints; the 2-D ones cross as a polygon
    "0 0.4 0.5 0.2 0.4 0.35 0.4 2 0.45 0.6 1 0 0 0": r"kpt_shape: \[3, 3\]",
    "0 0.4 0.5 0.2 0.4 0.35 0.4 0.45 0.6 0.4 0.4": r"kpt_shape: \[3, 2\]",
}


@pytest.mark.parametrize("row", POSES)
def test_rows_with_keypoints_need_kpt_shape(tmp_path, row):
    with pytest.raises(AnnotationError, match=rf"a.txt line 1 has .*{POSES[row]}.* data.yaml"):
        _read(tmp_path, row)
    stated = POSES[row].replace("\\", "")
    found = _read(tmp_path, row, f"train: images\n{stated}\n{NAMES}")
    assert [each.mask for each in _objects(found)] == [None]
    _read(tmp_path, row, f"train: images\nkpt_shape: [0, 0]\n{NAMES}")  # as polygons


def test_with_kpt_shape_other_long_rows_are_named(tmp_path):
    found = _read(tmp_path, f"{BOX} 0.1 0.1", f"train: images\nkpt_shape: [2, 2]\n{NAMES}")

    assert list(reasons(found)) == [
        "a row of 7 numbers; by 'kpt_shape' a row has 5, or 9 with its keypoints"
    ]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("names: [yes, null, '#1', -a]", ["yes", "null", "#1", "-a"]),
        ("names: |\n  cat\n  hot dog\n", ["cat", "hot dog"]),
        ("names:\n  - {id: 1, name: b}\n  - {id: 0, name: a}", ["a", "b"]),
        ("names: &n [a, b]\nclasses: *n", ["a", "b"]),
        ('names:\n  -\n  - "\\u00e9"', ["0", "\u00e9"]),
    ],
)
def test_names_in_the_notations_of_yaml(tmp_path, names, expected):
    found = _read(tmp_path, BOX, f"splits: {{train: [[images]], val: ~}}\n{names}\n")
    assert [each.name for each in found.categories] == expected


def test_a_huge_number_of_a_class_costs_nothing(tmp_path):
    found = _read(tmp_path, f"1000000000 {BOX[2:]}", "train: images\nnames: {0: a, 1000000000: b}")

    assert found.categories == (Category("a", 0), Category("b", 1000000000))
    assert [each.class_name for each in _objects(found)] == ["b"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("names:\n\t- a", "line 2, column 1: not YAML: .*Indent with spaces"),
        ("names:[a]", "is not 'key: value'; a space belongs after the colon"),
        ("names: [person: x, b]", "the name of class 0 is .* in quotes"),
        ("names: cat", "'names' is 'cat', which is neither a list nor a file"),
        ("names: {-1: z, 0: a}", "has the number -1"),
        (f"names: {{{'9' * 500}: z}}", "are not numbers: '9999"),
        ("a: &a [b, *a]", "alias of itself"),
        ("a: &a [x, x, x, x, x, x, x, x, x, x]\n"
         + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1 if n else str()}'] * 10)}]\n"
                   for n in range(8)), "more than 100000 entries"),
        ("- " * 5000, "nested deeper than 50 levels"),
        ("#" * 1_000_001, "has 1000001 characters"),
        ("? [a]\n: b", "unhashable"),
        ("%YAML 1.1\n--- a\n--- b", "another document"),
    ],
)  # fmt: skip
def test_a_description_that_is_not_yaml_is_refused(tmp_path, content, why):
    with pytest.raises(AnnotationError, match=why):
        _read(tmp_path, BOX, content)


@needs_reference
def test_yaml_is_read_as_pyyaml_reads_it():
    folder = REFERENCE / "faults" / "yaml"
    if not folder.is_dir():
        pytest.skip("no YAML files there")
    refused = 0
    for path in sorted(folder.glob("*.yaml")):
        expected = files.load_json(path.with_suffix(".json"))
        try:
            assert files.load_yaml(path) == expected, path.name
        except AnnotationError:
            assert "refused by PyYAML" in expected, path.name
            refused += 1
    assert refused == 1


ROWS = ["1e999 .5 .5 .1 .1", "nan .5 .5 .1 .1", "9" * 5000 + " .5 .5 .1 .1", "\0 .5 .5 .1 .1",
        "0 " + "9" * 5000 + " .5 .1 .1", "0 \ud800 .5 .1 .1", ","]  # fmt: skip


def test_what_no_tool_writes_costs_its_row_only(tmp_path):
    _set(tmp_path, "")
    rows = "\n".join([*ROWS, BOX]).encode(errors="replace").decode()
    found = _read(tmp_path, rows)

    assert len(_objects(found)) == 1
    assert sum(map(len, reasons(found).values())) == len(ROWS)


@pytest.mark.parametrize("place", ["a" * 5000, "a\0b", "/", "../../..", "http://x/[y"])
def test_places_that_are_no_files(tmp_path, place):
    folder = tmp_path / "one" / "two" / "three"
    _set(folder, BOX)
    text(folder / "data.yaml", f"train: images\n{NAMES}")
    text(folder / "list.txt", f"{place}\nimages/a.png\n")
    text(folder / "data.yaml", f"train: list.txt\n{NAMES}")

    (found,) = yolo.read(folder).values()

    assert len(found.images[-1].objects) == 1
