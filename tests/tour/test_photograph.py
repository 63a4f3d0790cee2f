"""The photograph of the tour as a record and a batch; what is said where there is none."""

import importlib.util

import made_tour
import numpy as np
import pytest

from object_detection.config import pipeline_file
from object_detection.errors import AnnotationError
from object_detection.tour import inputs


@pytest.fixture
def config():
    config = pipeline_file.load(inputs.CONFIG)
    resizer = config.model.faster_rcnn.image_resizer.keep_aspect_ratio_resizer
    resizer.min_dimension, resizer.max_dimension = 32, 48
    return config


def _batch(config, image, annotations, folder):
    chosen = inputs.find_photograph(str(image), str(annotations or ""))
    record = inputs.write_record(chosen, folder / "data", num_classes=3)
    label_map = folder / "data" / "label_map.pbtxt"
    return inputs.load_batch(config, record, label_map), inputs.class_names(label_map)


def test_annotations_become_the_truth_of_the_resized_image(config, tmp_path):
    image, annotations = made_tour.write_photograph(tmp_path)
    batch, names = _batch(config, image, annotations, tmp_path)
    assert names == made_tour.NAMES
    assert batch.images.pixels.shape == (1, 32, 48, 3)
    valid = batch.truth.valid[0].numpy()
    # Half of 64 x 96: (20, 10, 40 x 40) becomes ymin 5, xmin 10, ymax 25, xmax 30.
    np.testing.assert_allclose(
        batch.truth.boxes[0].numpy()[valid], [[5, 10, 25, 30], [4, 30, 28, 45]], atol=1e-4
    )
    assert batch.truth.classes[0].numpy()[valid].tolist() == [1, 2]
    assert batch.truth.masks.pixels.numpy().any()


def test_a_photograph_without_annotations_has_no_objects(config, tmp_path):
    image, _ = made_tour.write_photograph(tmp_path)
    batch, names = _batch(config, image, None, tmp_path)
    assert not batch.truth.valid.numpy().any()
    assert names == {1: "1", 2: "2", 3: "3"}


def test_annotations_without_the_photograph(tmp_path):
    image, annotations = made_tour.write_photograph(tmp_path)
    other = image.rename(tmp_path / "other.png")
    chosen = inputs.find_photograph(str(other), str(annotations))
    with pytest.raises(AnnotationError, match="coco.json has 0 images other.png, not one"):
        inputs.write_record(chosen, tmp_path / "data")


def test_no_such_photograph(tmp_path):
    with pytest.raises(AnnotationError, match="--image: there is no file"):
        inputs.find_photograph(str(tmp_path / "none.jpg"))
    with pytest.raises(AnnotationError, match="--annotations_file requires --image"):
        inputs.find_photograph("", "coco.json")


def test_the_tours_own_photograph_is_not_installed(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(AnnotationError, match="pip install scikit-image, or give a photograph"):
        inputs.find_photograph()


def test_the_tours_own_annotations_are_of_its_photograph():
    from object_detection.datasets.formats import coco

    result = coco.read(inputs.ANNOTATIONS, inputs.ANNOTATIONS.parent)
    (image,) = result.images
    assert image.filename == "coffee.png"
    assert [each.class_name for each in image.objects] == ["cup", "saucer", "spoon"]
    assert not result.findings
