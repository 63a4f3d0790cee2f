"""TFOD's face over the network: its dictionaries, its ground truth, its checkpoints."""

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tiny_models import PYRAMID

from object_detection.builders import model_builder
from object_detection.protos import model_pb2
from object_detection.structures.batch import Images

LISTS = ("rpn_box_predictor_features", "rpn_features_to_crop", "feature_maps")
FIRST_STAGE = {
    "image_shape",
    "anchors",
    "rpn_box_encodings",
    "rpn_objectness_predictions_with_background",
}
SECOND_STAGE = {
    "proposal_boxes",
    "proposal_boxes_normalized",
    "final_anchors",
    "num_proposals",
    "refined_box_encodings",
    "class_predictions_with_background",
    "box_classifier_features",
}
DETECTIONS = {
    "detection_boxes",
    "detection_scores",
    "detection_classes",
    "detection_multiclass_scores",
    "detection_anchor_indices",
    "num_detections",
    "raw_detection_boxes",
    "raw_detection_scores",
}
# Every anchor and every proposal is taken, so that nothing is drawn by lot.
ALL_TAKEN = """faster_rcnn { first_stage_minibatch_size: 4000 second_stage_batch_size: 20
                             first_stage_positive_balance_fraction: 1.0
                             second_stage_balance_fraction: 1.0 }"""


def _model(*overrides, is_training):
    tf.keras.utils.set_random_seed(1)
    config = text_format.Parse(PYRAMID, model_pb2.DetectionModel())
    for text in overrides:
        text_format.Merge(text, config)
    return model_builder.build(config, is_training)


def _image():
    return np.random.default_rng(0).uniform(0, 255, [1, 64, 80, 3]).astype(np.float32)


def _give_truth(model):
    model.provide_groundtruth(
        groundtruth_boxes_list=[tf.constant([[0.1, 0.1, 0.6, 0.7], [0.0, 0.5, 0.9, 1.0]])],
        groundtruth_classes_list=[tf.one_hot([1, 0], 3)],
        groundtruth_masks_list=[np.ones([2, 32, 40], np.float32)],
    )


def test_preprocessing_tells_the_true_shapes():
    model = _model(is_training=True)
    images, shapes = model.preprocess(np.full([2, 32, 40, 3], 99.0, np.float32))

    # 32 x 40 with the short side to 64: 64 x 80
    assert shapes.numpy().tolist() == [[64, 80, 3]] * 2
    np.testing.assert_allclose(
        images[1, 5, 5], [99 - 123.68, 99 - 116.779, 99 - 103.939], rtol=1e-5
    )


def test_preprocessing_of_an_unknown_number_of_images():
    model = _model(is_training=False)
    spec = tf.TensorSpec([None, None, None, 3], tf.float32)
    traced = tf.function(model.preprocess, input_signature=[spec])

    for got, want in zip(traced(_image()), model.preprocess(_image()), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-4)


def test_a_training_step_by_hand():
    model = _model(is_training=True)
    images, shapes = model.preprocess(_image())
    _give_truth(model)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            losses = model.loss(model.predict(images, shapes), shapes)
            total = tf.add_n(list(losses.values()))
        return losses, tape.gradient(total, model.trainable_variables)

    losses, gradients = step()
    assert sorted(losses) == [
        "Loss/BoxClassifierLoss/classification_loss",
        "Loss/BoxClassifierLoss/localization_loss",
        "Loss/BoxClassifierLoss/mask_loss",
        "Loss/RPNLoss/localization_loss",
        "Loss/RPNLoss/objectness_loss",
    ]
    assert all(np.isfinite(v) for v in losses.values())
    assert sum(g is not None for g in gradients) > 50
    assert model.regularization_losses()[0].shape == () and model.updates() == []


@pytest.mark.parametrize(
    "more", ["", "faster_rcnn { hard_example_miner { num_hard_examples: 5 } }"]
)
def test_losses_are_those_of_the_training_loop(more):
    model = _model(ALL_TAKEN, more, is_training=True)
    images, shapes = model.preprocess(_image())
    _give_truth(model)
    got = model.loss(model.predict(images, shapes), shapes)

    network = model.network
    truth = model._truth.to_ground_truth(shapes[:, :2])
    ours = _as_images()
    outputs = network(ours, truth, training=True, seed=tf.constant([1, 2]))
    want = network.losses_of(ours, truth, outputs, seed=tf.constant([1, 2]))
    np.testing.assert_allclose(list(got.values()), list(want), rtol=1e-4)
    assert (outputs.rois.target_class.numpy() > 0).any()  # there is a box loss to compare


def _as_images():
    return Images(tf.constant(_image()), tf.constant([[64, 80]]))


def test_the_prediction_dict_may_be_copied_and_leave_its_function():
    model = _model(ALL_TAKEN, is_training=True)
    images, shapes = model.preprocess(_image())
    _give_truth(model)
    predicted = tf.function(model.predict)(images, shapes)
    copied = {name: predicted[name] for name in sorted(predicted)}

    inside = model.loss(model.predict(images, shapes), shapes)
    for name, value in model.loss(copied, shapes).items():
        np.testing.assert_allclose(value, inside[name], rtol=1e-4)


def test_training_needs_ground_truth_for_its_loss_only():
    model = _model(is_training=True)
    images, shapes = model.preprocess(_image())
    predicted = model.predict(images, shapes)  # the dummy call of TFOD's notebook
    detections = model.postprocess(predicted, shapes)

    assert set(detections) == DETECTIONS | {"detection_masks"}
    with pytest.raises(RuntimeError, match="provide_groundtruth before predict"):
        model.loss(predicted, shapes)


@pytest.mark.parametrize(
    ("stages", "predicted", "detected"),
    [
        (1, FIRST_STAGE, {"detection_boxes", "detection_scores", "num_detections"}),
        (2, FIRST_STAGE | SECOND_STAGE, DETECTIONS),
        (
            3,
            FIRST_STAGE | SECOND_STAGE | DETECTIONS | {"mask_predictions", "detection_masks"},
            FIRST_STAGE | SECOND_STAGE | DETECTIONS | {"mask_predictions", "detection_masks"},
        ),
    ],
)
def test_keys_at_inference(stages, predicted, detected):
    model = _model(f"faster_rcnn {{ number_of_stages: {stages} }}", is_training=False)
    images, shapes = model.preprocess(_image())
    prediction = model.predict(images, shapes, context_features=None)

    assert set(prediction) == predicted | set(LISTS)
    assert all(isinstance(prediction[name], list) and len(prediction[name]) == 4 for name in LISTS)
    assert detected <= set(model.postprocess(prediction, shapes))
    assert not set(LISTS) & set(model.postprocess(prediction, shapes))


@pytest.mark.parametrize("stages", [2, 3])
def test_inference_has_zero_based_classes(stages):
    model = _model(f"faster_rcnn {{ number_of_stages: {stages} }}", is_training=False)
    images, shapes = model.preprocess(_image())
    detections = model.postprocess(model.predict(images, shapes), shapes)
    ours = model.network(_as_images()).detections

    valid = ours.valid.numpy()
    assert valid.any()
    np.testing.assert_array_equal(
        detections["detection_classes"].numpy()[valid], ours.classes.numpy()[valid] - 1
    )
    assert detections["detection_classes"].dtype == tf.float32
    assert detections["detection_anchor_indices"].dtype == tf.int32
    np.testing.assert_allclose(
        detections["detection_boxes"] * [64, 80, 64, 80], ours.boxes, atol=1e-2
    )
    np.testing.assert_allclose(model(_image())["detection_scores"], ours.scores, atol=1e-5)


@pytest.mark.parametrize("stages", [2, 3])
def test_features_of_final_boxes_come_where_asked_for(stages):
    text = f"faster_rcnn {{ number_of_stages: {stages} output_final_box_features: true }}"
    model = _model(text, is_training=False)

    assert model(_image())["detection_features"].shape[:2] == (1, 12)


def test_scaling_that_is_no_subtraction_is_not_undone():
    model = _model(is_training=False)
    model.network.preprocess = lambda pixels: pixels * (2.0 / 255.0) - 1.0
    images, shapes = model.preprocess(_image())
    features = model.predict(images, shapes)["rpn_features_to_crop"]

    assert float(tf.reduce_max(tf.abs(images))) <= 1.0
    want = model.network.backbone(tf.constant(_image()) * (2.0 / 255.0) - 1.0)
    np.testing.assert_allclose(features[0], want[2], atol=1e-4)


def test_ground_truth_is_given_back_by_tfods_names():
    model = _model(is_training=True)
    assert not model.groundtruth_has_field("boxes")
    with pytest.raises(RuntimeError, match="call provide_groundtruth"):
        model.groundtruth_lists("boxes")
    model.provide_groundtruth(
        [tf.zeros([1, 4])],
        [tf.one_hot([0], 3)],
        groundtruth_is_crowd_list=[[False]],
        groundtruth_weights_list=[[1.0]],
        groundtruth_labeled_classes=None,
        groundtruth_keypoints_list=None,
        training_step=7,
    )

    assert model.groundtruth_lists("is_crowd") == [[False]]
    assert model.groundtruth_lists("groundtruth_weights") == [[1.0]]
    assert model.groundtruth_has_field("classes") and not model.groundtruth_has_field("masks")
    with pytest.raises(RuntimeError, match="no ground truth called 'masks'"):
        model.groundtruth_lists("masks")


def test_wrong_ground_truth_is_refused():
    model = _model(is_training=True)
    with pytest.raises(TypeError, match="no argument groundtruth_mask_list"):
        model.provide_groundtruth([], [], groundtruth_mask_list=[])
    with pytest.raises(ValueError, match="1 images have boxes, 2 have classes"):
        model.provide_groundtruth([tf.zeros([1, 4])], [tf.one_hot([0], 3)] * 2)


def test_a_model_stands_in_a_checkpoint(tmp_path):
    saved, other = (_model(is_training=training) for training in (True, False))
    for number, variable in enumerate(saved.variables):
        variable.assign(tf.fill(variable.shape, number + 1.0))
    path = tf.train.Checkpoint(model=saved).save(str(tmp_path / "ckpt"))
    status = tf.train.Checkpoint(model=other).restore(path)

    status.expect_partial().assert_existing_objects_matched()
    for number, variable in enumerate(other.variables):
        assert (variable.numpy() == number + 1.0).all(), variable.path


def test_unknown_checkpoint_types_are_refused():
    model = _model(is_training=True)
    for function in (model.restore_from_objects, model.restore_map):
        with pytest.raises(ValueError, match="'backbone'; allowed: classification"):
            function("backbone")
    with pytest.raises(ValueError, match="restore_map is for TF1 extractors"):
        model.restore_map()
