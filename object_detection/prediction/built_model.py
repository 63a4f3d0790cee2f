"""Something to predict with from weights that are no SavedModel: their config's network, built."""

from pathlib import Path
from typing import NamedTuple

import tensorflow as tf

from object_detection.builders import image_resizer_builder, model_builder
from object_detection.checkpoints import location
from object_detection.checkpoints.restore import restore
from object_detection.config import pipeline_file
from object_detection.export import exporter, serving
from object_detection.ops import image

_LONGEST = 3.0  # times the shorter side, where the config bounds no longer side


class BuiltModel(NamedTuple):
    """A network with its weights."""

    module: tf.Module  # called with input_tensor uint8 [B, h, w, 3], gives outputs by name
    label_map: Path | None  # path of the one that the config names, where it can be read


def build(weights, pipeline_config=None, min_image_size=None) -> BuiltModel:
    """Builds the network of a config and gives it its weights.

    Args:
        weights: see `checkpoints.open.open_checkpoint`.
        pipeline_config: path of the config; None takes the one that lies with the weights.
        min_image_size: pixels of the shorter side of what the network sees, instead of what the
            config's resizer makes; None leaves that as it is.

    Raises:
        ValueError: no weights or no config there, or they do not fit each other.
    """
    if pipeline_config is None:
        found = location.find_config(weights)
        if found is None:
            raise ValueError(
                f"{weights} are weights without their {location.CONFIG}: give it with "
                "pipeline_config (--pipeline_config_path)."
            )
        config = pipeline_file.parse(found[1], source=found[0])
    else:
        config = pipeline_file.load(pipeline_config)
    network = model_builder.build_network(config.model, is_training=False)
    restore(network, str(weights), moving_averages=config.eval_config.use_moving_averages)
    resizer = image_resizer_builder.build(config.model.faster_rcnn.image_resizer)
    if min_image_size is not None:
        resizer = with_shorter_side(resizer, min_image_size)
    module = serving.module_for("image_tensor")(network, resizer)
    return BuiltModel(module, exporter.label_map_of(config))


def with_shorter_side(resizer, shorter):
    """Return a resizer that scales the shorter side to a length and keeps the aspect ratio.

    The longer side is bounded as far above it as `resizer` bounds it; three times where it does
    not, so that a strip of an image does not grow without end.
    """
    ratio = _LONGEST
    if isinstance(resizer, image.KeepAspectRatio):
        ratio = resizer.max_dimension / resizer.min_dimension
    return image.KeepAspectRatio(
        min_dimension=shorter,
        max_dimension=max(shorter, round(shorter * ratio)),
        method=getattr(resizer, "method", image.BILINEAR),
        grayscale=getattr(resizer, "grayscale", False),
    )
