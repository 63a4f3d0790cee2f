"""TFOD's face over the network gives what TFOD gave: keys, shapes, dtypes and numbers."""

import json

import numpy as np
import pytest
import tensorflow as tf
from parity_case import ParityCase, assert_close
from reference import needs_reference

from object_detection.builders import image_resizer_builder, model_builder
from object_detection.compat.detection_model import DetectionModel

LISTS = ("rpn_box_predictor_features", "rpn_features_to_crop", "feature_maps")
# The script that writes the reference's weights leaves its files for the collector to close.
pytestmark = [
    needs_reference,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.mark.parametrize("is_training", [False, True])
def test_a_published_model_through_the_face(tmp_path_factory, is_training):
    """TFOD's shapes, dtypes and numbers, from a checkpoint that TensorFlow itself restores."""
    case = ParityCase("a_tf2_mask_resnet50", tmp_path_factory, is_training=is_training)
    network = model_builder.build_network(case.config.model, is_training)
    resizer = image_resizer_builder.build(case.config.model.faster_rcnn.image_resizer)
    model = DetectionModel(network, resizer, is_training=is_training)
    checkpoint = tf.train.Checkpoint(**model.restore_from_objects("full"))
    restored = checkpoint.restore(str(case.checkpoint)).expect_partial()
    restored.assert_existing_objects_matched()
    with np.load(case.root / "images.npz") as arrays:
        image = arrays[f"image{0 if is_training else 1}"]
    images, shapes = model.preprocess(image[np.newaxis].astype(np.float32))
    if is_training:
        _compare_training(model, images, shapes, case.losses())
        return

    prediction = model.predict(images, shapes)
    detections = model.postprocess(prediction, shapes)
    for name in LISTS:
        prediction |= {f"{name}_{k}": x for k, x in enumerate(prediction.pop(name))}
    reported = json.loads((case.case / "shapes_image1.json").read_text())
    for got, want in ((prediction, reported["predict"]), (detections, reported["postprocess"])):
        assert {k: [v.dtype.name, v.shape.as_list()] for k, v in got.items()} == want
    expected = case.expected(1)
    assert_close(images, expected, "preprocessed", 1e-6)
    np.testing.assert_allclose(
        detections["detection_scores"], expected["post/detection_scores"], atol=1e-4
    )
    np.testing.assert_array_equal(
        detections["detection_classes"], expected["post/detection_classes"]
    )


def _compare_training(model, images, shapes, expected):
    model.provide_groundtruth(
        [expected["groundtruth/boxes"]],
        [expected["groundtruth/classes"]],
        groundtruth_masks_list=[expected["groundtruth/masks"]],
        groundtruth_weights_list=[expected["groundtruth/weights"]],
    )
    prediction = model.predict(images, shapes)
    for name, value in prediction.items():
        if f"train_predict/{name}" in expected and name != "proposal_boxes":
            want = expected[f"train_predict/{name}"]
            assert (value.dtype, value.shape) == (want.dtype, want.shape), name
    for name, value in model.loss(prediction, shapes).items():
        np.testing.assert_allclose(value, expected[f"loss/{name}"], rtol=1e-4, err_msg=name)
