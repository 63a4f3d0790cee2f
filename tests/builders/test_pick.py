"""The one look-up that builders share."""

import functools

import pytest

from object_detection.builders import (
    anchor_generator_builder,
    calibration_builder,
    dataset_builder,
    evaluator_builder,
    hyperparams_builder,
    image_resizer_builder,
    losses_builder,
    model_builder,
    optimizer_builder,
    post_processing_builder,
    preprocessor_builder,
)
from object_detection.builders.pick import pick
from object_detection.errors import ConfigError
from object_detection.protos import image_resizer_pb2, model_pb2, pipeline_pb2

TABLE = {"fixed_shape_resizer": lambda config: config.height, "identity_resizer": lambda config: 0}


def test_the_row_of_the_member_that_is_set_builds_it():
    message = image_resizer_pb2.ImageResizer()
    message.fixed_shape_resizer.height = 7

    assert pick(message, "image_resizer_oneof", TABLE) == 7


def test_a_member_without_a_row_is_refused_with_what_is_supported():
    message = image_resizer_pb2.ImageResizer()
    message.pad_to_multiple_resizer.multiple = 7

    with pytest.raises(
        ConfigError,
        match="ImageResizer.image_resizer_oneof is pad_to_multiple_resizer, which is not "
        "supported; supported: fixed_shape_resizer, identity_resizer",
    ):
        pick(message, "image_resizer_oneof", TABLE)


def test_nothing_set_is_refused():
    with pytest.raises(ConfigError, match="is not set; supported"):
        pick(image_resizer_pb2.ImageResizer(), "image_resizer_oneof", TABLE)


BUILDERS = {
    "AnchorGenerator": anchor_generator_builder.build,
    "CalibrationConfig": calibration_builder.build,
    "ClassificationLoss": losses_builder.build_faster_rcnn_classification_loss,
    "DetectionModel": functools.partial(model_builder.build, is_training=False),
    "EvalConfig": functools.partial(evaluator_builder.build, categories={}),
    "FasterRcnnFeatureExtractor": functools.partial(
        model_builder.build_extractor, is_training=False
    ),
    "Hyperparams": functools.partial(hyperparams_builder.build, is_training=False),
    "ImageResizer": image_resizer_builder.build,
    "InputReader": functools.partial(dataset_builder.build, model_config=None),
    "LearningRate": optimizer_builder.build_learning_rate,
    "Optimizer": optimizer_builder.build,
    "PostProcessing": post_processing_builder.build,
    "PreprocessingStep": preprocessor_builder.build,
}


@pytest.mark.parametrize("name", BUILDERS)
def test_builders_name_what_they_want(name):
    """TFOD's raise a ValueError, "... not of type ..."; so do these."""
    for wrong, what in (
        ("text { }", "a text: google.protobuf.text_format.Parse"),
        (None, "None"),
        ({}, "an object of type dict"),
        (pipeline_pb2.TrainEvalPipelineConfig(), "a message of type TrainEvalPipelineConfig"),
        (model_pb2.DetectionModel, "the class DetectionModel: give one with its fields"),
    ):
        with pytest.raises(ValueError, match=f"must be a message of type {name}, got {what}"):
            BUILDERS[name](wrong)


def test_a_whole_config_shows_which_field_is_meant():
    with pytest.raises(ValueError, match="TrainEvalPipelineConfig: give its field model$"):
        model_builder.build(pipeline_pb2.TrainEvalPipelineConfig(), is_training=False)
