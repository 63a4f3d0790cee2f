"""COCO json into records of our own."""

import json
from array import array

import pytest

from object_detection.datasets import checking
from object_detection.datasets.annotations import Category, Polygons, RunLengths
from object_detection.datasets.formats import coco
from object_detection.datasets.report import SKIPPED_OBJECT
from object_detection.errors import AnnotationError

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
def test_the_form_of_a_mask_is_reported_by_its_shape(tmp_path, crowd):
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
    assert "b.jpg" in found.findings[0].key
    assert "duplicate image id 1" in found.findings[0].reason


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
            "duplicate category id 1",
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


def _reasons(found):
    return [(finding.reason, finding.key) for finding in found.findings]


@pytest.mark.parametrize("one", [1, 1.0, "1", " 1 ", "1.0", "0001"])
@pytest.mark.parametrize("field", ["image_id", "category_id"])
def test_ids_are_equal_as_whole_numbers_are(tmp_path, one, field):
    content = _content(
        categories=[{"id": 1, "name": "cat"}, {"id": "2", "name": "dog"}],
        images=[{"id": 1.0, "file_name": "a.jpg"}, {"id": "2", "file_name": "b.jpg"}],
        annotations=[{**_annotation(image_id=1, category_id=1), field: one}],
    )

    found = _read(tmp_path, content)

    assert [category.id for category in found.categories] == [1, 2]
    assert [image.source_id for image in found.images] == ["1", "2"]
    assert [len(image.objects) for image in found.images] == [1, 0]
    assert found.images[0].objects[0].class_name == "cat"
    assert not found.findings


def test_image_ids_with_leading_zeros_stay_as_they_are(tmp_path):
    images = [{"id": name, "file_name": f"{name}.jpg"} for name in ("0001", "1", "0002")]
    annotations = [_annotation(image_id=name) for name in ("0001", "1", 1, 2)]

    found = _read(tmp_path, _content(images=images, annotations=annotations))

    assert [(image.source_id, len(image.objects)) for image in found.images] == [
        ("0001", 1),
        ("1", 2),
        ("0002", 1),
    ]


@pytest.mark.parametrize(
    "entry",
    [None, "cat", 5, [], {}, {"id": True, "name": "b"}, {"id": 10**400, "name": "b"}]
    + [{"id": 1.5, "name": "b"}, {"id": "x", "name": "b"}, {"id": 9, "name": None}]
    + [{"id": 9, "name": "\ud800"}, {"id": 9, "name": ["b"]}, {"id": -2, "name": "b"}],
)
def test_a_category_that_cannot_be_used_is_skipped_and_named(tmp_path, entry):
    found = _read(tmp_path, _content(categories=[{"id": 3, "name": "cat"}, entry]))

    assert found.categories == (Category("cat", 3),)
    ((reason, key),) = _reasons(found)
    assert "an id from 0 up and a name" in reason
    assert key.startswith("category number 2: ")
    key.encode()


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (None, "the entry is None"),
        ("a.jpg", "the entry is 'a.jpg'"),
        ({"id": 1}, "an id and a file_name"),
        ({"file_name": "a.jpg"}, "an id and a file_name"),
        ({"id": [1], "file_name": "a.jpg"}, "an id and a file_name"),
        ({"id": "\ud800", "file_name": "a.jpg"}, "an id and a file_name"),
        ({"id": float("nan"), "file_name": "a.jpg"}, "an id and a file_name"),
        ({"id": 1, "file_name": 5}, "the file name is 5"),
        ({"id": 1, "file_name": ["a.jpg"]}, "not a text"),
        ({"id": 1, "file_name": "a\0.jpg"}, "null byte"),
        ({"id": 1, "file_name": "a" * 300}, "255 bytes"),
        ({"id": 1, "file_name": "\ud800.jpg"}, "half a character"),
    ],
)
def test_an_image_that_cannot_be_used_is_skipped_and_named(tmp_path, entry, why):
    annotations = [_annotation(), _annotation(id=6, image_id=1)]
    images = [*_content()["images"], entry]

    found = _read(tmp_path, _content(images=images, annotations=annotations))

    assert [image.filename for image in found.images] == ["a.jpg"]
    assert len(found.images[0].objects) == 1
    first, second = found.findings
    assert why in first.reason and first.key.startswith("image number 2")
    assert second.key == "annotation 6"
    assert second.reason in ("its image is skipped", "the file has no image '1'")
    str(found.findings).encode(errors="backslashreplace")


@pytest.mark.parametrize("entry", [None, "text", 5, [1]])
def test_an_annotation_that_is_no_object_is_skipped_and_named(tmp_path, entry):
    found = _read(tmp_path, _content(annotations=[_annotation(), entry]))

    assert len(found.images[0].objects) == 1
    ((reason, key),) = _reasons(found)
    assert key == "annotation number 2" and "not an object" in reason


@pytest.mark.parametrize("name", ["images", "categories", "annotations"])
@pytest.mark.parametrize("value", [{"a": 1}, "text", 5])
def test_top_level_lists_of_another_type_are_refused(tmp_path, name, value):
    with pytest.raises(AnnotationError, match=f"no list '{name}'; it is"):
        _read(tmp_path, _content(**{name: value}))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"area": "big"}, {"area": None}),
        ({"area": 10**400}, {"area": None}),
        ({"area": True}, {"area": None}),
        ({"bbox": [10**400, 1, 2, 3]}, {"box": None}),
        ({"bbox": {"x": 1}}, {"box": None}),
        ({"bbox": ["1", "2", "3", "4"]}, {"box": (2, 1, 6, 4)}),
        ({"iscrowd": "0"}, {"crowd": False}),
        ({"iscrowd": None}, {"crowd": False}),
        ({"iscrowd": "1"}, {"crowd": True}),
        ({"iscrowd": True}, {"crowd": True}),
        ({"iscrowd": [1]}, {"crowd": False}),
        ({"segmentation": [[10**400, 1, 2, 3, 4, 5]]}, {"mask": None}),
        ({"segmentation": {"size": [2, 3], "counts": [float("inf")]}}, {"mask": None}),
        ({"segmentation": {"size": [2.5, 3], "counts": [6]}}, {"mask": None}),
        ({"segmentation": "{'size': [2, 3], 'counts': '132'}"}, {"mask": RunLengths(2, 3, b"132")}),
        (
            {"segmentation": {"size": [2, 3], "counts": "b'132'"}},
            {"mask": RunLengths(2, 3, b"132")},
        ),
        ({"segmentation": "[]"}, {"mask": None, "mask_fault": None}),
        ({"segmentation": {}}, {"mask": None, "mask_fault": None}),
        (
            {"segmentation": [[[1, 1], [5, 1], [5, 5]]]},
            {"mask": Polygons((array("d", TRIANGLE),))},
        ),
        ({"segmentation": [[1, 1], [5, 1], [5, 5]]}, {"mask": Polygons((array("d", TRIANGLE),))}),
    ],
)
def test_fields_of_another_form(tmp_path, fields, expected):
    found = _only_object(tmp_path, **fields)

    assert {name: getattr(found, name) for name in expected} == expected


def test_an_unused_root_category_is_no_class(tmp_path):
    root = {"id": 0, "name": "fish", "supercategory": "none"}
    below = [{"id": k, "name": name, "supercategory": "fish"} for k, name in ((1, "a"), (2, "b"))]
    annotation = _annotation(category_id=1)

    found = _read(tmp_path, _content(categories=[root, *below], annotations=[annotation]))
    assert found.categories == (Category("a", 1), Category("b", 2))
    assert _reasons(found)[0][1] == "category 0 'fish'"

    bare = [root, *({**each, "supercategory": ""} for each in below)]  # nothing above the others
    found = _read(tmp_path, _content(categories=bare, annotations=[annotation]))
    assert "fish" not in [each.name for each in found.categories]

    # A root with objects is a class, and so is a class 0 that is no root.
    used = [annotation, _annotation(category_id=0)]
    found = _read(tmp_path, _content(categories=[root, *below], annotations=used))
    assert len(found.categories) == 3
    below[1]["supercategory"] = "other"
    found = _read(tmp_path, _content(categories=[root, *below], annotations=[annotation]))
    assert len(found.categories) == 3


def test_a_turned_box_of_cvat_is_turned(tmp_path):
    # 60 x 10 about (50, 40), by a quarter: 10 x 60.
    attributes = {"occluded": False, "rotation": 90.0}
    turned = _only_object(
        tmp_path, bbox=[20, 35, 60, 10], area=600, segmentation=[], attributes=attributes
    )

    fitted, findings = checking.check_object(turned, 80, 96, with_mask=True)
    assert fitted.box == pytest.approx((10, 45, 70, 55))
    assert fitted.mask.pixels.shape == (60, 10)
    assert not any(finding.group == SKIPPED_OBJECT for finding in findings)

    for rotation in (0.0, 360, "left", None, float("nan"), True):
        plain = _only_object(tmp_path, bbox=[1, 2, 3, 4], attributes={"rotation": rotation})
        assert plain.box == (2, 1, 6, 4) and plain.mask is None


def test_a_stated_size_may_be_text_and_is_bounded(tmp_path):
    sizes = [("30", 40.0), (0, 40), (10**6, 10**6), (None, 40), ([30], 40)]
    images = [
        {"id": k, "file_name": f"{k}.jpg", "height": height, "width": width}
        for k, (height, width) in enumerate(sizes)
    ]

    found = _read(tmp_path, _content(images=images))

    assert [image.stated_size for image in found.images] == [(30, 40), None, None, None, None]
