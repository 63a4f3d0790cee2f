"""The photograph of the tour, and the batch that the input pipeline makes of it.

By default it is coffee.png, which scikit-image brings with it: a photograph by Rachel Michetti
(courtesy of Pikolo Espresso Bar), given into the public domain (CC0). coffee.json, drawn by hand
for this tour, outlines a cup, a saucer and a spoon in it.
"""

import importlib.util
from pathlib import Path
from typing import NamedTuple

from object_detection.dataset_tools import conversion_command
from object_detection.datasets.annotations import AnnotatedImage, AnnotationSet, Category
from object_detection.datasets.formats import coco
from object_detection.errors import AnnotationError
from object_detection.utils import label_map_util

ANNOTATIONS = Path(__file__).parent / "coffee.json"
NAME = "photograph.record"
PNG_MASKS = 2  # of input_reader.proto: the form that our converters write


class Photograph(NamedTuple):
    """An image and what is known of it."""

    image: Path
    annotations: Path | None  # a COCO json that has the image, or None


def choose(image="", annotations="") -> Photograph:
    """The user's photograph, or the tour's own where none is named.

    Raises:
        AnnotationError: no such file, or the tour's own is not installed.
    """
    if image:
        if not Path(image).is_file():
            raise AnnotationError(f"--image: there is no file {image}")
        return Photograph(Path(image), Path(annotations) if annotations else None)
    if annotations:
        raise AnnotationError("--annotations_file needs --image, the photograph it is of")
    found = importlib.util.find_spec("skimage")
    path = Path(found.origin).parent / "data" / "coffee.png" if found and found.origin else None
    if path is None or not path.is_file():
        raise AnnotationError(
            "the tour's photograph comes with scikit-image, which is not installed: "
            "pip install scikit-image, or give a photograph of your own with --image"
        )
    return Photograph(path, ANNOTATIONS)


def record(photograph, folder, label_map="", num_classes=0) -> Path:
    """Writes the photograph as the only record of a file, by the converter of COCO data sets.

    Args:
        photograph: `Photograph`; without annotations its record has no objects.
        folder: the record goes there, and the label map where none is given.
        label_map: path of the label map whose numbers hold; "" makes one.
        num_classes: of the one made for a photograph without annotations; their names are numbers.

    Returns:
        Path of the record file.

    Raises:
        AnnotationError: annotations that cannot be used, that lack the image, or that name a class
            which the label map has not.
    """
    image, annotations = photograph
    if annotations is None:
        one = AnnotatedImage(image.name, image.name, image.name, path=image)
        numbers = tuple(Category(str(number + 1), number + 1) for number in range(num_classes))
        found = AnnotationSet(str(image), numbers, (one,))
    else:
        found = coco.read(annotations, image.parent)
        images = tuple(each for each in found.images if Path(each.filename).name == image.name)
        if len(images) != 1:
            raise AnnotationError(f"{annotations} has {len(images)} images {image.name}, not one")
        found = found._replace(images=images)
    base = Path(folder) / NAME
    base.parent.mkdir(parents=True, exist_ok=True)
    options = conversion_command.Options(include_masks=True, label_map_path=label_map, num_shards=0)
    (report,) = conversion_command.convert(
        [conversion_command.Split("photograph", base, found)], options
    )
    if not report.written["images"]:
        raise AnnotationError(f"{image} cannot be used:\n{report.text()}")
    return base


def batch_of(config, record_file, label_map):
    """The photograph as the input pipeline gives it to the network: a `Batch` of one image.

    Args:
        config: a TrainEvalPipelineConfig; its resizer and its limits hold.
        record_file: of `record`.
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


def names_of(label_map):
    """{id: name} of a label map."""
    items = label_map_util.load_labelmap(str(label_map)).item
    return {item.id: item.display_name or item.name for item in items}
