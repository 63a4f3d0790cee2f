"""VOC xmls with a mask image beside each, as tutorials lay them out."""

import numpy as np
import pytest
from PIL import Image
from reference import REFERENCE, needs_reference
from voc_sets import (
    HEIGHT,
    WIDTH,
    box_around,
    color_png,
    completed,
    disc,
    photo,
    reasons,
    sheet,
    thing,
)

from object_detection.datasets import masks
from object_detection.datasets.annotations import Category
from object_detection.datasets.formats import voc_masks
from object_detection.errors import AnnotationError

CUP, BALL = disc(20, 20, 12), disc(35, 55, 15)
NUMBERS = CUP + 2 * BALL.astype(int)
COLORS = [(0, 0, 0), (255, 0, 0), (0, 0, 230)]


def _set(root, name="image1", *, mask=None, images="images", xmls="xmls", folder="masks"):
    photo(root / images / f"{name}.jpg")
    things = [thing("cup", box_around(CUP)), thing("ball", box_around(BALL))]
    sheet(root / xmls / f"{name}.xml", *things)
    if mask != "":
        color_png(root / folder / (mask or f"{name}.png"), NUMBERS, COLORS)


def _masks(image):
    done, findings = completed(image)
    assert findings == ()
    return [masks.rasterize(each.mask, HEIGHT, WIDTH).astype(bool) for each in done.objects]


def _assert_both(image):
    for found, mask in zip(_masks(image), (CUP, BALL), strict=True):
        np.testing.assert_array_equal(found, mask)


def test_a_set_is_read_and_its_masks_are_exact(tmp_path):
    _set(tmp_path)

    found = voc_masks.read(tmp_path)

    assert found.categories == (Category("ball"), Category("cup"))
    assert found.findings == ()
    (image,) = found.images
    assert (image.source_id, image.stated_size) == ("image1.jpg", (HEIGHT, WIDTH))
    _assert_both(image)


@pytest.mark.parametrize(
    ("images", "xmls", "folder"),
    [
        ("JPEGImages", "Annotations", "masks"),
        ("train_images", "train_bboxes", "train_masks"),
        ("photos", "photos", "SegmentationObject"),
        (".", ".", "png_masks"),
        ("train/images", "train/labels", "train/masks"),
    ],
)
def test_folders_are_found_by_what_they_hold(tmp_path, images, xmls, folder):
    _set(tmp_path, images=images, xmls=xmls, folder=folder)

    _assert_both(voc_masks.read(tmp_path).images[0])


def test_images_of_another_set_do_not_confuse(tmp_path):
    for name in ("image1", "image2"):
        _set(tmp_path, name)
    photo(tmp_path / "test_images/image1.jpg")

    found = voc_masks.read(tmp_path)

    assert [image.path.parent.name for image in found.images] == ["images", "images"]


def test_folders_that_could_be_either_have_to_be_named(tmp_path):
    _set(tmp_path)
    photo(tmp_path / "small/image1.jpg")

    with pytest.raises(AnnotationError, match="--image_dir is needed.*images, small"):
        voc_masks.read(tmp_path)
    assert voc_masks.read(tmp_path, image_dir="small").images[0].path.parent.name == "small"
    with pytest.raises(AnnotationError, match="--mask_dir: there is no folder"):
        voc_masks.read(tmp_path, image_dir="small", mask_dir="none")


@pytest.mark.parametrize(
    "mask",
    [
        "image1_mask.png",
        "image1_color_mask.png",
        "IMAGE1.PNG",
        "mask_image1.png",
        "image1.jpg.png",
        "image1-seg.bmp",
        "image1_label.png",
    ],
)
def test_mask_files_have_words_in_their_names(tmp_path, mask):
    _set(tmp_path, mask=mask)
    color_png(tmp_path / "masks/image10.png", NUMBERS[::-1], COLORS)

    _assert_both(voc_masks.read(tmp_path).images[0])


@pytest.mark.parametrize("names", ["image1_object{}.png", "image1_{}.png"])
@pytest.mark.parametrize("first", [0, 1])
def test_a_mask_file_an_object(tmp_path, names, first):
    _set(tmp_path, mask="")
    (tmp_path / "masks").mkdir()
    for number, mask in enumerate((CUP, BALL), start=first):
        Image.fromarray(mask.astype(np.uint8) * 255).save(tmp_path / "masks" / names.format(number))

    _assert_both(voc_masks.read(tmp_path).images[0])


def test_the_masks_of_another_image_are_not_those_of_the_first_object(tmp_path):
    _set(tmp_path, "image", mask="")
    _set(tmp_path, "image_1")

    found = voc_masks.read(tmp_path)

    assert [image.filename for image in found.images] == ["image_1.jpg"]
    assert reasons(found.findings) == {"the image has no mask image": ["image.jpg"]}


def test_stale_file_names_in_the_xmls_do_no_harm(tmp_path):
    _set(tmp_path, "image1")
    _set(tmp_path, "image2")
    path = tmp_path / "xmls/image2.xml"
    path.write_text(path.read_text().replace("image2.jpg", "image1.jpg"))

    found = voc_masks.read(tmp_path)

    assert [image.filename for image in found.images] == ["image1.jpg", "image2.jpg"]


def test_an_image_without_objects_needs_no_mask(tmp_path):
    _set(tmp_path)
    photo(tmp_path / "images/empty.jpg")
    sheet(tmp_path / "xmls/empty.xml")

    assert [len(image.objects) for image in voc_masks.read(tmp_path).images] == [0, 2]


def test_without_masks_the_boxes_are_read(tmp_path):
    _set(tmp_path, mask="")

    (image,) = voc_masks.read(tmp_path, with_masks=False).images

    assert image.complete is None
    assert len(image.objects) == 2


def test_one_bad_xml_is_a_finding(tmp_path):
    _set(tmp_path)
    (tmp_path / "xmls/b.xml").write_text("<annotation>")

    found = voc_masks.read(tmp_path)

    assert len(found.images) == 1
    assert [finding.key for finding in found.findings] == ["b.xml"]


def test_a_broken_mask_image_leaves_the_image_out(tmp_path):
    _set(tmp_path)
    (tmp_path / "masks/image1.png").write_bytes(b"none")

    image, findings = completed(voc_masks.read(tmp_path).images[0])

    assert image is None
    assert "not an image of a known format" in findings[0].reason


@needs_reference
def test_cups_and_speakers_to_the_pixel():
    folder = REFERENCE / "data/sets/cup_speaker/dataset"
    colors = {"speaker": (255, 0, 0), "cup": (0, 0, 230)}

    found = voc_masks.read(folder)

    assert len(found.images) == 32
    assert sum(len(image.objects) for image in found.images) == 49
    for image in found.images:
        with Image.open(folder / "train_masks" / f"{image.path.stem}.png") as drawn:
            pixels = np.asarray(drawn)
        done, findings = completed(image)
        assert findings == ()
        for each in done.objects:
            expected = (pixels == colors[each.class_name]).all(axis=2)
            np.testing.assert_array_equal(masks.rasterize(each.mask, *expected.shape), expected)
