"""Images of one size reach the model together, and results come in the images' order."""

import numpy as np
import pytest
from bright_segmenter import BrightSegmenter

from object_detection.prediction.predictor import Predictor, by_size


def test_images_of_one_size_go_together():
    sizes = [3, 3, 5, 3, 5, 5, 3, 7]
    images = [np.full([size, 2, 3], place, np.uint8) for place, size in enumerate(sizes)]
    calls = []

    def detect(group):
        calls.append([image.shape[0] for image in group])
        return [int(image[0, 0, 0]) for image in group]

    assert list(by_size(images, detect, 3)) == list(range(8))
    assert calls == [[3, 3, 3], [5, 5, 5], [3], [7]]


def test_no_image_waits_without_end():
    taken = []

    def images():
        for place in range(100):
            taken.append(place)
            yield np.zeros([9 if place == 0 else 4, 2, 3], np.uint8)

    found = by_size(images(), lambda group: [len(group)] * len(group), 2)
    assert next(found) == 1  # alone: no second image of its size came
    assert len(taken) <= 4 * 2 + 1


def test_batches_through_the_predictor():
    model = BrightSegmenter()
    predictor = Predictor(model, 0.5, batch_size=4, warm_up=False)
    images = [np.zeros([20 + 4 * (k % 2), 30, 3], np.uint8) for k in range(9)]
    for place, image in enumerate(images):
        image[2 : 6 + place, 3:9, 0] = 255

    found = predictor.predict_batch(images)

    assert [len(each) for each in found] == [1] * 9
    assert [each.boxes[0, 2] for each in found] == pytest.approx([6 + k for k in range(9)])
    assert sorted(model.shapes_seen) == [(1, 20, 30), (4, 20, 30), (4, 24, 30)]
    assert predictor.predict(images[3]).boxes.tolist() == found[3].boxes.tolist()


def test_an_empty_batch_and_a_single_image():
    predictor = Predictor(BrightSegmenter(), warm_up=False)
    with pytest.raises(ValueError, match="an empty batch"):
        predictor.predict_batch([])
    for one in (np.zeros([20, 30, 3], np.uint8), np.zeros([20, 30], np.uint8), "a.png", b"\x89PNG"):
        with pytest.raises(ValueError, match="give a single one to predict"):
            predictor.predict_batch(one)
    assert len(predictor.predict_batch(np.zeros([2, 20, 30, 3], np.uint8))) == 2
