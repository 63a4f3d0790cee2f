import pytest
from google.protobuf import text_format

from object_detection.builders import preprocessor_builder
from object_detection.data.augment import color, crop, geometry, objects, scale
from object_detection.errors import ConfigError
from object_detection.protos import preprocessor_pb2


def build(text):
    return preprocessor_builder.build(text_format.Parse(text, preprocessor_pb2.PreprocessingStep()))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("random_horizontal_flip { }", geometry.RandomHorizontalFlip(0.5)),
        (
            "random_horizontal_flip { probability: 0.25 }",
            geometry.RandomHorizontalFlip(0.25),
        ),
        ("random_vertical_flip { probability: 1 }", geometry.RandomVerticalFlip(1)),
        ("random_rotation90 { probability: 0 }", geometry.RandomRotation90(0)),
        (
            "random_adjust_brightness { max_delta: 0.5 }",
            color.RandomAdjustBrightness(0.5),
        ),
        (
            "random_adjust_contrast { min_delta: 0.5 }",
            color.RandomAdjustContrast(0.5, 1.25),
        ),
        ("random_adjust_hue { max_delta: 0.25 }", color.RandomAdjustHue(0.25)),
        (
            "random_adjust_saturation { min_delta: 0.5 max_delta: 2 }",
            color.RandomAdjustSaturation(0.5, 2),
        ),
        (
            "random_square_crop_by_scale { scale_min: 0.5 scale_max: 2 }",
            crop.RandomSquareCropByScale(128, 0.5, 2, 8),
        ),
        ("random_crop_image { }", crop.RandomCrop((crop.CropRule(),))),
        ("random_pad_image { }", crop.RandomPadImage()),
        (
            "random_pad_image { min_image_height: 5 min_image_width: 6 pad_color: [1, 2, 3] }",
            crop.RandomPadImage((5, 6), None, (1, 2, 3)),
        ),
        ("random_absolute_pad_image { }", crop.RandomAbsolutePadImage(1, 1)),
        (
            "random_crop_pad_image { random_coef: 1 max_padded_size_ratio: [3, 4] }",
            crop.RandomCropPad(((crop.CropRule(random_coef=1), crop.PadRule((1, 1), (3, 4))),)),
        ),
        (
            "random_jitter_boxes { ratio: 0.5 jitter_mode: SHRINK }",
            objects.RandomJitterBoxes(0.5, "SHRINK"),
        ),
        (
            "resize_image { new_height: 5 new_width: 6 method: AREA }",
            scale.ResizeImage(5, 6, "AREA"),
        ),
        # TFOD's own default where the schema's is never used.
        (
            "random_downscale_to_target_pixels { }",
            scale.RandomDownscaleToTargetPixels(0, 300_000, 800_000),
        ),
        (
            "random_downscale_to_target_pixels { max_target_pixels: 400000 }",
            scale.RandomDownscaleToTargetPixels(0, 300_000, 400_000),
        ),
        ("copy_paste { max_objects: 3 }", objects.CopyPaste(1.0, 0.5, 0.1, 3)),
    ],
)
def test_each_supported_step_builds(text, wanted):
    built = build(text)
    assert type(built) is type(wanted)
    assert _numbers(built) == pytest.approx(_numbers(wanted)), built


def _numbers(value):
    """The numbers of settings within settings, in order; other values as hashes."""
    if hasattr(value, "__dict__"):
        value = tuple(vars(value).values())
    if isinstance(value, tuple):
        return [number for part in value for number in _numbers(part)]
    return [value if isinstance(value, bool | int | float) else hash(value)]


def test_ssd_crops_without_operations_are_tfods():
    """Seven shares of an object, six where a frame follows; 0.15 of the images stay whole."""
    shares = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
    cropped, padded = build("ssd_random_crop {}"), build("ssd_random_crop_pad {}")
    assert [rule.min_object_covered for rule in cropped.rules] == list(shares)
    assert [rule.overlap_thresh for rule in cropped.rules] == list(shares)
    assert {(r.aspect_ratio, r.area, r.random_coef) for r in cropped.rules} == {
        ((0.5, 2.0), (0.1, 1.0), 0.15)
    }
    assert [rule.min_object_covered for rule, _ in padded.rules] == list(shares[1:])
    assert {frame for _, frame in padded.rules} == {crop.PadRule()}
    first, second = build("ssd_random_crop_fixed_aspect_ratio { aspect_ratio: 2 }").steps
    assert {rule.aspect_ratio for rule in first.rules} == {(2, 2)} and second.aspect_ratio == 2
    last = build("ssd_random_crop_pad_fixed_aspect_ratio { aspect_ratio: 2 }").steps[1]
    assert last == crop.RandomPadToAspectRatio(2, (1, 1), (2, 2))


def test_operations_are_read_one_by_one():
    """In a crop with a frame a colour that is not set is black."""
    area = "min_area: 0.5 max_area: 1 min_aspect_ratio: 1 max_aspect_ratio: 1"
    operations = f"operations {{ {area} }} operations {{ {area} random_coef: 1 }}"
    step = build(f"ssd_random_crop {{ {operations} }}")
    rule = crop.CropRule(0, (1, 1), (0.5, 1), 0, True, 0)
    assert step.rules == (rule, crop.CropRule(0, (1, 1), (0.5, 1), 0, True, 1))
    framed = build(f"ssd_random_crop_pad {{ {operations} }}")
    assert framed.rules[0] == (rule, crop.PadRule(color=(0, 0, 0)))


def test_a_list_ends_with_the_objects_that_fit():
    flip, doubled, paste = (
        preprocessor_builder.read(f"{name} {{ }}")
        for name in ("random_horizontal_flip", "random_self_concat_image", "copy_paste")
    )
    assert preprocessor_builder.build_all([flip], 7) == (build("random_horizontal_flip {}"),)
    for step in (doubled, paste):
        *_, last = preprocessor_builder.build_all([step, flip], 7)
        assert last == objects.KeepAtMost(7)
    with pytest.raises(ConfigError, match="copy_paste 2 times; remove all but one"):
        preprocessor_builder.build_all([paste, flip, paste], 7)


def test_a_text_that_is_no_step():
    with pytest.raises(
        ConfigError, match="'random_hat.*' is not a step of data_augmentation_options"
    ):
        preprocessor_builder.read("random_hat { }")


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
