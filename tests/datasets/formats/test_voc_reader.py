"""Pascal VOC as it is published, and as everybody else lays it out."""

import numpy as np
import pytest
from PIL import Image
from rasterization import even_odd, iou, star
from reference import REFERENCE, needs_reference
from voc_sets import (
    HEIGHT,
    WIDTH,
    box_around,
    completed,
    disc,
    palette_png,
    photo,
    reasons,
    sheet,
    text,
    thing,
)

from object_detection.datasets import masks
from object_detection.datasets.annotations import Category, Polygons
from object_detection.datasets.formats import voc
from object_detection.errors import AnnotationError

CAT, DOG = disc(20, 20, 12), disc(35, 55, 15)
BOX = (5, 10, 20, 30)


def _set(root, name="2008_000001", *things, year="VOC2012", listed="train"):
    """One image with its xml and a list of it; returns the folder of the year."""
    folder = root / year if year else root
    photo(folder / "JPEGImages" / f"{name}.jpg")
    sheet(folder / "Annotations" / f"{name}.xml", *(things or [thing("dog", BOX)]))
    if listed:
        path = folder / "ImageSets" / "Main" / f"{listed}.txt"
        text(path, (path.read_text() if path.exists() else "") + f"{name}\n")
    return folder


def _read(root, **options):
    return voc.read(root, **{"year": "VOC2012", **options})


def test_a_year_is_read_with_tfods_numbers(tmp_path):
    folder = _set(tmp_path, "a", thing("person", BOX, pose="Left"))
    _set(tmp_path, "b", thing("cat", (1, 2, 3, 4)))

    found = _read(tmp_path)

    assert [image.filename for image in found.images] == ["a.jpg", "b.jpg"]
    first = found.images[0]
    assert first.path == folder / "JPEGImages" / "a.jpg"
    assert (first.source_id, first.stated_size) == ("a.jpg", (HEIGHT, WIDTH))
    assert (first.objects[0].box, first.objects[0].view) == (BOX, "Left")
    assert found.categories[14] == Category("person", 15)
    assert len(found.categories) == 20
    assert found.findings == ()


def test_a_set_of_ones_own_is_numbered_by_its_names(tmp_path):
    _set(tmp_path, "a", thing("zebra", BOX), thing("cat", BOX))

    assert _read(tmp_path).categories == (Category("cat"), Category("zebra"))


def test_a_folder_of_another_name_than_a_years_has_classes_of_its_own(tmp_path):
    _set(tmp_path, "a", thing("dog", BOX), year="train")

    assert _read(tmp_path, year="train").categories == (Category("dog"),)


def test_without_a_folder_of_the_year_vocs_classes_are_no_reason_for_twenty(tmp_path):
    _set(tmp_path, "a", thing("dog", BOX), year="")

    assert _read(tmp_path).categories == (Category("dog"),)


def test_two_years_become_one_set(tmp_path):
    _set(tmp_path, "000001", year="VOC2007")
    _set(tmp_path, "2008_000001", year="VOC2012")

    found = _read(tmp_path, year="merged")

    assert [image.filename for image in found.images] == ["000001.jpg", "2008_000001.jpg"]


def test_one_of_two_years_alone_is_an_error(tmp_path):
    _set(tmp_path, year="VOC2007")

    with pytest.raises(AnnotationError, match="neither a folder VOC2012"):
        _read(tmp_path, year="merged")


@pytest.mark.parametrize("listed", ["aeroplane_train", "dog_train", "train"])
def test_the_list_of_a_class_names_the_set_too(tmp_path, listed):
    _set(tmp_path, "a", listed="")
    text(tmp_path / "VOC2012/ImageSets/Main" / f"{listed}.txt", "a  -1\n")

    assert [image.filename for image in _read(tmp_path).images] == ["a.jpg"]


@pytest.mark.parametrize(
    "line",
    ["a b", '"a b" 1', "a b.jpg", "JPEGImages/a b.jpg", "C:\\x\\a b.xml", "A B -1", "  a b  0 "],
)
def test_lines_of_lists_come_in_many_forms(tmp_path, line):
    folder = _set(tmp_path, "a b", listed="")
    text(folder / "ImageSets/Main/train.txt", f"\ufeff{line}\r\n\r\n")

    found = _read(tmp_path)

    assert [image.filename for image in found.images] == ["a b.jpg"]
    assert found.findings == ()


def test_an_image_listed_twice_is_taken_once(tmp_path):
    folder = _set(tmp_path, "a", listed="")
    text(folder / "ImageSets/Main/train.txt", "a\na\n")

    found = _read(tmp_path)

    assert len(found.images) == 1
    assert reasons(found.findings) == {"listed twice in train.txt: taken once": ["a"]}


def test_a_set_without_a_list_names_those_there_are(tmp_path):
    _set(tmp_path, "a", listed="val")

    with pytest.raises(AnnotationError, match="no list of the set 'train'.*it has val"):
        _read(tmp_path)


def test_without_lists_every_xml_counts(tmp_path):
    _set(tmp_path, "b", listed="")
    _set(tmp_path, "a", listed="")

    found = _read(tmp_path)

    assert [image.filename for image in found.images] == ["a.jpg", "b.jpg"]
    (reason,) = reasons(found.findings)
    assert "every xml is taken for the set 'train'" in reason


def test_folders_may_be_lower_case_and_xmls_beside_the_images(tmp_path):
    photo(tmp_path / "lower/images/a.png")
    sheet(tmp_path / "lower/annotations/a.xml", thing("dog", BOX), filename="a.jpg")
    photo(tmp_path / "beside/a.JPEG")
    sheet(tmp_path / "beside/a.xml", thing("dog", BOX), filename="a.JPEG")

    assert [image.filename for image in voc.read(tmp_path / "lower").images] == ["a.png"]
    assert [image.filename for image in voc.read(tmp_path / "beside").images] == ["a.JPEG"]


def test_images_in_folders_of_their_own_keep_them_in_their_names(tmp_path):
    photo(tmp_path / "JPEGImages/day/a.jpg")
    photo(tmp_path / "JPEGImages/night/a.jpg")
    for part in ("day", "night"):
        sheet(tmp_path / f"Annotations/{part}/a.xml", thing("dog", BOX), filename=f"{part}/a.jpg")

    found = voc.read(tmp_path)

    assert [image.source_id for image in found.images] == ["day/a.jpg", "night/a.jpg"]


@pytest.mark.parametrize(
    "filename", ["", "a", "A.JPG", "a.png", "C:\\photos\\a.jpg", "/tmp/x/a.jpg", "other.jpg"]
)
def test_an_image_is_found_whatever_its_xml_calls_it(tmp_path, filename):
    photo(tmp_path / "JPEGImages/a.jpg")
    sheet(tmp_path / "Annotations/a.xml", thing("dog", BOX), filename=filename)

    (image,) = voc.read(tmp_path).images

    assert (image.filename, image.path) == ("a.jpg", tmp_path / "JPEGImages/a.jpg")


def test_a_file_name_left_over_from_another_xml_is_not_believed(tmp_path):
    for name in ("a", "b"):
        photo(tmp_path / f"JPEGImages/{name}.jpg")
        sheet(tmp_path / f"Annotations/{name}.xml", thing("dog", BOX), filename="b.jpg")

    found = voc.read(tmp_path)

    assert [image.filename for image in found.images] == ["a.jpg", "b.jpg"]
    assert ["a.xml"] in reasons(found.findings).values()


def test_several_xmls_of_one_image_are_reported(tmp_path):
    photo(tmp_path / "JPEGImages/b.jpg")
    for name in ("a", "c"):
        sheet(tmp_path / f"Annotations/{name}.xml", thing("dog", BOX), filename="b.jpg")

    assert "several xmls name this image" in reasons(voc.read(tmp_path).findings)


def test_one_bad_xml_is_a_finding(tmp_path):
    folder = _set(tmp_path, "a")
    text(folder / "Annotations/b.xml", "<annotation>")
    text(folder / "ImageSets/Main/train.txt", "a\nb\nc\n")

    found = _read(tmp_path)

    assert len(found.images) == 1
    assert sorted(sum(reasons(found.findings).values(), [])) == ["Annotations/b.xml", "c"]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"year": "VOC2031"}, "neither a folder VOC2031"),
        ({"annotations_dir": "boxes"}, "no folder boxes"),
    ],
)
def test_folders_that_are_not_there(tmp_path, options, why):
    _set(tmp_path, "a")

    with pytest.raises(AnnotationError, match=why):
        _read(tmp_path, **options)
    with pytest.raises(AnnotationError, match="there is no folder"):
        _read(tmp_path / "nowhere")


def test_difficult_objects_can_be_left_out(tmp_path):
    _set(tmp_path, "a", thing("dog", BOX, difficult=1), thing("cat", BOX))

    assert [each.difficult for each in _read(tmp_path).images[0].objects] == [True, False]
    found = _read(tmp_path, ignore_difficult=True)
    assert [each.class_name for each in found.images[0].objects] == ["cat"]
    assert [finding.key for finding in found.findings] == ["a.xml: object 1"]


def _segmented(root, name, numbers, *things):
    folder = _set(root, name, *things)
    palette_png(folder / "SegmentationObject" / f"{name}.png", numbers)
    return folder


def _numbers(*pairs):
    pixels = np.zeros((HEIGHT, WIDTH), np.uint8)
    for number, mask in pairs:
        pixels[mask] = number
    return pixels


def _mask(found):
    return masks.rasterize(found.mask, HEIGHT, WIDTH).astype(bool)


def test_instances_are_exact_to_the_pixel(tmp_path):
    border = disc(35, 55, 17) & ~DOG
    _segmented(
        tmp_path,
        "a",
        _numbers((255, border), (1, CAT), (2, DOG)),
        thing("cat", box_around(CAT)),
        thing("dog", box_around(DOG)),
    )

    image, findings = completed(_read(tmp_path, with_masks=True).images[0])

    for found, mask in zip(image.objects, (CAT, DOG), strict=True):
        np.testing.assert_array_equal(_mask(found), mask)
    assert findings == ()


def test_instances_in_another_order_are_reported(tmp_path):
    objects = [thing("cat", box_around(CAT)), thing("dog", box_around(DOG))]
    _segmented(tmp_path, "a", _numbers((2, CAT), (1, DOG)), *objects)

    image, findings = completed(_read(tmp_path, with_masks=True).images[0])

    np.testing.assert_array_equal(_mask(image.objects[0]), CAT)
    ((reason, keys),) = reasons(findings).items()
    assert "not the object's place" in reason
    assert sorted(keys) == ["a.xml: object 1", "a.xml: object 2"]


def test_difficult_objects_left_out_take_their_instances_along(tmp_path):
    objects = [thing("cat", box_around(CAT), difficult=1), thing("dog", box_around(DOG))]
    _segmented(tmp_path, "a", _numbers((1, CAT), (2, DOG)), *objects)

    image, findings = completed(_read(tmp_path, with_masks=True, ignore_difficult=True).images[0])

    (dog,) = image.objects
    np.testing.assert_array_equal(_mask(dog), DOG)
    assert findings == ()


def test_what_instance_and_object_lack_each_other_is_reported(tmp_path):
    objects = [thing("cat", box_around(CAT)), thing("dog", box_around(DOG))]
    other = disc(50, 10, 5)
    _segmented(tmp_path, "a", _numbers((1, CAT), (7, other)), *objects)

    image, findings = completed(_read(tmp_path, with_masks=True).images[0])

    assert image.objects[1].mask is None
    assert image.objects[1].mask_fault == "nothing in the mask image fits the object"
    assert reasons(findings) == {"a value of the mask image is no object's": ["a.png: 7"]}


def test_images_without_instances_are_left_out_where_masks_are_wanted(tmp_path):
    _segmented(tmp_path, "a", _numbers((1, CAT)), thing("cat", box_around(CAT)))
    _set(tmp_path, "b")

    found = _read(tmp_path, with_masks=True)

    assert [image.filename for image in found.images] == ["a.jpg"]
    assert reasons(found.findings) == {"the image has no file in SegmentationObject": ["b.jpg"]}
    assert len(_read(tmp_path).images) == 2


def test_masks_come_with_the_list_of_the_segmentation_set(tmp_path):
    folder = _segmented(tmp_path, "a", _numbers((1, CAT)), thing("cat", box_around(CAT)))
    _set(tmp_path, "b")
    text(folder / "ImageSets/Segmentation/train.txt", "a\n")

    found = _read(tmp_path, with_masks=True)

    assert [image.filename for image in found.images] == ["a.jpg"]
    assert found.findings == ()


def test_masks_that_nobody_has_are_an_error(tmp_path):
    _set(tmp_path, "a")

    with pytest.raises(AnnotationError, match="no image of the set has masks"):
        _read(tmp_path, with_masks=True)


def test_a_broken_mask_file_leaves_the_image_out(tmp_path):
    folder = _segmented(tmp_path, "a", _numbers((1, CAT)), thing("cat", box_around(CAT)))
    (folder / "SegmentationObject/a.png").write_bytes(b"none")

    image, findings = completed(_read(tmp_path, with_masks=True).images[0])

    assert image is None
    assert "not an image of a known format" in findings[0].reason


def test_a_mask_file_that_fits_nothing_leaves_the_image_out(tmp_path):
    _segmented(tmp_path, "a", _numbers((9, disc(50, 10, 5))), thing("cat", box_around(CAT)))

    image, findings = completed(_read(tmp_path, with_masks=True).images[0])

    assert image is None
    assert reasons(findings) == {
        "the mask image fits none of the image's objects": ["a.jpg: a.png"]
    }


def test_outlines_in_the_xml_need_no_mask_file(tmp_path):
    points = "<x1>1</x1><y1>2</y1><x2>9</x2><y2>2</y2><x3>9</x3><y3>8</y3>"
    _set(tmp_path, "a", thing("cat", BOX, polygon=points))

    (image,) = _read(tmp_path, with_masks=True).images

    assert isinstance(image.objects[0].mask, Polygons)
    assert image.complete is None


def test_an_outline_in_the_xml_is_filled_as_a_second_opinion_fills_it(tmp_path):
    line = star(40, 30, 22, 28)
    numbered = enumerate(line, start=1)
    points = "".join(f"<x{n}>{x:.3f}</x{n}><y{n}>{y:.3f}</y{n}>" for n, (x, y) in numbered)
    _set(tmp_path, "a", thing("cat", (2, 12, 58, 68), polygon=points))

    (found,) = _read(tmp_path, with_masks=True).images[0].objects

    expected = even_odd([line], HEIGHT, WIDTH)
    assert expected.sum() > 1000
    assert iou(found, expected) >= 0.99


@needs_reference
def test_two_hundred_raccoons():
    found = voc.read(REFERENCE / "data/sets/raccoon")

    assert found.categories == (Category("raccoon"),)
    assert len(found.images) == 200
    assert all(image.path.is_file() for image in found.images)
    assert sum(len(image.objects) for image in found.images) == 217
    for image in found.images:
        with Image.open(image.path) as photograph:
            assert photograph.size == image.stated_size[::-1]


@needs_reference
def test_samples_with_lists_parts_and_odd_names():
    folder = REFERENCE / "data/formats/voc_dataset"

    (image,) = voc.read(folder / "voc_dataset1").images
    assert [each.class_name for each in image.objects] == ["cat", "person"]
    found = voc.read(folder / "voc_dataset2", image_set="trainval")
    assert [image.filename for image in found.images] == [f"{name}.jpg" for name in "@abcd"]
    assert found.images[4].objects[0].box == (4.0, 4.0, 8.0, 8.0)
