"""Builds the augmentations of `train_config.data_augmentation_options`."""

from google.protobuf import text_format

from object_detection.builders.pick import check_message, pick
from object_detection.data.augment import auto, color, crop, geometry, objects, scale
from object_detection.errors import ConfigError
from object_detection.protos import preprocessor_pb2

# TFOD's own limit where the config leaves it out; the schema's default, 500000, is never used.
_MAX_TARGET_PIXELS = 800_000


def build(step):
    """Build the augmentation of a `PreprocessingStep` message: `(Example, seed) -> Example`.

    Raises:
        ConfigError: the step is not supported, or none is set.
    """
    check_message(step, "PreprocessingStep", "preprocessor_step_config")
    return pick(step, "preprocessing_step", AUGMENTATIONS)


def read(text):
    """Parse a `PreprocessingStep`, for example 'random_crop_image { min_area: 0.5 }'.

    Raises:
        ConfigError: the text is not a `PreprocessingStep`.
    """
    step = preprocessor_pb2.PreprocessingStep()
    try:
        return text_format.Parse(text, step)
    except text_format.ParseError as error:
        raise ConfigError(
            f"{text!r} is not a step of data_augmentation_options: {error}"
        ) from error


def build_all(steps, max_boxes):
    """Build the augmentations of a list of `PreprocessingStep`, as a tuple.

    If one of them adds objects, only the first `max_boxes` are kept at the end.

    Raises:
        ConfigError: as for `build`; and for a second copy_paste.
    """
    built = [build(step) for step in steps]
    pastes = sum(isinstance(step, objects.CopyPaste) for step in built)
    if pastes > 1:
        raise ConfigError(
            f"train_config.data_augmentation_options has copy_paste {pastes} times; remove all "
            "but one."
        )
    adding = (objects.CopyPaste, objects.RandomSelfConcatImage)
    if any(isinstance(step, adding) for step in built):
        built.append(objects.KeepAtMost(max_boxes))
    return tuple(built)


def _color(config):
    """A color of three numbers, or None if the config has none."""
    return tuple(config.pad_color) or None


def _crop(config, aspect_ratio=None):
    return crop.CropRule(
        config.min_object_covered,
        aspect_ratio or (config.min_aspect_ratio, config.max_aspect_ratio),
        (config.min_area, config.max_area),
        config.overlap_thresh,
        config.clip_boxes,
        config.random_coef,
    )


def _ratios(config):
    return (
        tuple(config.min_padded_size_ratio) or (1.0, 1.0),
        tuple(config.max_padded_size_ratio) or (2.0, 2.0),
    )


def _random_pad_image(config):
    low = high = None
    if config.HasField("min_image_height"):
        low = (config.min_image_height, config.min_image_width)
    if config.HasField("max_image_height"):
        high = (config.max_image_height, config.max_image_width)
    return crop.RandomPadImage(low, high, _color(config))


def _random_crop_pad_image(config):
    pad = crop.PadRule(*_ratios(config), _color(config))
    return crop.RandomCropPad(((_crop(config), pad),))


def _ssd_random_crop(config):
    rules = tuple(_crop(operation) for operation in config.operations)
    return crop.RandomCrop(rules or crop.ssd_rules())


def _ssd_random_crop_pad(config):
    rules = tuple(
        (_crop(one), crop.PadRule(*_ratios(one), _color_of_parts(one))) for one in config.operations
    )
    if not rules:  # as for the crop, without the rule that covers nothing
        crops = crop.ssd_rules(crop.SSD_COVERED[1:])
        rules = tuple((rule, crop.PadRule()) for rule in crops)
    return crop.RandomCropPad(rules)


def _color_of_parts(operation):
    return operation.pad_color_r, operation.pad_color_g, operation.pad_color_b


def _ssd_random_crop_fixed_aspect_ratio(config):
    shape = (config.aspect_ratio, config.aspect_ratio)
    rules = tuple(_crop(operation, shape) for operation in config.operations)
    first = crop.RandomCrop(rules or crop.ssd_rules(aspect_ratio=shape))
    # The rest as TFOD has it, whatever the operations say.
    return objects.InTurn((first, crop.RandomCropToAspectRatio(config.aspect_ratio)))


def _ssd_random_crop_pad_fixed_aspect_ratio(config):
    rules = tuple(_crop(operation) for operation in config.operations)
    first = crop.RandomCrop(rules or crop.ssd_rules())
    pad = crop.RandomPadToAspectRatio(config.aspect_ratio, *_ratios(config))
    return objects.InTurn((first, pad))


def _random_jitter_boxes(config):
    mode = preprocessor_pb2.RandomJitterBoxes.JitterMode.Name(config.jitter_mode)
    return objects.RandomJitterBoxes(config.ratio, mode)


def _resize_image(config):
    method = preprocessor_pb2.ResizeImage.Method.Name(config.method)
    return scale.ResizeImage(config.new_height, config.new_width, method)


def _random_downscale_to_target_pixels(config):
    highest = config.max_target_pixels
    if not config.HasField("max_target_pixels"):
        highest = _MAX_TARGET_PIXELS
    return scale.RandomDownscaleToTargetPixels(
        config.random_coef, config.min_target_pixels, highest
    )


AUGMENTATIONS = {
    "normalize_image": lambda c: color.NormalizeImage(
        (c.original_minval, c.original_maxval), (c.target_minval, c.target_maxval)
    ),
    "random_horizontal_flip": lambda c: geometry.RandomHorizontalFlip(c.probability),
    "random_pixel_value_scale": lambda c: color.RandomPixelValueScale(c.minval, c.maxval),
    "random_image_scale": lambda c: scale.RandomImageScale(c.min_scale_ratio, c.max_scale_ratio),
    "random_rgb_to_gray": lambda c: color.RandomRgbToGray(c.probability),
    "random_adjust_brightness": lambda c: color.RandomAdjustBrightness(c.max_delta),
    "random_adjust_contrast": lambda c: color.RandomAdjustContrast(c.min_delta, c.max_delta),
    "random_adjust_hue": lambda c: color.RandomAdjustHue(c.max_delta),
    "random_adjust_saturation": lambda c: color.RandomAdjustSaturation(c.min_delta, c.max_delta),
    "random_distort_color": lambda c: color.RandomDistortColor(c.color_ordering),
    "random_jitter_boxes": _random_jitter_boxes,
    "random_crop_image": lambda c: crop.RandomCrop((_crop(c),)),
    "random_pad_image": _random_pad_image,
    "random_crop_pad_image": _random_crop_pad_image,
    "random_crop_to_aspect_ratio": lambda c: crop.RandomCropToAspectRatio(
        c.aspect_ratio, c.overlap_thresh, c.clip_boxes
    ),
    "random_black_patches": lambda c: color.RandomBlackPatches(
        c.max_black_patches, c.probability, c.size_to_image_ratio
    ),
    "random_resize_method": lambda c: scale.RandomResizeMethod(c.target_height, c.target_width),
    "resize_image": _resize_image,
    "subtract_channel_mean": lambda c: color.SubtractChannelMean(tuple(c.means)),
    "ssd_random_crop": _ssd_random_crop,
    "ssd_random_crop_pad": _ssd_random_crop_pad,
    "ssd_random_crop_fixed_aspect_ratio": _ssd_random_crop_fixed_aspect_ratio,
    "ssd_random_crop_pad_fixed_aspect_ratio": _ssd_random_crop_pad_fixed_aspect_ratio,
    "random_vertical_flip": lambda c: geometry.RandomVerticalFlip(c.probability),
    "random_rotation90": lambda c: geometry.RandomRotation90(c.probability),
    "rgb_to_gray": lambda c: color.RgbToGray(),
    "random_absolute_pad_image": lambda c: crop.RandomAbsolutePadImage(
        c.max_height_padding or 1, c.max_width_padding or 1, _color(c)
    ),
    "random_self_concat_image": lambda c: objects.RandomSelfConcatImage(
        c.concat_vertical_probability, c.concat_horizontal_probability
    ),
    "autoaugment_image": lambda c: auto.AutoAugment(c.policy_name),
    "drop_label_probabilistically": lambda c: objects.DropLabelProbabilistically(
        c.label, c.drop_probability
    ),
    "remap_labels": lambda c: objects.RemapLabels(tuple(c.original_labels), c.new_label),
    "random_jpeg_quality": lambda c: color.RandomJpegQuality(
        c.random_coef, c.min_jpeg_quality, c.max_jpeg_quality
    ),
    "random_downscale_to_target_pixels": _random_downscale_to_target_pixels,
    "random_patch_gaussian": lambda c: color.RandomPatchGaussian(
        c.random_coef,
        c.min_patch_size,
        c.max_patch_size,
        (c.min_gaussian_stddev, c.max_gaussian_stddev),
    ),
    "random_square_crop_by_scale": lambda c: crop.RandomSquareCropByScale(
        c.max_border, c.scale_min, c.scale_max, c.num_scales
    ),
    "random_scale_crop_and_pad_to_square": lambda c: scale.RandomScaleCropAndPadToSquare(
        c.output_size, c.scale_min, c.scale_max
    ),
    "adjust_gamma": lambda c: color.AdjustGamma(c.gamma, c.gain),
    "random_scale_crop_and_pad": lambda c: scale.LargeScaleJitter(
        c.scale_min, c.scale_max, c.min_visible, c.random_coef, _color(c)
    ),
    "copy_paste": lambda c: objects.CopyPaste(
        c.probability, c.object_probability, c.min_visible, c.max_objects
    ),
}
