"""A model over a project: a new project with what it found beside what was annotated."""

import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
from absl import logging
from PIL import Image
from tqdm import tqdm

from object_detection.datasets import checking
from object_detection.datasets.formats import supervisely
from object_detection.errors import AnnotationError
from object_detection.integrations.supervisely import devices, infer_settings, project
from object_detection.integrations.supervisely.annotator import Annotator
from object_detection.integrations.supervisely.conversion import write_json
from object_detection.integrations.supervisely.settings import ALL
from object_detection.prediction import pixels
from object_detection.utils import visualization_utils

_ORIENTATION = 0x0112
_TAG_COLOR = "#ffca28"


class Options(NamedTuple):
    """What the command line says."""

    config: str
    project: str
    model: str
    output: str


def run(options):
    """Writes the project OUTPUT; the exit code.

    Raises:
        SettingsError, AnnotationError, ValueError: what is the user's to mend.
    """
    settings = infer_settings.read(options.config)
    found = project.read(options.project)
    output = Path(options.output)
    if output.exists() and any(output.iterdir()):
        raise AnnotationError(f"--output={output} is not empty; name a new folder")
    devices.choose(f"{settings.path}: model.gpu_device", [settings.values["model"]["gpu_device"]])
    return write(settings, found, Annotator(settings, options.model), output)


def write(settings, found, annotator, output):
    """Writes the project `output`; the exit code.

    Args:
        settings: of the inference JSON.
        found: `project.Project`.
        annotator: `Annotator`.
        output: path of the folder.

    Raises:
        SettingsError: what in the JSON does not fit the project.
    """
    from_classes = _from_classes(settings, found)
    writer = _Writer(output, found, annotator, settings)
    for annotation in tqdm(found.annotations, "infer", unit="image", disable=None):
        image = read_pixels(annotation)
        boxes = boxes_of(annotation, image.shape[:2], from_classes)
        writer.add(annotation, annotator.look_at(image, str(annotation.image), boxes))
    writer.close()
    print(
        f"{output}: {len(found.annotations)} images, {writer.objects} objects added"
        + (f"; {writer.empty} without a pixel left out" if writer.empty else "")
    )
    return 0


def _from_classes(settings, found):
    """Titles whose objects mode bboxes looks at; none in the other modes."""
    wanted = settings.values["mode"].get("from_classes")
    if wanted is None:
        return frozenset()
    if wanted == ALL:
        return frozenset(found.titles)
    strangers = [title for title in wanted if title not in found.titles]
    if strangers or not wanted:
        told = f"names {', '.join(map(repr, strangers))}" if strangers else "is []"
        raise settings.fault(
            "mode.from_classes",
            f"{told}, which matches nothing; {found.folder / 'meta.json'} has "
            f"{', '.join(map(repr, found.titles)) or 'none'}",
        )
    return frozenset(wanted)


def read_pixels(annotation):
    """uint8 [h, w, 3] as Supervisely counts them: not turned by their EXIF orientation."""
    with Image.open(annotation.image) as image:
        if image.getexif().get(_ORIENTATION, 1) != 1:
            return np.asarray(image.convert("RGB"))
    return pixels.read(annotation.image)


def boxes_of(annotation, size, titles):
    """(title, box in pixels) of each object of the classes; see `Annotator.look_at`."""
    if not titles:
        return []
    stated = [each for each in annotation.content["objects"] if each.get("classTitle") in titles]
    boxes = []
    for found in supervisely.objects_of(stated, annotation.path.name, None, []):
        fitted, _ = checking.check_object(found, *size, with_mask=False)
        if fitted:
            boxes.append((fitted.class_name, fitted.box))
    return boxes


class _Writer:
    """The project of the results, image by image."""

    def __init__(self, folder, found, annotator, settings):
        self.objects = self.empty = 0
        self._folder, self._found, self._annotator = folder, found, annotator
        self._mode = settings.values["mode"]
        self._shapes = {}  # title -> shape, of what was added
        self._settings = settings
        self._has_masks = True
        known = {str(each["title"]): each.get("shape") for each in found.meta["classes"]}
        for title in annotator.titles:
            self._check_shape(known.get(title), "bitmap", title)

    def _check_shape(self, known, shape, title):
        if known not in (None, "any", shape):
            key = "mode.model_classes.add_suffix"
            raise self._settings.fault(
                key,
                f"leaves the class {title!r}, which meta.json has with the shape {known}, not "
                f"{shape}: choose another suffix",
            )

    def add(self, annotation, found):
        """Writes an image with its old objects and the new ones."""
        place = self._folder / annotation.dataset
        for part in ("img", "ann"):
            (place / part).mkdir(parents=True, exist_ok=True)
        target = place / "img" / annotation.image.name
        shutil.copyfile(annotation.image, target)
        content = annotation.content
        objects = [*content["objects"], *found.objects]
        write_json(place / "ann" / annotation.path.name, {**content, "objects": objects})
        self._shapes |= {each["classTitle"]: each["geometryType"] for each in found.objects}
        self.objects, self.empty = self.objects + len(found.objects), self.empty + found.empty
        if found.prediction is not None:
            self._has_masks = found.prediction.has_masks
            if self._mode["save_probabilities"]:
                self._write_probabilities(annotation, found.prediction)

    def _write_probabilities(self, annotation, prediction):
        """NAME.npz beside the project, in which Supervisely would take it for a data set."""
        folder = self._folder.with_name(f"{self._folder.name}_probabilities") / annotation.dataset
        folder.mkdir(parents=True, exist_ok=True)
        masks = {} if prediction.box_masks is None else {"masks": prediction.box_masks}
        np.savez_compressed(
            folder / f"{annotation.image.name}.npz",
            boxes=prediction.boxes,
            scores=prediction.scores,
            names=np.array(prediction.names, str),
            **masks,
        )

    def close(self):
        """Writes meta.json: the old classes and tags, and the new ones."""
        meta = dict(self._found.meta)
        classes, tags = list(meta["classes"]), list(meta.get("tags") or [])
        there = {str(each["title"]): each.get("shape") for each in classes}
        shape = "bitmap" if self._has_masks else "rectangle"
        wanted = dict.fromkeys(self._annotator.titles, shape) | self._shapes
        for title, shape in wanted.items():
            if title in there:
                self._check_shape(there[title], shape, title)
                continue
            color = visualization_utils.color_of(len(classes))
            classes.append({"title": title, "shape": shape, "color": color})
        tag = self._annotator.tag
        if tag and tag not in {each.get("name") for each in tags if isinstance(each, dict)}:
            tags.append({"name": tag, "value_type": "any_number", "color": _TAG_COLOR})
        write_json(self._folder / "meta.json", {**meta, "classes": classes, "tags": tags})
        if self.empty:
            logging.info("%d objects had masks without a pixel.", self.empty)
