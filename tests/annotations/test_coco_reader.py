"""COCO json into records of our own."""

import json
from array import array

import pytest

from object_detection.annotations import coco
from object_detection.annotations.record import AnnotationError, Category, Polygons, RunLengths

TRIANGLE = [1.0, 1.0, 5.0, 1.0, 5.0, 5.0]


def _content(**changes):
    return {
        "categories": [{"id": 3, "name": "cat"}, {"id": 1, "name": "dog"}],
        "images": [{"id": 11, "file_name": "a.jpg", "height": 30, "width": 40}],
        "annotations": [],
        **changes,
    }


def _read(tmp_path, content):
    path = tmp_path / "instances.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return coco.read(path, tmp_path)


def _annotation(**fields):
    return {"id": 5, "image_id": 11, "category_id": 3, "bbox": [1, 2, 3, 4], "area": 9, **fields}


def _only_object(tmp_path, **fields):
    (image,) = _read(tmp_path, _content(annotations=[_annotation(**fields)])).images
    (found,) = image.objects
    return found


def test_classes_images_and_objects_are_read(tmp_path):
    found = _read(tmp_path, _content(annotations=[_annotation(iscrowd=1)]))

    assert found.categories == (Category("cat", 3), Category("dog", 1))
    (image,) = found.images
    assert (image.source_id, image.filename, image.stated_size) == ("11", "a.jpg", (30, 40))
    (only,) = image.objects
    assert only.key == "annotation 5"
    assert only.box == (2.0, 1.0, 6.0, 4.0)  # y, x, y + height, x + width
    assert (only.class_name, only.area, only.crowd) == ("cat", 9.0, True)


@pytest.mark.parametrize("crowd", [0, 1])
def test_the_form_of_a_mask_is_told_by_its_shape(tmp_path, crowd):
    def mask(segmentation):
        return _only_object(tmp_path, segmentation=segmentation, iscrowd=crowd).mask

    assert mask([TRIANGLE]) == Polygons((array("d", TRIANGLE),))
    assert mask(TRIANGLE) == Polygons((array("d", TRIANGLE),))  # the outer list forgotten
    assert mask({"size": [2, 3], "counts": [1, 3, 2]}) == RunLengths(2, 3, (1, 3, 2))
    assert mask({"size": [2, 3], "counts": "132"}) == RunLengths(2, 3, b"132")
    assert mask([]) is None
    assert mask(None) is None


@pytest.mark.parametrize(
    "segmentation", ["polygon", [["a", "b"]], {"counts": [1]}, [[[1, 2], [3, 4]]]]
)
def test_a_segmentation_of_no_known_form_is_remembered_as_a_fault(tmp_path, segmentation):
    found = _only_object(tmp_path, segmentation=segmentation)

    assert found.mask is None
    assert "neither polygons nor run lengths" in found.mask_fault


@pytest.mark.parametrize("bbox", [None, [], [1, 2, 3], "1 2 3 4", [1, 2, 3, None]])
def test_a_box_that_is_none_is_absent(tmp_path, bbox):
    assert _only_object(tmp_path, bbox=bbox).box is None


def test_an_image_without_objects_is_an_image(tmp_path):
    assert _read(tmp_path, _content()).images[0].objects == ()
    content = _content()
    del content["annotations"]  # as in COCO's image lists of the test set
    assert _read(tmp_path, content).images[0].objects == ()


def test_references_into_the_void_are_findings(tmp_path):
    strays = [_annotation(id=1, category_id=8), _annotation(id=2, image_id=99)]

    found = _read(tmp_path, _content(annotations=strays))

    assert [(f.reason, f.key) for f in found.findings] == [
        ("the file has no category 8", "annotation 1"),
        ("the file has no image '99'", "annotation 2"),
    ]


def test_an_image_id_used_twice_is_a_finding(tmp_path):
    images = [{"id": 1, "file_name": "a.jpg"}, {"id": 1, "file_name": "b.jpg"}]

    found = _read(tmp_path, _content(images=images))

    assert [image.filename for image in found.images] == ["a.jpg"]
    assert found.findings[0].key == "b.jpg"


def test_numbers_written_as_text_still_refer_to_their_image(tmp_path):
    found = _read(tmp_path, _content(annotations=[_annotation(image_id="11")]))

    assert len(found.images[0].objects) == 1


def test_a_file_is_found_under_its_folders_or_by_its_bare_name(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("sub/a.jpg", "b.jpg"):
        (tmp_path / name).touch()
    names = ["sub/a.jpg", "elsewhere/b.jpg", "C:\\photos\\b.jpg"]
    images = [{"id": number, "file_name": name} for number, name in enumerate(names)]

    found = _read(tmp_path, _content(images=images))

    assert [image.path for image in found.images] == [
        tmp_path / "sub/a.jpg",
        tmp_path / "b.jpg",
        tmp_path / "b.jpg",
    ]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ('{"images": [', "line 1, column 13"),
        ("[]", "no list 'images'"),
        ('{"images": []}', "no list 'categories'"),
        (
            _content(categories=[{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]),
            "id 1 stands 2 times",
        ),
        (_content(categories=[{"id": -1, "name": "a"}]), "an id from 0 up"),
        (_content(categories=[{"id": 1}]), "a name"),
        (_content(images=[{"id": 1}]), "a file_name"),
    ],
)
def test_a_file_that_cannot_be_used_is_an_error_that_says_where(tmp_path, content, why):
    with pytest.raises(AnnotationError, match=why):
        _read(tmp_path, content)


def test_a_missing_file_is_an_error_with_its_name(tmp_path):
    with pytest.raises(AnnotationError, match="nowhere.json"):
        coco.read(tmp_path / "nowhere.json", tmp_path)


def test_polygons_with_numbers_as_text(tmp_path):
    found = _only_object(tmp_path, segmentation=[["1", "1.5", 5, 1, 5, 5]])

    assert found.mask == Polygons((array("d", [1, 1.5, 5, 1, 5, 5]),))
