"""VOC's segmentation folders without xmls, as labelme and CVAT write them."""

import numpy as np
import pytest
from reference import REFERENCE, needs_reference
from voc_sets import HEIGHT, WIDTH, color_png, completed, disc, palette_png, photo, reasons, text

from object_detection.datasets import masks
from object_detection.datasets.annotations import Category
from object_detection.datasets.formats import voc
from object_detection.errors import AnnotationError

CAT, DOG, OTHER = disc(20, 20, 12), disc(35, 55, 15), disc(50, 10, 6)
INSTANCES = CAT + 2 * DOG.astype(int) + 3 * OTHER.astype(int)


def _set(root, classes, *, colors=None, instances=INSTANCES):
    photo(root / "JPEGImages/a.jpg")
    palette_png(root / "SegmentationObject/a.png", instances)
    if colors:
        color_png(root / "SegmentationClass/a.png", classes, colors)
    else:
        palette_png(root / "SegmentationClass/a.png", classes)


def _assert_three(image, names):
    done, findings = completed(image)
    assert findings == ()
    assert [each.class_name for each in done.objects] == names
    for each, mask in zip(done.objects, (CAT, DOG, OTHER), strict=True):
        np.testing.assert_array_equal(masks.rasterize(each.mask, HEIGHT, WIDTH), mask)


def test_vocs_own_numbers(tmp_path):
    _set(tmp_path, 8 * (CAT | OTHER) + 12 * DOG.astype(int))
    text(tmp_path / "ImageSets/Segmentation/train.txt", "a\n")

    found = voc.read(tmp_path, with_masks=True)

    _assert_three(found.images[0], ["cat", "dog", "cat"])
    assert found.categories[7] == Category("cat", 8)
    assert found.findings == ()


def test_labelmes_class_names(tmp_path):
    _set(tmp_path, 1 * (CAT | OTHER) + 2 * DOG.astype(int))
    text(tmp_path / "class_names.txt", "_background_\nzebra\napple\n")

    found = voc.read(tmp_path, with_masks=True)

    _assert_three(found.images[0], ["zebra", "apple", "zebra"])
    assert found.categories == (Category("zebra", 1), Category("apple", 2))


def test_cvats_label_map_names_colors(tmp_path):
    numbers = 1 * (CAT | OTHER) + 2 * DOG.astype(int)
    _set(tmp_path, numbers, colors=[(0, 0, 0), (250, 50, 83), (51, 221, 255)])
    lines = "# label:color_rgb:parts:actions\nbackground:0,0,0::\n"
    text(tmp_path / "labelmap.txt", f"{lines}zebra:250,50,83::\napple:51,221,255::\n")

    found = voc.read(tmp_path, with_masks=True)

    _assert_three(found.images[0], ["zebra", "apple", "zebra"])
    assert found.categories == (Category("apple"), Category("zebra"))


def test_instances_of_no_class_and_of_two_are_reported(tmp_path):
    classes = 8 * CAT.astype(int)
    classes[CAT & disc(20, 20, 3)] = 12
    _set(tmp_path, classes)

    done, findings = completed(voc.read(tmp_path).images[0])

    assert [each.class_name for each in done.objects] == ["cat"]
    assert reasons(findings) == {
        "the instance has pixels of several classes: that of most is taken": ["a.png: 1"],
        "SegmentationClass has no class for the instance": ["a.png: 2", "a.png: 3"],
    }


def test_files_that_are_missing_or_broken_are_findings(tmp_path):
    _set(tmp_path, 8 * CAT.astype(int))
    palette_png(tmp_path / "SegmentationObject/b.png", INSTANCES)
    (tmp_path / "SegmentationClass/a.png").write_bytes(b"none")

    found = voc.read(tmp_path)

    assert ["b"] in reasons(found.findings).values()
    done, findings = completed(found.images[0])
    assert done is None
    assert "not an image of a known format" in findings[0].reason


def test_a_label_map_that_is_none_is_an_error(tmp_path):
    _set(tmp_path, 8 * CAT.astype(int))
    text(tmp_path / "labelmap.txt", "cat 250 50 83\n")

    with pytest.raises(AnnotationError, match="labelmap.txt, line 1"):
        voc.read(tmp_path)


@needs_reference
def test_a_sample_in_colors_of_the_palette(tmp_path):
    sample = REFERENCE / "data/formats/voc_dataset/voc_dataset1"
    for folder in ("JPEGImages", "SegmentationObject", "SegmentationClass"):
        (tmp_path / folder).symlink_to(sample / folder)

    done, _ = completed(voc.read(tmp_path).images[0])

    assert [each.class_name for each in done.objects] == ["bicycle"]  # (0, 128, 0) is number 2
    assert masks.rasterize(done.objects[0].mask, 10, 20).all()
