"""Image-level labels, further features of objects and stretched masks in the records."""

import io

import numpy as np
from PIL import Image

from object_detection.datasets import examples
from object_detection.datasets.annotations import (
    AnnotatedImage,
    AnnotatedObject,
    ImageLabel,
    Stretched,
)
from object_detection.datasets.examples import Settings, features_of
from object_detection.datasets.masks import rasterize
from object_detection.structures.masks import CroppedMask

IDS = {"cat": 3, "dog": 7}


def _image(**fields):
    return AnnotatedImage("a", "a", "a.jpg", **fields)


def test_labels_are_written_with_their_numbers_and_confidences():
    labels = (ImageLabel("dog"), ImageLabel("cow"), ImageLabel("cat", 0.0))

    features = examples.label_features(_image(labels=labels), IDS)

    assert features["image/class/text"] == [b"dog", b"cat"]  # no cow in the label map
    assert features["image/class/label"].tolist() == [7, 3]
    assert features["image/class/confidence"].tolist() == [1.0, 0.0]
    assert len(features) == 3


def test_classes_that_are_absent_or_partly_annotated_are_numbers_of_the_label_map():
    image = _image(negative_classes=("dog", "cow"), not_exhaustive_classes=("cat",))

    features = examples.label_features(image, IDS)

    assert features["image/neg_category_ids"].tolist() == [7]
    assert features["image/not_exhaustive_category_ids"].tolist() == [3]
    assert len(features) == 2


def test_an_image_of_which_nothing_is_said_has_no_such_features():
    assert examples.label_features(_image(), IDS) == {}


def _png(height, width):
    buffer = io.BytesIO()
    Image.new("RGB", (width, height)).save(buffer, "PNG")
    return buffer.getvalue()


def test_attributes_stand_beside_the_boxes_and_are_zero_where_nothing_is_said():
    first = AnnotatedObject("1", "cat", (0, 0, 2, 2), attributes=(("occluded", -1), ("inside", 0)))
    outside = AnnotatedObject("2", "cat", (9, 9, 10, 10), attributes=(("occluded", 1),))
    second = AnnotatedObject("3", "dog", (1, 1, 2, 2))
    image = _image(objects=(first, outside, second), encoded=_png(4, 4))

    features = features_of(image, Settings(IDS)).features

    assert features["image/object/occluded"].tolist() == [-1, 0]
    assert features["image/object/inside"].tolist() == [0, 0]
    assert len(features["image/object/bbox/ymin"]) == 2


def test_the_labels_of_an_image_reach_its_record():
    image = _image(encoded=_png(4, 4), labels=(ImageLabel("cat"),))

    features = features_of(image, Settings(IDS)).features

    assert features["image/class/label"].tolist() == [3]
    assert len(features["image/object/bbox/ymin"]) == 0


def test_a_stretched_mask_has_the_size_of_the_image():
    small = CroppedMask(np.array([[0, 1, 0], [0, 0, 1]], np.uint8))
    found = AnnotatedObject("1", "cat", (0.0, 0.0, 1.0, 1.0), Stretched(small))
    image = _image(objects=(found,), encoded=_png(4, 6), normalized=True)

    outcome = features_of(image, Settings(IDS, include_masks=True))

    with Image.open(io.BytesIO(outcome.features["image/object/mask"][0])) as mask:
        pixels = np.asarray(mask)
    np.testing.assert_array_equal(pixels, np.kron(small.pixels, np.ones((2, 2), np.uint8)))
    assert outcome.features["image/object/area"].tolist() == [8.0]


def test_of_a_finer_mask_the_pixel_at_the_center_holds():
    fine = Stretched(CroppedMask(np.arange(6)[np.newaxis] % 3 == 1), height=1, width=2)

    assert rasterize(fine, 1, 2).tolist() == [[1, 1]]  # columns 1 and 4 of 0 to 5
