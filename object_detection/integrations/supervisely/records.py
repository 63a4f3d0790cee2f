"""From a project to records: the images of the two tags, the classes, the neutral objects."""

from typing import NamedTuple

from object_detection.datasets import conversion, label_ids
from object_detection.datasets.examples import Settings
from object_detection.datasets.formats import supervisely
from object_detection.datasets.records import ShardedRecords
from object_detection.errors import AnnotationError


class Records(NamedTuple):
    """What was written."""

    paths: dict  # "train", "val" -> path
    label_map: object  # path
    images: dict  # "train", "val" -> number of images


def write(project, tags, classes, folder):
    """Writes train.record, val.record and label_map.pbtxt.

    Objects of the background class are left out; those of the neutral class bear the number after
    the last class and are no entry of the label map.

    Args:
        project: `project.Project`.
        tags: {"train": tag, "val": tag}.
        classes: `ClassIds`.
        folder: where they go.

    Raises:
        AnnotationError: a split of which no image can be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    label_map = folder / "label_map.pbtxt"
    label_ids.write(label_map, label_ids.LabelIds(classes.foreground))
    ids = dict(classes.foreground)
    if classes.neutral is not None:
        ids[classes.neutral] = max(ids.values()) + 1
    sets = supervisely.read(project.folder, train_tags=(tags["train"],), val_tags=(tags["val"],))
    sets = {
        split: found._replace(
            images=tuple(_without_background(image, classes.background) for image in found.images)
        )
        for split, found in sets.items()
    }
    for split, found in sets.items():  # of both, before one is written
        conversion.check_masks(found.images, f"{project.folder}: {split}")
    paths, counts = {}, {}
    for split, found in sets.items():
        paths[split] = folder / f"{split}.record"
        report = conversion.convert(
            found.images,
            ShardedRecords(paths[split], 0),
            Settings(ids, include_masks=True),
            title=split,
            findings=found.findings,
        )
        print(report.text())
        counts[split] = report.written["images"]
        if report.failure:
            raise AnnotationError(f"{project.folder}: {report.failure}")
    return Records(paths, label_map, counts)


def _without_background(image, background):
    kept = tuple(each for each in image.objects if each.class_name != background)
    return image._replace(objects=kept)
