import pytest
from google.protobuf import text_format

from object_detection.builders import image_resizer_builder
from object_detection.ops import image
from object_detection.protos import image_resizer_pb2


def build(text):
    return image_resizer_builder.build(text_format.Parse(text, image_resizer_pb2.ImageResizer()))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("keep_aspect_ratio_resizer { }", image.KeepAspectRatio(600, 1024)),
        (
            "keep_aspect_ratio_resizer { min_dimension: 5 max_dimension: 9 resize_method: AREA"
            " pad_to_max_dimension: true per_channel_pad_value: [1, 2, 3]"
            " convert_to_grayscale: true }",
            image.KeepAspectRatio(5, 9, image.AREA, True, (1, 2, 3), True),
        ),
        ("fixed_shape_resizer { }", image.FixedShape(300, 300)),
        (
            "fixed_shape_resizer { height: 4 width: 6 resize_method: BICUBIC"
            " convert_to_grayscale: true }",
            image.FixedShape(4, 6, image.BICUBIC, True),
        ),
        ("conditional_shape_resizer { }", image.ConditionalShape(300, shrink=True)),
        (
            "conditional_shape_resizer { condition: SMALLER size_threshold: 7"
            " resize_method: NEAREST_NEIGHBOR }",
            image.ConditionalShape(7, shrink=False, method=image.NEAREST_NEIGHBOR),
        ),
        ("pad_to_multiple_resizer { multiple: 32 }", image.PadToMultiple(32)),
        ("pad_to_multiple_resizer { convert_to_grayscale: true }", image.PadToMultiple(1, True)),
        ("identity_resizer { }", image.Identity()),
    ],
)
def test_each_message_builds_its_resizer(text, wanted):
    assert build(text) == wanted


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "image_resizer_oneof is not set; supported: keep_aspect_ratio_resizer, fixed"),
        (
            "keep_aspect_ratio_resizer { min_dimension: 9 max_dimension: 8 }",
            r"min_dimension \(9\) must not exceed max_dimension \(8\)",
        ),
        (
            "keep_aspect_ratio_resizer { per_channel_pad_value: [1, 2] }",
            r"per_channel_pad_value needs 3 values.*got 2",
        ),
        ("fixed_shape_resizer { height: 0 }", "FixedShapeResizer.height must be at least 1, got 0"),
        ("pad_to_multiple_resizer { multiple: -3 }", "multiple must be at least 1, got -3"),
        (
            "conditional_shape_resizer { condition: INVALID }",
            "condition is INVALID; supported: GREATER, SMALLER",
        ),
    ],
)
def test_contradictions_are_named(text, said):
    with pytest.raises(ValueError, match=said):
        build(text)
