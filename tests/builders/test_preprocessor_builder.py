import pytest
from google.protobuf import text_format

from object_detection.builders import preprocessor_builder
from object_detection.config.errors import ConfigError
from object_detection.data import augment_geometry
from object_detection.protos import preprocessor_pb2


def build(text):
    return preprocessor_builder.build(text_format.Parse(text, preprocessor_pb2.PreprocessingStep()))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("random_horizontal_flip { }", augment_geometry.RandomHorizontalFlip(0.5)),
        (
            "random_horizontal_flip { probability: 0.25 }",
            augment_geometry.RandomHorizontalFlip(0.25),
        ),
        ("random_vertical_flip { probability: 1 }", augment_geometry.RandomVerticalFlip(1)),
        ("random_rotation90 { probability: 0 }", augment_geometry.RandomRotation90(0)),
    ],
)
def test_each_supported_step_builds(text, wanted):
    assert build(text) == wanted


def test_every_other_step_is_refused_by_name():
    step = preprocessor_pb2.PreprocessingStep.DESCRIPTOR.oneofs_by_name["preprocessing_step"]
    refused = [f.name for f in step.fields if f.name not in preprocessor_builder.AUGMENTATIONS]
    assert "ssd_random_crop" in refused
    for name in refused:
        with pytest.raises(ConfigError, match=f"{name}.*supported: random_horizontal_flip, "):
            build(f"{name} {{ }}")


def test_an_empty_step_is_refused():
    with pytest.raises(ConfigError, match="preprocessing_step is not set"):
        build("")
