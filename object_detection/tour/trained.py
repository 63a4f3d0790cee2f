"""The network of the tour: a user's own, or a small one that learns the photograph by heart."""

from pathlib import Path
from typing import Any, NamedTuple

from object_detection.builders import model_builder
from object_detection.checkpoints import location
from object_detection.checkpoints.restore import restore
from object_detection.config import pipeline_file
from object_detection.training import commands, jobs

CONFIG = Path(__file__).parent / "model.config"


class Trained(NamedTuple):
    """A network with its weights, and where they are from."""

    network: Any
    config: Any  # TrainEvalPipelineConfig
    origin: str  # where the weights are from, a few words


def of_the_user(weights, pipeline_config="") -> Trained:
    """The network of a config with stored weights.

    Args:
        weights: a model_dir, a checkpoint or an export: what `checkpoints.restore.restore` takes.
        pipeline_config: path; "" takes the one that lies with the weights.

    Raises:
        ValueError: no weights or no config there, or they do not fit each other.
    """
    if pipeline_config:
        config = pipeline_file.load(pipeline_config)
    else:
        found = location.find_config(weights)
        if found is None:
            raise ValueError(f"{weights} has no {location.CONFIG}: give --pipeline_config_path")
        config = pipeline_file.parse(found[1], source=found[0])
    return Trained(_restored(config, weights), config, f"those of {Path(weights).name}")


def on_the_photograph(
    record_file, label_map, num_classes, model_dir, *, pipeline_config="", steps=None
) -> Trained:
    """Trains a network on one record, or goes on from where it was; all steps done, only loads it.

    Args:
        record_file, label_map: of the photograph, paths.
        num_classes: of the label map.
        model_dir: where the checkpoints go.
        pipeline_config: path of the network's config; "" takes the tour's own small one.
        steps: of training; None: as many as the config says.

    Raises:
        ConfigError, TrainingError: as training does.
    """
    source = pipeline_config or CONFIG
    config = pipeline_file.load(source)
    config.model.faster_rcnn.num_classes = num_classes
    if steps is not None:
        config.train_config.num_steps = steps
    reader = config.train_input_reader
    reader.tf_record_input_reader.input_path[:] = [str(record_file)]
    reader.label_map_path = str(label_map)
    reads = ("train_input_reader",)
    config = commands.checked(config, door="train", reads=reads, source=str(source))
    options = jobs.TrainOptions(str(model_dir), checkpoint_max_to_keep=1, record_summaries=False)
    code = jobs.train(config, options)
    if code:
        raise ValueError(f"the training in {model_dir} ended with exit code {code}")
    origin = f"{config.train_config.num_steps} steps of training on this photograph alone"
    return Trained(_restored(config, model_dir), config, origin)


def _restored(config, weights):
    network = model_builder.build_network(config.model, is_training=True)
    restore(network, str(weights), moving_averages=config.eval_config.use_moving_averages)
    return network
