"""Digests depend on values alone: the same inputs read again have the same."""

from array import array

import numpy as np

from object_detection.datasets.annotations import AnnotatedImage, AnnotatedObject, Polygons
from object_detection.datasets.conversion import image_digest
from object_detection.structures.masks import CroppedMask


def _image(name, mask):
    objects = tuple(AnnotatedObject(key, name, (0.0, 0.0, 2.0, 2.0), mask) for key in "ab")
    return AnnotatedImage("a.jpg", "1", "a.jpg", objects, encoded=b"pixels")


def test_equal_values_have_one_digest_whether_they_are_one_thing_or_two():
    name = "long name"
    shared = _image(name, Polygons((array("d", [0, 0, 1, 1, 2, 0]),)))
    again = _image(name, Polygons((array("d", [0, 0, 1, 1, 2, 0]),)))
    first, second = again.objects
    apart = again._replace(objects=(first, second._replace(class_name="".join(list(name)))))

    assert image_digest(shared) == image_digest(again) == image_digest(apart)


def test_every_value_counts():
    image = _image("cat", CroppedMask(np.eye(3), 1, 2))
    others = [
        _image("dog", CroppedMask(np.eye(3), 1, 2)),
        _image("cat", CroppedMask(np.eye(3), 1, 3)),
        _image("cat", CroppedMask(1 - np.eye(3), 1, 2)),
        image._replace(source_id="2"),
        image._replace(encoded=b"pixel"),
        image._replace(objects=image.objects[:1]),
    ]

    assert len({image_digest(each) for each in (image, *others)}) == 7
