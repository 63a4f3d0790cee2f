"""Settings of augmentations that no step can work with are found before training starts."""

import pytest
from findings_of import config_with, only_fault, only_warning, sentences

from object_detection.builders import preprocessor_builder
from object_detection.config import augmentation_checks
from object_detection.data.augment.auto import POLICIES

STEP = "train_config.data_augmentation_options"


def check(step, *changes):
    return augmentation_checks.check(config_with(f"{STEP}={{{step}}}", *changes))


# Steps that need a setting to be sound.
NEEDED = {
    "normalize_image": "original_maxval: 255",
    "random_resize_method": "target_height: 9 target_width: 9",
    "resize_image": "new_height: 9 new_width: 9",
    "subtract_channel_mean": "means: [1, 2, 3]",
    "remap_labels": "original_labels: 1 new_label: 1",
}


@pytest.mark.parametrize("name", preprocessor_builder.AUGMENTATIONS)
def test_defaults_are_sound(name):
    found = check(
        f"{name} {{{NEEDED.get(name, '')}}}", "train_input_reader.load_instance_masks=true"
    )
    faults, warnings = sentences(found)
    assert faults == []
    assert len(warnings) == (name in ("normalize_image", "subtract_channel_mean"))


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("", "data_augmentation_options is empty. Name a step"),
        ("random_crop_image {min_area: 2 max_area: 3}", None),
        ("random_crop_image {overlap_thresh: 30}", "overlap_thresh is 30; allowed: 0 to 1"),
        ("random_crop_image {min_aspect_ratio: 2}", "max_aspect_ratio is 1.33; at least 2"),
        ("random_rgb_to_gray {probability: 2}", "probability is 2; allowed: 0 to 1"),
        ("random_pad_image {pad_color: 1}", "pad_color has 1 numbers; it takes 3, or none"),
        (
            "random_pad_image {min_image_height: 9}",
            "min_image_width is not set, but min_image_height is. Give both or none",
        ),
        ("random_crop_pad_image {min_padded_size_ratio: 1}", "has 1 numbers; it takes 2, or none"),
        ("normalize_image {}", "original_maxval is 0, as original_minval is. Images hold 0 to"),
        ("subtract_channel_mean {means: 1}", "means has 1 numbers; one for each of 3 channels"),
        ("random_distort_color {color_ordering: 2}", "color_ordering is 2; allowed: 0 to 1"),
        ("random_jpeg_quality {max_jpeg_quality: 101}", "is 101; allowed: 0 to 100"),
        ("resize_image {new_height: 5}", "resize_image.new_width is 0; at least 1"),
        ('autoaugment_image {policy_name: "v9"}', 'policy_name is "v9"; allowed: v0, v1, v2, v3'),
        ("remap_labels {new_label: 1000}", "new_label is 1000, but model.num_classes is"),
        (
            "ssd_random_crop {operations {min_aspect_ratio: 1 max_aspect_ratio: 1 min_area: 0.1}}",
            "ssd_random_crop.operations[0].max_area is 0",
        ),
        ("random_scale_crop_and_pad {scale_min: 0}", "scale_min is 0; above 0"),
        ("random_downscale_to_target_pixels {max_target_pixels: 5}", "is 5; at least 300000"),
    ],
)
def test_a_value_out_of_range_is_a_fault(step, said):
    faults, _ = sentences(check(step))
    assert faults and (said is None or said in faults[0])


def test_copy_paste_needs_masks_and_comes_once():
    one = only_fault(check("copy_paste {}", "train_input_reader.load_instance_masks=false"))
    assert "copy_paste needs masks, but train_input_reader.load_instance_masks is false" in one
    changes = (f"{STEP}=[{{copy_paste {{}}}}, {{copy_paste {{}}}}]",)
    config = config_with(*changes, "train_input_reader.load_instance_masks=true")
    assert "[1].copy_paste is there a second time" in only_fault(augmentation_checks.check(config))


def test_values_that_only_training_sees_are_a_warning():
    said = only_warning(check("subtract_channel_mean {means: [1, 2, 3]}"))
    assert "changes what the network sees only in training" in said and "Remove it" in said


def test_policies_are_those_there_are():
    assert set(augmentation_checks.POLICIES) == set(POLICIES)
