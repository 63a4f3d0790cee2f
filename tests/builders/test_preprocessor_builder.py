import pytest
from google.protobuf import text_format

from object_detection.builders import preprocessor_builder
from object_detection.config.errors import ConfigError
from object_detection.data import augment_color, augment_crop, augment_geometry
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
        (
            "random_adjust_brightness { max_delta: 0.5 }",
            augment_color.RandomAdjustBrightness(0.5),
        ),
        (
            "random_adjust_contrast { min_delta: 0.5 }",
            augment_color.RandomAdjustContrast(0.5, 1.25),
        ),
        ("random_adjust_hue { max_delta: 0.25 }", augment_color.RandomAdjustHue(0.25)),
        (
            "random_adjust_saturation { min_delta: 0.5 max_delta: 2 }",
            augment_color.RandomAdjustSaturation(0.5, 2),
        ),
        (
            "random_square_crop_by_scale { scale_min: 0.5 scale_max: 2 }",
            augment_crop.RandomSquareCropByScale(128, 0.5, 2, 8),
        ),
    ],
)
def test_each_supported_step_builds(text, wanted):
    assert build(text) == wanted


def test_every_other_step_is_refused_by_name():
    step = preprocessor_pb2.PreprocessingStep.DESCRIPTOR.oneofs_by_name["preprocessing_step"]
    refused = [f.name for f in step.fields if f.name not in preprocessor_builder.AUGMENTATIONS]
    assert refused == ["scale_boxes_to_pixel_coordinates", "convert_class_logits_to_softmax"]
    for name in refused:
        with pytest.raises(ConfigError, match=f"{name}.*supported: normalize_image, random_h"):
            build(f"{name} {{ }}")


def test_an_empty_step_is_refused():
    with pytest.raises(ConfigError, match="preprocessing_step is not set"):
        build("")
