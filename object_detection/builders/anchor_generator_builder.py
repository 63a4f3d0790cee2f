"""`AnchorGenerator` messages -> `ops.anchors` generators."""

from object_detection.builders.pick import check_message, pick
from object_detection.errors import ConfigError
from object_detection.ops.anchors import GridAnchors, MultiscaleAnchors


def _grid(config):
    return GridAnchors(
        scales=tuple(config.scales),
        aspect_ratios=tuple(config.aspect_ratios),
        base_size=(config.height, config.width),
        stride=(config.height_stride, config.width_stride),
        offset=(config.height_offset, config.width_offset),
    )


def _multiscale(config):
    return MultiscaleAnchors(
        min_level=config.min_level,
        max_level=config.max_level,
        anchor_scale=config.anchor_scale,
        aspect_ratios=tuple(config.aspect_ratios),
        scales_per_octave=config.scales_per_octave,
    )


ANCHOR_GENERATORS = {
    "grid_anchor_generator": _grid,
    "multiscale_anchor_generator": _multiscale,
}


def build(config):
    """Build the anchor generator of an `AnchorGenerator` message.

    Raises:
        ConfigError: none is set, one that is not supported, or one without a single anchor.
    """
    check_message(config, "AnchorGenerator", "anchor_generator_config")
    generator = pick(config, "anchor_generator_oneof", ANCHOR_GENERATORS)
    if not all(generator.per_location):
        name = config.WhichOneof("anchor_generator_oneof")
        raise ConfigError(
            f"{name} makes no anchor: give it at least one of scales and of aspect_ratios, such as "
            "aspect_ratios: [0.5, 1.0, 2.0]"
        )
    return generator
