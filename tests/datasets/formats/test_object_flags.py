"""Difficult, truncated and view in the records, and objects that a worker completes."""

import io

import numpy as np
from PIL import Image

from object_detection.datasets.annotations import AnnotatedImage, AnnotatedObject, Finding
from object_detection.datasets.examples import Settings, features_of
from object_detection.datasets.report import NOTED

BOX = (1.0, 1.0, 4.0, 4.0)
KEYS = ("difficult", "truncated", "view")


def _image(*objects, complete=None):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    return AnnotatedImage("a", "a", "a", objects, encoded=buffer.getvalue(), complete=complete)


def _flags(*objects):
    features = features_of(_image(*objects), Settings({"cat": 1})).features
    found = {key: features.get(f"image/object/{key}") for key in KEYS}
    return {key: getattr(value, "tolist", lambda v=value: v)() for key, value in found.items()}


def _cat(**fields):
    return AnnotatedObject("0", "cat", BOX, **fields)


def test_formats_without_flags_leave_them_out():
    assert _flags(_cat(), _cat()) == {"difficult": None, "truncated": None, "view": None}


def test_an_object_with_a_view_brings_all_three():
    flags = _flags(_cat(view="Frontal"), _cat(truncated=True))

    assert flags == {"difficult": [0, 0], "truncated": [0, 1], "view": [b"Frontal", b""]}


def test_how_much_is_truncated_stays_a_share():
    flags = _flags(_cat(truncated=0.0), _cat(truncated=0.25))

    assert flags == {"difficult": [0, 0], "truncated": [0.0, 0.25], "view": None}


def test_a_worker_completes_an_image():
    def complete(image):
        found = tuple(each._replace(class_name="cat") for each in image.objects)
        return image._replace(objects=found), (Finding(NOTED, "all are cats", image.key),)

    outcome = features_of(
        _image(AnnotatedObject("0", "?", BOX), complete=complete), Settings({"cat": 1})
    )

    assert outcome.classes == ("cat",)
    assert Finding(NOTED, "all are cats", "a") in outcome.findings
    np.testing.assert_allclose(outcome.features["image/object/bbox/ymax"], [0.5])
