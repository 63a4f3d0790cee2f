"""KITTI's labels as TFOD reads them."""

import pytest
from reference import REFERENCE, needs_reference
from voc_sets import photo, reasons, text

from object_detection.datasets.annotations import Category
from object_detection.datasets.formats import kitti
from object_detection.errors import AnnotationError

SPACE = "1.5 1.6 3.2 1.0 1.5 8.0 0.1"


def _line(name, box, truncated="0.00"):
    """A line; the box is left, top, right, bottom."""
    return f"{name} {truncated} 0 -1.57 {' '.join(map(str, box))} {SPACE}\n"


CAR = _line("Car", (10, 20, 30, 40), "0.25")
WALKER = _line("Pedestrian", (50.5, 5.25, 60, 25))


def _set(root, labels, *, images="data_object_image_2/training/image_2"):
    for number, content in labels.items():
        photo(root / images / f"{number:06d}.png")
        if content is not None:
            text(root / "training/label_2" / f"{number:06d}.txt", content)


def _objects(found):
    return [each for image in found.images for each in image.objects]


@pytest.mark.parametrize("images", kitti.IMAGE_FOLDERS)
def test_a_set_is_read(tmp_path, images):
    _set(tmp_path, {0: CAR, 1: CAR + WALKER}, images=images)

    train, val = kitti.read(tmp_path, validation_set_size=1)

    assert [image.filename for image in val.images] == ["000000.png"]
    car, walker = _objects(train)
    assert (car.class_name, car.box, car.truncated) == ("car", (20.0, 10.0, 40.0, 30.0), 0.25)
    assert walker.box == (5.25, 50.5, 25.0, 60.0)
    assert train.categories == val.categories == (Category("car", 1), Category("pedestrian", 2))
    assert train.findings == val.findings == ()


def test_the_validation_set_is_chosen_by_number(tmp_path):
    _set(tmp_path, {3: CAR, 7: CAR, 500: CAR})

    train, val = kitti.read(tmp_path)

    assert [image.filename for image in train.images] == ["000500.png"]
    assert [image.filename for image in val.images] == ["000003.png", "000007.png"]


def test_images_without_a_number_are_chosen_by_their_order(tmp_path):
    for name in ("a", "000030_10", "b"):
        photo(tmp_path / f"training/image_2/{name}.png")
        text(tmp_path / f"training/label_2/{name}.txt", CAR)

    train, val = kitti.read(tmp_path, validation_set_size=1)

    assert [image.filename for image in val.images] == ["000030_10.png"]
    assert len(train.images) == 2


def test_objects_in_regions_nobody_looked_at_are_left_out(tmp_path):
    near = _line("Car", (35, 45, 50, 55))
    _set(tmp_path, {0: CAR + near + _line("DontCare", (29, 39, 40, 50), "-1")})

    _, val = kitti.read(tmp_path)
    assert _objects(val) == []
    assert reasons(val.findings) == {
        "the object overlaps a don't-care region": ["000000.txt: line 1", "000000.txt: line 2"]
    }
    _, val = kitti.read(tmp_path, classes_to_use=("car",))
    assert len(_objects(val)) == 2


def test_a_region_that_only_touches_leaves_the_object(tmp_path):
    _set(tmp_path, {0: CAR + _line("DontCare", (30, 20, 40, 40))})

    assert len(_objects(kitti.read(tmp_path)[1])) == 1


def test_other_classes_are_left_out_or_numbered_behind(tmp_path):
    _set(tmp_path, {0: CAR + _line("Van", (1, 2, 3, 4))})

    _, val = kitti.read(tmp_path)
    assert reasons(val.findings) == {
        "class 'van' is not in --classes_to_use": ["000000.txt: line 2"]
    }
    _, val = kitti.read(tmp_path, classes_to_use=["Van", " Car "])
    assert [each.class_name for each in _objects(val)] == ["car", "van"]
    assert val.categories == (Category("car", 1), Category("van"))


def test_a_bad_line_is_a_finding(tmp_path):
    bad = ["Car 0 0\n", _line("Car", (1, "x", 3, 4)), _line("Car", (1, 2, 3, 4), "nan")]
    _set(tmp_path, {0: "".join(bad) + "\n" + CAR})

    _, val = kitti.read(tmp_path)

    assert [each.key for each in _objects(val)] == ["000000.txt: line 5"]
    assert sorted(finding.key for finding in val.findings) == [
        f"000000.txt: line {number}" for number in (1, 2, 3)
    ]


def test_an_empty_file_is_an_image_without_objects_and_no_file_is_none(tmp_path):
    _set(tmp_path, {0: "", 1: None})
    text(tmp_path / "training/label_2/000009.txt", CAR)

    train, val = kitti.read(tmp_path)

    assert [len(image.objects) for image in val.images] == [0]
    assert reasons(val.findings) == {"the image has no file of labels": ["000001.png"]}
    assert reasons(train.findings) == {"there are labels for it, and no image": ["000009"]}


def test_lines_with_a_score_or_without_the_box_in_space(tmp_path):
    _set(tmp_path, {0: CAR.strip() + " 0.9\r\n" + "Car 0 0 0 1 2 3 4\r\n"})

    assert len(_objects(kitti.read(tmp_path)[1])) == 2


def test_folders_that_are_not_there(tmp_path):
    with pytest.raises(AnnotationError, match="no folder of labels: looked for training/label_2"):
        kitti.read(tmp_path)


@needs_reference
def test_a_sample_made_by_others():
    folder = REFERENCE / "data/formats/kitti_dataset/kitti_detection"

    _, val = kitti.read(folder, classes_to_use=["truck", "van"])

    assert [len(image.objects) for image in val.images] == [2, 3]
    assert val.images[0].objects[0].box == (1.0, 0.0, 3.0, 2.0)
