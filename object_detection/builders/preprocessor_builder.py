"""Builds the augmentations of `train_config.data_augmentation_options`."""

from object_detection.builders.pick import pick
from object_detection.data import augment_color, augment_crop, augment_geometry


def build(step):
    """The augmentation of a `PreprocessingStep` message: `(Example, seed) -> Example`.

    Raises:
        ConfigError: where the step is not supported, or none is set.
    """
    return pick(step, "preprocessing_step", AUGMENTATIONS)


AUGMENTATIONS = {
    "random_horizontal_flip": lambda config: augment_geometry.RandomHorizontalFlip(
        config.probability
    ),
    "random_vertical_flip": lambda config: augment_geometry.RandomVerticalFlip(config.probability),
    "random_rotation90": lambda config: augment_geometry.RandomRotation90(config.probability),
    "random_adjust_brightness": lambda config: augment_color.RandomAdjustBrightness(
        config.max_delta
    ),
    "random_adjust_contrast": lambda config: augment_color.RandomAdjustContrast(
        config.min_delta, config.max_delta
    ),
    "random_adjust_hue": lambda config: augment_color.RandomAdjustHue(config.max_delta),
    "random_adjust_saturation": lambda config: augment_color.RandomAdjustSaturation(
        config.min_delta, config.max_delta
    ),
    "random_square_crop_by_scale": lambda config: augment_crop.RandomSquareCropByScale(
        config.max_border, config.scale_min, config.scale_max, config.num_scales
    ),
}
