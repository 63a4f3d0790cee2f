"""Builds the augmentations of `train_config.data_augmentation_options`."""

from object_detection.builders.pick import pick
from object_detection.data import augment_geometry


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
}
