"""Builds the image resizer that a model's config names."""

from object_detection.builders.pick import check_message, pick
from object_detection.errors import ConfigError
from object_detection.ops import image
from object_detection.protos import image_resizer_pb2


def build(config):
    """The resizer of an `ImageResizer` message: a callable of `ops.image`.

    Raises:
        ConfigError: where no resizer is set, or its fields contradict one another.
    """
    check_message(config, "ImageResizer", "image_resizer_config")
    return pick(config, "image_resizer_oneof", IMAGE_RESIZERS)


def _keep_aspect_ratio(config):
    _check_positive(config, "min_dimension", "max_dimension")
    if config.min_dimension > config.max_dimension:
        raise ConfigError(
            f"keep_aspect_ratio_resizer.min_dimension ({config.min_dimension}) must not exceed "
            f"max_dimension ({config.max_dimension}); were the two swapped?"
        )
    pad_value = tuple(config.per_channel_pad_value) or (0.0, 0.0, 0.0)
    if len(pad_value) != 3:
        raise ConfigError(
            "keep_aspect_ratio_resizer.per_channel_pad_value needs 3 values (red, green, blue), "
            f"got {len(pad_value)}: {list(pad_value)}"
        )
    return image.KeepAspectRatio(
        min_dimension=config.min_dimension,
        max_dimension=config.max_dimension,
        method=_method(config),
        pad_to_max_dimension=config.pad_to_max_dimension,
        pad_value=pad_value,
        grayscale=config.convert_to_grayscale,
    )


def _fixed_shape(config):
    _check_positive(config, "height", "width")
    return image.FixedShape(
        config.height, config.width, _method(config), config.convert_to_grayscale
    )


def _conditional_shape(config):
    _check_positive(config, "size_threshold")
    conditions = image_resizer_pb2.ConditionalShapeResizer.ResizeCondition
    if config.condition == conditions.Value("INVALID"):
        raise ConfigError(
            "conditional_shape_resizer.condition is INVALID; supported: GREATER, SMALLER"
        )
    return image.ConditionalShape(
        threshold=config.size_threshold,
        shrink=config.condition == conditions.Value("GREATER"),
        method=_method(config),
        grayscale=config.convert_to_grayscale,
    )


def _pad_to_multiple(config):
    _check_positive(config, "multiple")
    return image.PadToMultiple(config.multiple, config.convert_to_grayscale)


IMAGE_RESIZERS = {
    "keep_aspect_ratio_resizer": _keep_aspect_ratio,
    "fixed_shape_resizer": _fixed_shape,
    "conditional_shape_resizer": _conditional_shape,
    "pad_to_multiple_resizer": _pad_to_multiple,
    "identity_resizer": lambda config: image.Identity(),
}


def _method(config):
    return image_resizer_pb2.ResizeType.Name(config.resize_method)


def _check_positive(config, *fields):
    for field in fields:
        if getattr(config, field) < 1:
            where = type(config).__name__
            raise ConfigError(f"{where}.{field} must be at least 1, got {getattr(config, field)}")
