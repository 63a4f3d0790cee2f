"""The Oxford-IIIT pets as TFOD reads them."""

import random

import numpy as np
import pytest
from PIL import Image
from voc_sets import HEIGHT, WIDTH, completed, disc, photo, reasons, sheet, text, thing

from object_detection.datasets import masks
from object_detection.datasets.annotations import Category
from object_detection.datasets.formats import pets
from object_detection.errors import AnnotationError

BOX = (5, 10, 20, 30)
PET = disc(30, 40, 20)


def _set(root, names, *, listed="trainval.txt"):
    for name in names:
        photo(root / "images" / f"{name}.jpg")
        sheet(root / "annotations/xmls" / f"{name}.xml", thing("cat", BOX, pose="Frontal"))
        trimap(root / "annotations/trimaps" / f"{name}.png")
    text(root / "annotations" / listed, "".join(f"{name} 1 1 1\n" for name in names))


def trimap(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.where(disc(30, 40, 17), 1, np.where(PET, 3, 2)).astype(np.uint8)
    Image.fromarray(values).save(path)


def _names(found):
    return [image.path.stem for image in found.images]


def test_the_split_is_that_of_tfods_script(tmp_path):
    names = [f"pug_{number}" for number in range(10)]
    _set(tmp_path, names)

    train, val = pets.read(tmp_path)

    random.seed(42)  # as TFOD does it
    random.shuffle(names)
    assert (_names(train), _names(val)) == (names[:7], names[7:])


def test_faces_have_the_class_of_their_file(tmp_path):
    _set(tmp_path, ["Egyptian_Mau_1", "great_pyrenees_2", "pug_3"])

    train, val = pets.read(tmp_path)

    (found,) = val.images[0].objects
    assert (found.box, found.view, found.mask) == (BOX, "Frontal", None)
    classes = {each.class_name for half in (train, val) for i in half.images for each in i.objects}
    assert classes == {"Egyptian_Mau", "great_pyrenees", "pug"}
    assert train.categories == val.categories
    assert train.categories[11] == Category("Egyptian_Mau", 12)
    assert len(train.categories) == 37


def test_breeds_of_ones_own_are_numbered_by_their_names(tmp_path):
    _set(tmp_path, ["pug_1", "unicorn_2"])

    assert pets.read(tmp_path)[0].categories == (Category("pug"), Category("unicorn"))


def test_bodies_have_the_mask_and_the_box_of_the_trimap(tmp_path):
    _set(tmp_path, ["pug_1", "pug_2"])

    image, findings = completed(pets.read(tmp_path, faces_only=False)[0].images[0])

    (found,) = image.objects
    np.testing.assert_array_equal(masks.rasterize(found.mask, HEIGHT, WIDTH), PET)
    assert found.box == (10.0, 20.0, 50.0, 60.0)  # TFOD: from the first to the last row and column
    assert findings == ()


def test_an_image_without_xml_is_left_out_and_reported(tmp_path):
    _set(tmp_path, ["pug_1", "pug_2", "pug_3", "pug_4"])
    (tmp_path / "annotations/xmls/pug_2.xml").unlink()
    (tmp_path / "annotations/xmls/pug_3.xml").write_text("<annotation>")

    train, val = pets.read(tmp_path)

    assert sorted(_names(train) + _names(val)) == ["pug_1", "pug_4"]
    assert sorted(finding.key for half in (train, val) for finding in half.findings) == [
        "pug_2",
        "pug_3.xml",
    ]


@pytest.mark.parametrize("fault", ["missing", "broken", "ground"])
def test_a_trimap_that_says_nothing_leaves_the_image_out(tmp_path, fault):
    _set(tmp_path, ["pug_1", "pug_2"])
    for path in (tmp_path / "annotations/trimaps").iterdir():
        if fault == "missing":
            path.unlink()
        elif fault == "broken":
            path.write_bytes(b"none")
        else:
            Image.new("L", (WIDTH, HEIGHT), 2).save(path)

    image, findings = completed(pets.read(tmp_path, faces_only=False)[0].images[0])

    assert image is None
    assert "trimap" in findings[0].reason


def test_a_file_name_without_a_class_is_a_finding(tmp_path):
    _set(tmp_path, ["17", "pug_2", "pug_3"])

    train, val = pets.read(tmp_path)

    assert len(train.images) + len(val.images) == 2
    found = reasons(train.findings + val.findings)
    assert ["17.jpg"] in found.values()


def test_two_faces_and_one_trimap_are_reported(tmp_path):
    _set(tmp_path, ["pug_1", "pug_2"])
    for name in ("pug_1", "pug_2"):
        sheet(tmp_path / f"annotations/xmls/{name}.xml", thing("dog", BOX), thing("dog", BOX))

    train, _ = pets.read(tmp_path, faces_only=False)

    assert len(completed(train.images[0])[0].objects) == 2
    (reason,) = reasons(train.findings)
    assert "several faces and one trimap" in reason


def test_the_list_of_all_images_will_do(tmp_path):
    _set(tmp_path, ["pug_1", "pug_2"], listed="list.txt")
    path = tmp_path / "annotations/list.txt"
    path.write_text("#Image CLASS-ID SPECIES BREED ID\n" + path.read_text())

    train, val = pets.read(tmp_path)

    assert len(train.images) + len(val.images) == 2
    assert train.findings + val.findings == ()


def test_another_folder_is_an_error(tmp_path):
    with pytest.raises(AnnotationError, match="no trainval.txt or list.txt"):
        pets.read(tmp_path)
