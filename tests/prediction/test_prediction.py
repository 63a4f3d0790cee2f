"""The result type: masks in every form, whatever form the model gave them in."""

import numpy as np
import pytest
from bright_segmenter import BrightSegmenter
from pycocotools import mask as rle_codec

from object_detection.prediction import heat_maps
from object_detection.prediction.prediction import Prediction, from_outputs, unmold_mask
from object_detection.prediction.predictor import Predictor


def picture():
    image = np.zeros([40, 60, 3], np.uint8)
    image[10:30, 12:42, 0] = 250
    image[12:20, 46:58, 1] = 200
    return image


def predict(**options):
    return Predictor(BrightSegmenter(**options), 0.5, warm_up=False).predict(picture())


@pytest.mark.parametrize("exact", [False, True])
def test_every_form_of_a_mask_is_the_same_mask(exact):
    prediction = predict(exact=exact)

    assert prediction.has_masks and (prediction.crops is not None) == exact
    for k, whole in enumerate(prediction.full_masks()):
        np.testing.assert_array_equal(prediction.full_mask(k), whole)
        np.testing.assert_array_equal(prediction.crop(k).full(40, 60), whole)
        np.testing.assert_array_equal(rle_codec.decode(prediction.rles()[k]) > 0, whole)
        codes = rle_codec.frPyObjects(prediction.polygons()[k], 40, 60)
        np.testing.assert_array_equal(rle_codec.decode(rle_codec.merge(codes)) > 0, whole)
        np.testing.assert_array_equal(prediction.heat_map(k) > 0.5, whole)
    assert not prediction.outlines(0)[0].holes


def test_masks_of_the_image_are_not_resized():
    with pytest.raises(ValueError, match="cannot be had at 20 x 30"):
        predict(exact=True).full_mask(0, 20, 30)
    assert predict(exact=False).full_mask(0, 20, 30).shape == (20, 30)


def test_without_masks():
    prediction = predict(masks=False)
    assert not prediction.has_masks
    for value in (prediction.crop(0), prediction.polygons(), prediction.outlines(0),
                  prediction.heat_map(0), prediction.rles(), prediction.full_masks()):  # fmt: skip
        assert value is None
    with pytest.raises(ValueError, match="this model gives none"):
        heat_maps.montage(picture(), prediction)


def test_a_selection():
    prediction = predict()
    (only,) = prediction.select([1]).boxes.tolist()
    assert only == prediction.boxes[1].tolist()
    marked = prediction.select(np.array([False, True]))
    assert marked.names == ("class 2",)
    np.testing.assert_array_equal(marked.full_mask(0), prediction.full_mask(1))


def test_run_lengths_of_a_model_that_gives_these():
    plain = predict(exact=True)
    outputs = BrightSegmenter()(picture()[np.newaxis])
    codes = np.array([[code["counts"] for code in plain.rles()]], object)
    outputs = {k: v for k, v in outputs.items() if "masks" not in k} | {
        "detection_masks_rle": codes
    }
    options = {"threshold": 0.5, "classes": None, "name_of": str}
    read = from_outputs(outputs, 0, (40, 60), (40, 60), **options)
    np.testing.assert_array_equal(read.full_masks(), plain.full_masks())
    half = from_outputs(outputs, 0, (20, 30), (40, 60), **options)
    assert half.full_masks()[0].sum() == plain.full_masks()[0].sum() / 4
    np.testing.assert_allclose(half.boxes, plain.boxes / 2)


def test_the_best_come_first_whatever_the_model_says():
    outputs = BrightSegmenter()(picture()[np.newaxis])
    outputs["detection_scores"] = np.array([[0.6, 0.9]])
    found = Predictor(lambda images: outputs, 0.5, warm_up=False).predict(picture())
    assert found.classes.tolist() == [2, 1] and isinstance(found, Prediction)


def test_unmold_mask():
    mask = unmold_mask(np.ones([7, 7]), [2, 3, 6, 9], (10, 12, 3))
    assert mask.dtype == bool and mask.shape == (10, 12)
    assert mask[3:5, 4:8].all() and not mask[7:].any() and not mask[:, 10:].any()
    beyond = unmold_mask(np.ones([7, 7]), [-5, -5, 4, 40], (10, 12))
    assert beyond[:3, :12].all() and not beyond[5:].any()
    assert not unmold_mask(np.ones([7, 7]), [20, 20, 30, 30], (10, 12)).any()
    np.testing.assert_array_equal(Predictor.unmold_mask(np.ones([7, 7]), [2, 3, 6, 9], (10, 12)),
                                  mask)  # fmt: skip


@pytest.mark.parametrize(
    ("mask", "box", "message"),
    [
        (np.ones([3]), [0, 0, 1, 1], r"got \[3\]"),
        (np.ones([3, 3]), [0, 0, 1], "a box must be"),
        (np.ones([3, 3]), [0, 0, np.inf, 1], "a box must be"),
    ],
)
def test_what_cannot_be_unmolded(mask, box, message):
    with pytest.raises(ValueError, match=message):
        unmold_mask(mask, box, (9, 9))


def test_colors_of_probabilities():
    colors = heat_maps.colored(np.array([[0.0, 0.5, 1.0]]))[0]
    assert colors.tolist() == [[0, 0, 128], [128, 255, 128], [128, 0, 0]]
    with pytest.raises(ValueError, match="at least 1"):
        heat_maps.montage(picture(), predict(), 0)
