"""Inputs of the tour: a photograph as a batch, and a network.

The default photograph is coffee.png of scikit-image, by Rachel Michetti (courtesy of Pikolo
Espresso Bar), in the public domain (CC0). coffee.json, drawn by hand for this tour, outlines a cup,
a saucer and a spoon in it. The network is a user's own, or a small one trained on the photograph.
"""

import importlib.util
from pathlib import Path
from typing import Any, NamedTuple

from object_detection.builders import model_builder
from object_detection.checkpoints import location
from object_detection.checkpoints.restore import restore
from object_detection.config import pipeline_file
from object_detection.dataset_tools import conversion_command
from object_detection.datasets.annotations import AnnotatedImage, AnnotationSet, Category
from object_detection.datasets.formats import coco
from object_detection.errors import AnnotationError, CheckpointError
from object_detection.training import commands, jobs
from object_detection.utils import label_map_util

ANNOTATIONS = Path(__file__).parent / "coffee.json"
NAME = "photograph.record"
PNG_MASKS = 2  # of input_reader.proto: the format of our converters


class Photograph(NamedTuple):
    """Image with its annotations."""

    image: Path
    annotations: Path | None  # a COCO json with the image, or None


def find_photograph(image="", annotations="") -> Photograph:
    """Return the user's photograph, or the tour's own by default.

    Raises:
        AnnotationError: no such file, or the tour's own is not installed.
    """
    if image:
        if not Path(image).is_file():
            raise AnnotationError(f"--image: there is no file {image}")
        return Photograph(Path(image), Path(annotations) if annotations else None)
    if annotations:
        raise AnnotationError("--annotations_file requires --image, its photograph")
    spec = importlib.util.find_spec("skimage")
    path = Path(spec.origin).parent / "data" / "coffee.png" if spec and spec.origin else None
    if path is None or not path.is_file():
        raise AnnotationError(
            "the tour's photograph is part of scikit-image, which is not installed: "
            "pip install scikit-image, or give a photograph of your own with --image"
        )
    return Photograph(path, ANNOTATIONS)


def write_record(photograph, folder, label_map="", num_classes=0) -> Path:
    """Write the photograph as the only record of a file, with the converter of COCO datasets.

    Args:
        photograph: `Photograph`; without annotations its record has no objects.
        folder: to write the record to, and a label map if none is given.
        label_map: path of the label map with the ids; "" makes one.
        num_classes: of the label map for a photograph without annotations, with numbers as names.

    Returns:
        Path of the record file.

    Raises:
        AnnotationError: the annotations cannot be used, lack the image, or have a class that is not
            in the label map.
    """
    image, annotations = photograph
    if annotations is None:
        one = AnnotatedImage(image.name, image.name, image.name, path=image)
        numbers = tuple(Category(str(number + 1), number + 1) for number in range(num_classes))
        selected = AnnotationSet(str(image), numbers, (one,))
    else:
        selected = coco.read(annotations, image.parent)
        images = tuple(each for each in selected.images if Path(each.filename).name == image.name)
        if len(images) != 1:
            raise AnnotationError(f"{annotations} has {len(images)} images {image.name}, not one")
        selected = selected._replace(images=images)
    base = Path(folder) / NAME
    base.parent.mkdir(parents=True, exist_ok=True)
    options = conversion_command.Options(include_masks=True, label_map_path=label_map, num_shards=0)
    (report,) = conversion_command.convert(
        [conversion_command.Split("photograph", base, selected)], options
    )
    if not report.written["images"]:
        raise AnnotationError(f"{image} cannot be used:\n{report.text()}")
    return base


def load_batch(config, record_file, label_map):
    """Load the photograph with the input pipeline: a `Batch` of one image.

    Args:
        config: a TrainEvalPipelineConfig with the resizer and the limits.
        record_file: of `write_record`.
        label_map: path.
    """
    from object_detection.builders import dataset_builder  # TensorFlow, which takes seconds

    reader = type(config.train_input_reader)()
    reader.CopyFrom(config.train_input_reader)
    reader.tf_record_input_reader.input_path[:] = [str(record_file)]
    reader.label_map_path = str(label_map)
    reader.load_instance_masks, reader.mask_type = True, PNG_MASKS
    reader.ClearField("shuffle")
    pipeline = dataset_builder.build(
        reader,
        model_config=config.model,
        train_config=config.train_config,
        training=False,
        batch_size=1,
    )
    return next(iter(pipeline.dataset))


def class_names(label_map):
    """Return {id: name} of a label map."""
    items = label_map_util.load_labelmap(str(label_map)).item
    return {item.id: item.display_name or item.name for item in items}


CONFIG = Path(__file__).parent / "model.config"


class LoadedNetwork(NamedTuple):
    """Network with its weights and their source."""

    network: Any
    config: Any  # TrainEvalPipelineConfig
    origin: str  # source of the weights, a few words


def load_network(weights, pipeline_config="") -> LoadedNetwork:
    """Load the network of a config with stored weights.

    Args:
        weights: a model_dir, a checkpoint or an export: what `checkpoints.restore.restore` takes.
        pipeline_config: path; "" for the one next to the weights.

    Raises:
        CheckpointError: there are no weights or no config, or they do not fit each other.
    """
    if pipeline_config:
        config = pipeline_file.load(pipeline_config)
    else:
        stored = location.find_config(weights)
        if stored is None:
            raise CheckpointError(f"{weights} has no {location.CONFIG}: set --pipeline_config_path")
        config = pipeline_file.parse(stored[1], source=stored[0])
    return LoadedNetwork(_restored(config, weights), config, f"those of {Path(weights).name}")


def train_on_photograph(
    record_file, label_map, num_classes, model_dir, *, pipeline_config="", steps=None
) -> LoadedNetwork:
    """Train a network on one record, or resume its training; if it is complete, only load it.

    Args:
        record_file, label_map: of the photograph, paths.
        num_classes: of the label map.
        model_dir: to write the checkpoints to.
        pipeline_config: path of the network's config; "" for the tour's own small one.
        steps: of training; None: the config's number.

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
    config = commands.checked(config, purpose="train", reads=reads, source=str(source))
    options = jobs.TrainOptions(str(model_dir), checkpoint_max_to_keep=1, record_summaries=False)
    code = jobs.train(config, options)
    if code:
        raise CheckpointError(f"the training in {model_dir} ended with exit code {code}")
    origin = f"{config.train_config.num_steps} steps of training on this photograph only"
    return LoadedNetwork(_restored(config, model_dir), config, origin)


def _restored(config, weights):
    network = model_builder.build_network(config.model, is_training=True)
    restore(network, str(weights), moving_averages=config.eval_config.use_moving_averages)
    return network
