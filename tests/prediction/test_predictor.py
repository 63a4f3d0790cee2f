"""The Predictor, over SavedModels of a detector that finds bright rectangles."""

import numpy as np
import pytest
import tensorflow as tf
from bright_segmenter import BrightSegmenter
from fake_detector import bright_rectangle
from PIL import Image

from object_detection.export import serving
from object_detection.ops import image as resizers
from object_detection.prediction.predictor import Predictor

IDENTITY = resizers.Identity()
LABELS = "item { id: 1 name: 'dark' }\nitem { id: 2 name: 'n02' display_name: 'bright' }\n"


def picture(height=40, width=60, box=(10, 12, 30, 42)):
    image = np.zeros([height, width, 3], np.uint8)
    image[box[0] : box[2], box[1] : box[3]] = 255
    return image


def saved(folder, input_type="image_tensor", labels=LABELS, masks=True):
    path = None
    if labels:
        path = folder / "label_map.pbtxt"
        path.write_text(labels)
    module = serving.module_for(input_type)(bright_rectangle(masks), IDENTITY, label_map=path)
    serving.save(module, folder / "export" / "saved_model")
    if path:
        path.unlink()
    return folder / "export"


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("export"))


def test_a_prediction_in_pixels(export):
    prediction = Predictor(export).predict(picture())

    assert len(prediction) == 1  # the second row of the model's outputs is padding
    np.testing.assert_allclose(prediction.boxes, [[10, 12, 30, 42]], atol=1e-4)
    assert prediction.scores.tolist() == [0.75]
    assert prediction.classes.tolist() == [2] and prediction.names == ("bright",)
    assert (prediction.height, prediction.width) == (40, 60)


def test_masks_on_demand(export):
    prediction = Predictor(export).predict(picture())

    mask = prediction.full_mask(0)
    assert mask.shape == (40, 60) and mask.dtype == bool
    assert mask[12:28, 14:40].all() and not mask[:9].any() and not mask[:, 44:].any()
    np.testing.assert_array_equal(prediction.full_masks()[0], mask)
    (rle,) = prediction.rles()
    from pycocotools import mask as rle_codec

    np.testing.assert_array_equal(rle_codec.decode(rle).astype(bool), mask)


def test_a_model_without_masks(tmp_path):
    prediction = Predictor(saved(tmp_path, masks=False)).predict(picture())

    assert len(prediction) == 1
    assert prediction.rles() is None and prediction.full_masks() is None
    assert prediction.full_mask(0) is None


@pytest.mark.parametrize("input_type", serving.INPUT_TYPES)
def test_models_of_every_input(tmp_path, input_type):
    prediction = Predictor(saved(tmp_path, input_type)).predict(picture())

    np.testing.assert_allclose(prediction.boxes, [[10, 12, 30, 42]], atol=1e-4)


def test_images_as_array_pil_and_path(export, tmp_path):
    predictor = Predictor(export / "saved_model")  # the inner folder will do
    path = tmp_path / "a.png"
    Image.fromarray(picture()).save(path)

    for image in (picture(), Image.fromarray(picture()), path, str(path), picture()[..., 0]):
        np.testing.assert_allclose(predictor.predict(image).boxes, [[10, 12, 30, 42]], atol=1e-4)


def test_limits(export):
    assert len(Predictor(export, min_score=0.76).predict(picture())) == 0
    assert len(Predictor(export, min_score=0.75).predict(picture())) == 1
    empty = Predictor(export, min_score=0.76, warm_up=False).predict(picture())
    assert empty.full_masks().shape == (0, 40, 60) and empty.rles() == []


def test_the_threshold_has_two_names():
    model = BrightSegmenter()
    assert Predictor(model, warm_up=False).confidence_threshold == 0.7
    assert Predictor(model, 0.3, warm_up=False).min_score == 0.3
    predictor = Predictor(model, min_score=0.2, warm_up=False)
    assert predictor.confidence_threshold == 0.2
    predictor.min_score = 0.9
    assert predictor.confidence_threshold == 0.9
    with pytest.raises(ValueError, match="one thing: give one"):
        Predictor(model, 0.3, min_score=0.2)
    for options in ({"min_score": 1.5}, {"batch_size": 0}, {"min_image_size": 0}):
        with pytest.raises(ValueError, match="between 0 and 1|at least 1"):
            Predictor(model, **options)


def test_images_are_enlarged_for_the_model(export, tmp_path):
    model = BrightSegmenter()
    predictor = Predictor(model, 0.5, min_image_size=80, warm_up=False)
    found = predictor.predict(picture())
    assert model.shapes_seen == [(1, 80, 120)]
    np.testing.assert_allclose(found.boxes, [[10, 12, 30, 42]] * 3, atol=0.5)
    assert found.full_masks().shape == (3, 40, 60)
    np.testing.assert_allclose(found.full_masks()[0].sum(), 600, rtol=0.05)

    config = export / "pipeline.config"
    config.write_text("model { faster_rcnn { image_resizer { fixed_shape_resizer {} } } }")
    try:
        with pytest.raises(ValueError, match="no effect on .*fixed_shape_resizer.*Give its weigh"):
            Predictor(export, min_image_size=80)
    finally:
        config.unlink()


def test_a_folder_of_images(tmp_path):
    for name in "ab":
        Image.fromarray(picture()).save(tmp_path / f"{name}.png")
    predictor = Predictor(BrightSegmenter(), warm_up=False)
    found = dict(predictor.predict_folder(tmp_path, progress=False))
    assert [path.name for path in found] == ["a.png", "b.png"]
    assert all(len(each) == 3 for each in found.values())
    with pytest.raises(ValueError, match="matches no file"):
        list(predictor.predict_folder(tmp_path / "none"))


def test_drawings(tmp_path):
    predictor = Predictor(BrightSegmenter(exact=False), warm_up=False, label_map={1: "red"})
    image = picture()
    drawn = predictor.draw(image)
    assert drawn.shape == (480, 720, 3) and image.max() == 255
    np.testing.assert_array_equal(predictor.draw(image, predictor.predict(image)), drawn)
    assert predictor.draw_heat_maps(image, masks_per_dim=2).shape == (40, 60, 3)


def test_a_model_at_hand_that_is_none():
    with pytest.raises(ValueError, match="the model given is no detection model"):
        Predictor(lambda images: {"y": images})


def test_where_names_come_from(export, tmp_path):
    bare = saved(tmp_path, labels=None)
    assert Predictor(bare).predict(picture()).names == ("class 2",)
    assert Predictor(bare, label_map={2: "white"}).predict(picture()).names == ("white",)
    (bare / "label_map.pbtxt").write_text("item { id: 2 name: 'beside' }")
    assert Predictor(bare).predict(picture()).names == ("beside",)
    other = tmp_path / "other.pbtxt"
    other.write_text("item { id: 2 name: 'given' }")
    predictor = Predictor(export, label_map=str(other))
    assert predictor.predict(picture()).names == ("given",)
    assert predictor.category_index == {2: {"id": 2, "name": "given"}}


def test_azodas_label_map_beside_the_model(tmp_path):
    model = saved(tmp_path, labels=None)
    (model / "tf_label_map.pbtxt").write_text("item { id:2 name:'beside' }")

    assert Predictor(model, warm_up=False).categories == {2: "beside"}


def test_a_model_with_tfods_input_of_one_image(tmp_path):
    """TFOD's image_tensor is uint8 [1, None, None, 3]; its older exports call it `inputs`."""

    class Old(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8)])
        def detect(self, inputs):
            del inputs
            return {
                "num_detections": tf.constant([1.0]),
                "detection_boxes": tf.constant([[[0.0, 0.0, 1.0, 0.5]]]),
                "detection_scores": tf.constant([[0.9]]),
                "detection_classes": tf.constant([[1.0]]),
            }

    module = Old()
    tf.saved_model.save(module, str(tmp_path), signatures=module.detect)

    prediction = Predictor(tmp_path, label_map={1: "cat"}).predict(picture())
    assert prediction.boxes.tolist() == [[0, 0, 40, 30]] and prediction.names == ("cat",)


def test_folders_that_hold_no_model(tmp_path):
    with pytest.raises(ValueError, match="no checkpoint at .* SavedModel folder"):
        Predictor(tmp_path)

    class Double(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
        def __call__(self, x):
            return {"y": 2 * x}

    module = Double()
    tf.saved_model.save(module, str(tmp_path / "a"), signatures=module.__call__)
    with pytest.raises(ValueError, match="no detection model: it does not give detection_boxes"):
        Predictor(tmp_path / "a")
    tf.saved_model.save(module, str(tmp_path / "b"), signatures={})
    with pytest.raises(ValueError, match="no signature serving_default"):
        Predictor(tmp_path / "b")


def test_the_package_offers_it():
    import object_detection

    assert object_detection.Predictor is Predictor
