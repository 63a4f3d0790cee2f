"""A data set of any format as `init` needs it: its images and classes, and how to convert it."""

import io
import random
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from object_detection.annotations import (
    checking,
    cityscapes,
    coco,
    csv_table,
    cvat,
    files,
    instance_folders,
    kitti,
    label_ids,
    labelme,
    lvis,
    pets,
    supervisely,
    via,
    voc,
    voc_masks,
    yolo,
)
from object_detection.annotations.record import (
    IGNORE_CLASS,
    AnnotationError,
    AnnotationSet,
    MaskFile,
)
from object_detection.first_steps import formats

LOOKED_AT = 300  # images whose objects give the figures
NAME = "data"  # first part of the names of the records
_EVALUATED = ("val", "valid", "validation", "test", "testing")


class Conversion(NamedTuple):
    """A command that writes records: its name, and the flags that say where the data is."""

    command: str  # such as create_coco_tf_record
    flags: tuple[str, ...]
    set_name: str = ""  # of VOC, whose command writes one list of images


class DataSet(NamedTuple):
    """Annotations as they were read."""

    format: str
    sets: dict[str, AnnotationSet]  # split ("" where there are none) ->
    conversions: tuple[Conversion, ...]

    @property
    def evaluated(self):
        """The split to evaluate on; None: a share of the images has to be set aside."""
        names = {name.lower(): name for name in self.sets}
        found = next((names[name] for name in _EVALUATED if name in names), None)
        return found if found is not None and len(self.sets) > 1 else None

    @property
    def trained(self):
        """The splits to train on."""
        aside = {self.evaluated} if self.evaluated is None else set(_EVALUATED)
        return [name for name in self.sets if name.lower() not in aside] or list(self.sets)


class Facts(NamedTuple):
    """What the figures of a config follow from."""

    num_images: int  # to train on
    sizes: np.ndarray  # [n, (height, width)] pixels of the images looked at
    sides: np.ndarray  # [g, (height, width)] shares of the shorter side of each object's image
    most_objects: int  # in one image
    masks: float  # share of the objects with a mask
    labels: label_ids.LabelIds
    has_ignore_regions: bool = False


def read(place, *, images="", val=None, val_images="", format_name=None):
    """Reads a data set.

    Args:
        place: file or folder of the annotations.
        images: folder of the images, where the annotations do not say; '': looked for.
        val: annotations to evaluate on, of COCO, LVIS or CSV; None: as the data set is divided.
        val_images: folder of their images; '': `images`, else looked for.
        format_name: one of `formats.FORMATS` but records; None: told by what is there.

    Raises:
        AnnotationError: a format without a reader, or annotations that cannot be read.
    """
    name = format_name or formats.detect(place)
    if name in ("coco", "lvis", "csv"):
        sets, flags = _of_tables(name, Path(place), images, val, val_images or images)
        return DataSet(name, sets, (Conversion(f"create_{name}_tf_record", flags),))
    if val is not None:
        raise AnnotationError(
            f"--val_data is for COCO, LVIS and CSV; {place} is {name}: its own splits are taken, "
            "or a share of its images is set aside (--val_fraction)"
        )
    return _READERS[name](Path(place), images)


def _of_tables(name, place, images, val, val_images):
    """Sets and flags of formats that have one file a split."""
    train, suffix = place, ".csv" if name == "csv" else ".json"
    if place.is_dir():
        train, own_val = _split_files(place, suffix, name)
        val = val or own_val
    flag = "csv" if name == "csv" else "annotations_file"
    sets, flags = {}, []
    pairs = [("train" if val or name != "csv" else "", train, images)]
    pairs += [("val", val, val_images)] if val else []
    for split, path, stated in pairs:
        content = files.load_json(path) if name != "csv" else None
        folder = stated or _images_of(content, Path(path))
        if name == "coco":
            found = coco.from_content(coco.load(path), path, folder)
            flags.append(f"--{split}_image_dir={_absolute(folder)}")
        elif name == "lvis":
            found = lvis.read(path, folder)
        else:
            found = csv_table.read(path, folder)
        sets[split] = found
        flags.append(f"--{split + '_' if split else ''}{flag}={_absolute(path)}")
    if name != "coco":
        flags.append(f"--image_dir={_absolute(folder)}")
    return sets, tuple(dict.fromkeys(flags))


def _split_files(folder, suffix, name):
    """(annotations to train on, those to evaluate on or None) of a folder."""
    found = files.walk(folder, {suffix})
    if name != "csv":
        found = [path for path in found if formats.json_format(files.load_json(path)) == name]
    if len(found) == 1:
        return found[0], None
    train = [path for path in found if "train" in path.stem.lower()]
    val = [path for path in found if any(word in path.stem.lower() for word in _EVALUATED)]
    if len(train) != 1 or len(val) > 1:
        names = ", ".join(path.name for path in found[:8])
        raise AnnotationError(
            f"{folder} has several annotation files ({names}): give the one to train on, and with "
            "--val_data the one to evaluate on"
        )
    return train[0], val[0] if val else None


def _images_of(content, path):
    """The folder of a file's images: near it, where the first that it names lies."""
    roots = [path.parent, *([path.parent.parent] if path.parent.name == "annotations" else [])]
    if content is None:
        return roots[0]
    named = [str(image.get("file_name") or "") for image in content.get("images", [])[:50]]
    for root in roots:
        there = files.walk(root, files.IMAGE_SUFFIXES)
        for name in named:
            parts = files.name_parts(name)
            for image in there:
                if parts and image.parts[-len(parts) :] == parts:
                    return Path(*image.parts[: -len(parts)])
    raise AnnotationError(
        f"{path}: its images ({', '.join(named[:3])}) do not lie near it: give their folder with "
        "--image_dir"
    )


def _of_voc(place, images):
    place = place.parent if place.is_file() else place
    years = sorted(each.name for each in place.iterdir() if each.name.upper().startswith("VOC20"))
    year = years[-1] if years else "VOC2007"
    root = place / year if years else place
    masks = (root / "SegmentationObject").is_dir()
    lists = root / "ImageSets" / ("Segmentation" if masks else "Main")
    names = {path.stem for path in lists.glob("*.txt")} if lists.is_dir() else set()
    wanted = [name for name in ("train", "val") if name in names]
    wanted = wanted or [name for name in ("trainval", "train") if name in names][:1] or ["train"]
    sets, conversions = {}, []
    for name in wanted:
        split = name if len(wanted) > 1 else ""
        sets[split] = voc.read(place, year=year, image_set=name, with_masks=masks)
        flags = (f"--data_dir={_absolute(place)}", f"--year={year}", f"--set={name}")
        conversions.append(Conversion("create_pascal_tf_record", flags, split))
    return DataSet("voc", sets, tuple(conversions))


def _simple(name, reader, flag="data_dir", image_flag=None, more=()):
    """A reader of a format whose command has one flag for the place."""

    def of(place, images):
        flags = [f"--{flag}={_absolute(place)}", *more]
        found = reader(place, images or None) if image_flag else reader(place)
        if image_flag and images:
            flags.append(f"--{image_flag}={_absolute(images)}")
        if isinstance(found, tuple) and not isinstance(found, AnnotationSet):
            found = dict(zip(("train", "val"), found, strict=True))
        sets = found if isinstance(found, dict) else {"": found}
        sets = {split: each for split, each in sets.items() if each.images}
        command = f"create_{'pet' if name == 'pets' else name}_tf_record"
        return DataSet(name, sets, (Conversion(command, tuple(flags)),))

    return of


def _via(place, images):
    if place.is_dir():
        found = files.walk(place, {".json", ".csv"})
        kinds = {path: formats.detect(path) for path in found}
        found = [path for path in found if kinds[path] == "via"]
        if len(found) != 1:
            names = ", ".join(path.name for path in found[:8]) or "none"
            raise AnnotationError(f"{place} has not one file of VIA ({names}): give the file")
        place = found[0]
    return _simple("via", via.read, "annotations_file", "image_dir")(place, images)


def _bodies(place):
    return pets.read(place, faces_only=False)


def _project(place, images):
    """A Supervisely project: by its image tags train and val, where both are in use."""
    place = place.parent if place.name == "meta.json" else place
    flags = [f"--data_dir={_absolute(place)}"]
    try:
        sets = supervisely.read(place, train_tags=["train"], val_tags=["val"])
        flags += ["--train_tag=train", "--val_tag=val"]
    except AnnotationError:
        sets = supervisely.read(place)  # which raises again where it is no project
    return DataSet("supervisely", sets, (Conversion("create_supervisely_tf_record", tuple(flags)),))


_READERS = {
    "voc": _of_voc,
    "voc_masks": _simple("voc_masks", voc_masks.read),
    "pets": _simple("pets", _bodies, more=("--faces_only=false",)),
    "kitti": _simple("kitti", kitti.read),
    "labelme": _simple("labelme", labelme.read, image_flag="image_dir"),
    "via": _via,
    "cvat": _simple("cvat", cvat.read, "annotations_file", "image_dir"),
    "supervisely": _project,
    "yolo": _simple("yolo", yolo.read),
    "instance_folders": _simple("instance_folders", instance_folders.read),
    "cityscapes": _simple("cityscapes", cityscapes.read),
}


def facts_of(data):
    """The `Facts` of a `DataSet`; of large ones a sample is looked at.

    Raises:
        AnnotationError: no image or no object that can be used.
    """
    trained = [image for name in data.trained for image in data.sets[name].images]
    labels = label_ids.from_annotations(list(data.sets.values()))
    sample = random.Random(0).sample(range(len(trained)), min(LOOKED_AT, len(trained)))
    sizes, sides, with_mask, most, count = [], [], 0, 1, 0
    for place in sorted(sample):
        image = trained[place]
        if image.complete:
            image, _ = image.complete(image)
        size = image and _size_of(image)
        if not size:
            continue
        sizes.append(size)
        ignored = (found.crowd or found.class_name == IGNORE_CLASS for found in image.objects)
        usable = [found for found, out in zip(image.objects, ignored, strict=True) if not out]
        most, count = max(most, len(usable)), count + len(usable)
        with_mask += sum(found.mask is not None for found in usable)
        sides += filter(None, (_side_of(found, image, size) for found in usable))
    if not sizes:
        where = f": {trained[0].path or trained[0].key} and so on" if trained else ""
        raise AnnotationError(f"none of the {len(sample)} images looked at can be read{where}")
    if not sides:
        raise AnnotationError(f"none of the {len(sample)} images looked at has a usable object")
    return Facts(
        len(trained),
        np.array(sizes),
        np.array(sides),
        most,
        with_mask / max(count, 1),
        labels,
        any(found.has_ignore_regions for found in data.sets.values()),
    )


def _size_of(image):
    """(height, width) of an image's file, None where it cannot be read."""
    try:
        with Image.open(image.path or io.BytesIO(image.encoded or b"")) as opened:
            return opened.height, opened.width
    except (OSError, ValueError):
        return None


def _side_of(found, image, size):
    """Height and width of an object as shares of the image's shorter side, None if it has none."""
    height, width = size
    if found.box is not None:
        ymin, xmin, ymax, xmax = found.box
        if image.normalized:
            ymin, xmin, ymax, xmax = ymin * height, xmin * width, ymax * height, xmax * width
    else:
        if isinstance(found.mask, MaskFile) and image.normalized:
            return None
        fitted, _ = checking.checked(found, height, width, with_mask=True)
        if fitted is None:
            return None
        ymin, xmin, ymax, xmax = fitted.box
    shorter = min(size)
    if not (ymax > ymin and xmax > xmin):
        return None
    return (ymax - ymin) / shorter, (xmax - xmin) / shorter


def _absolute(path):
    return str(Path(path).absolute())
