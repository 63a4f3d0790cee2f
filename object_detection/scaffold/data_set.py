"""A data set of any format as `init` needs it: its images and classes, and how to convert it."""

import io
import os
import random
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from object_detection.datasets import checking, files, label_ids
from object_detection.datasets.annotations import IGNORE_CLASS, AnnotationSet, Finding, MaskFile
from object_detection.datasets.formats import (
    cityscapes,
    coco,
    csv_table,
    cvat,
    instance_folders,
    kitti,
    labelme,
    lvis,
    pets,
    supervisely,
    via,
    voc,
    voc_masks,
    yolo,
)
from object_detection.datasets.report import SKIPPED_IMAGE, SKIPPED_OBJECT
from object_detection.errors import AnnotationError
from object_detection.scaffold import formats

SAMPLED_IMAGES = 300  # images whose objects give the figures
NAMED = 3  # reasons, and examples of each, that an error names
NAME = "data"  # first part of the names of the records
_ANNOTATION_FOLDERS = ("annotations", "annotation", "labels", "ann", "anns", "jsons", "json")
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
        split = next((names[name] for name in _EVALUATED if name in names), None)
        return split if split is not None and len(self.sets) > 1 else None

    @property
    def trained(self):
        """The splits to train on."""
        aside = {self.evaluated} if self.evaluated is None else set(_EVALUATED)
        return [name for name in self.sets if name.lower() not in aside] or list(self.sets)


class DatasetStatistics(NamedTuple):
    """What the figures of a config follow from."""

    num_images: int  # to train on
    sizes: np.ndarray  # [n, (height, width)] pixels of the images looked at
    sides: np.ndarray  # [g, (height, width)] shares of the shorter side of each object's image
    most_objects: int  # in one image
    masks: float  # share of the objects with a mask
    labels: label_ids.LabelIds
    has_ignore_regions: bool = False


class Options(NamedTuple):
    """What the user says of where things are; '' follows from the data."""

    image_dir: str = ""
    val: str | None = None  # annotations to evaluate on, of COCO, LVIS or CSV
    val_image_dir: str = ""
    annotations_dir: str = ""  # folder of the xmls
    mask_dir: str = ""  # folder of the mask images
    class_name: str = ""  # of regions and masks that have none
    names_file: str = ""  # names of the classes, one a line


# Option -> the formats whose converter has it.
_TABLES = ("coco", "lvis", "csv")
_TAKEN = {
    "image_dir": (*_TABLES, "voc", "voc_masks", "labelme", "via", "cvat", "yolo"),
    "val": _TABLES,
    "val_image_dir": _TABLES,
    "annotations_dir": ("voc", "voc_masks"),
    "mask_dir": ("voc_masks", "instance_folders"),
    "class_name": ("via", "instance_folders"),
    "names_file": ("yolo",),
}


def read(
    place: str | Path, *, options: Options | None = None, format_name: str | None = None
) -> DataSet:
    """Read a data set.

    Args:
        place: file or folder of the annotations.
        options: the `Options`; None: everything is found.
        format_name: one of `formats.FORMATS` but records; None: told by what is there.

    Raises:
        AnnotationError: a format without a reader, annotations that cannot be read, or an option
            that the format has no use for.
    """
    options = options or Options()
    name = format_name or formats.detect(place)
    check_options(options, name, place)
    if name in _TABLES:
        sets, flags = _of_tables(name, Path(place), options)
        return DataSet(name, sets, (Conversion(f"create_{name}_tf_record", flags),))
    if name in _BY_FOLDERS and Path(place).is_dir():
        divided = _by_folders(name, Path(place), options)
        if divided:
            return divided
    return _READERS[name](Path(place), options)


def check_options(options: Options, name: str, place: object) -> None:
    """Raise `AnnotationError` for an option that a format has no use for, or a folder that is not.

    Args:
        options: the `Options`.
        name: one of `formats.FORMATS`.
        place: of the data, for the message.
    """
    for option, value in options._asdict().items():
        if value and name not in _TAKEN[option]:
            if option == "val":
                raise AnnotationError(
                    f"--val_data is for COCO, LVIS and CSV; {place} is {name}: its own splits are "
                    "taken, or a share of its images is set aside (--val_fraction)"
                )
            raise AnnotationError(
                f"--{option} is for {', '.join(_TAKEN[option])}; {place} is {name}, which has a "
                "place of its own for it within --data: leave the flag out"
            )
    for flag in ("image_dir", "val_image_dir"):
        folder = getattr(options, flag)
        if folder and not files.exists(folder):
            raise AnnotationError(f"--{flag}: there is no folder {folder}")


def _by_folders(name, place, options):
    """The `DataSet` of a folder whose folders are the splits, each of one format; or None."""
    sets, conversions, found_folders = {}, [], files.split_folders(place)
    for split in ("train", "val", "test"):
        for folder in found_folders.get(split, ()):
            if _format_of(folder) != name:
                continue
            images = _of_split(options.image_dir, folder.name)
            dataset = _READERS[name](folder, options._replace(image_dir=images))
            if split in sets or len(dataset.sets) != 1:
                return None
            (sets[split],) = dataset.sets.values()
            conversions += [each._replace(set_name=split) for each in dataset.conversions]
    if "train" not in sets or len(sets) < 2:
        return None
    return DataSet(name, sets, tuple(conversions))


def _format_of(folder):
    try:
        return formats.detect(folder)
    except AnnotationError:
        return None


def _of_split(folder, name):
    """The folder of a split's images within that of all images, if it has one of its own."""
    own = Path(folder, name)
    return str(own) if folder and own.is_dir() else folder


def _of_tables(name, place, options):
    """Sets and flags of formats that have one file a split."""
    suffix = ".csv" if name == "csv" else ".json"
    paths = {"train": place, "val": options.val}
    if place.is_dir():
        paths = _split_files(place, suffix, name) | ({"val": options.val} if options.val else {})
    paths = {split: Path(path) for split, path in paths.items() if path}
    if "val" not in paths and "test" in paths:
        paths["val"] = paths.pop("test")
    flag = "csv" if name == "csv" else "annotations_file"
    sets, flags, folders = {}, [], {}
    for split, path in paths.items():
        stated = options.image_dir
        if split != "train":
            stated = options.val_image_dir or stated
        content = coco.load(path) if name == "coco" else None
        if name == "lvis" and not stated:
            content = files.load_json(path)
        folder = folders[split] = stated or _images_of(content, path, place)
        if name == "coco":
            sets[split] = coco.from_content(content, path, folder)
            flags.append(f"--{split}_image_dir={_absolute(folder)}")
        elif name == "lvis":
            sets[split] = lvis.read(path, folder)
        else:
            sets[split] = csv_table.read(path, folder)
        prefix = {"test": "testdev_"}.get(split, f"{split}_") if name == "coco" else f"{split}_"
        prefix = "" if name == "csv" and len(paths) == 1 else prefix
        flags.append(f"--{prefix}{flag}={_absolute(path)}")
    if name == "lvis":
        common = os.path.commonpath([_absolute(folder) for folder in folders.values()])
        flags.append(f"--image_dir={common}")
    elif name == "csv" and options.image_dir:  # else each table's own folder
        flags.append(f"--image_dir={_absolute(options.image_dir)}")
    if name == "csv" and len(paths) == 1:
        sets = {"": sets["train"]}
    return sets, tuple(flags)


def _split_files(folder, suffix, name):
    """Annotation files of a folder: split -> path, "train" being one of them.

    A file's own name says its split, else the innermost folder that does.
    """
    paths = files.walk(folder, {suffix})
    if name != "csv":
        paths = [path for path in paths if formats.json_format_of(path) == name]
    else:
        paths = [path for path in paths if formats.csv_format_of(path) == name]
    if len(paths) == 1:
        return {"train": paths[0]}
    splits = {}
    for path in paths:
        within = path.relative_to(folder)
        words = [within.stem, *reversed(within.parts[:-1])]
        split = next(filter(None, map(files.split_of, words)), None)
        splits.setdefault(split, []).append(path)
    splits = {split: _instances(paths) for split, paths in splits.items() if split}
    if len(splits.get("train", ())) != 1 or any(len(paths) > 1 for paths in splits.values()):
        names = ", ".join(path.relative_to(folder).as_posix() for path in paths[:8])
        raise AnnotationError(
            f"{folder} has several annotation files ({names}): give the one to train on, and with "
            "--val_data the one to evaluate on"
        )
    return {split: splits[split][0] for split in ("train", "val", "test") if split in splits}


def _instances(paths):
    """Of several files of one split those of instances: COCO's folder has captions and others."""
    named = [path for path in paths if "instances" in path.stem.lower()]
    return named if len(paths) > 1 and named else paths


def _images_of(content, path, place):
    """The folder of a file's images: near it, where those that it names are.

    Args:
        content: of a JSON; None for a table, whose images are next to it.
        path: of the file.
        place: what the user named, the file or a folder around it.
    """
    if content is None:
        return path.parent
    stated = (each.get("file_name") for each in content["images"][:50] if isinstance(each, dict))
    named = [name for name in stated if isinstance(name, str) and not files.name_fault(name)]
    for root in _roots_of_images(path, place):
        folder = files.ImageFolder(root)
        matches = [(files.name_parts(name), folder.find(name)) for name in named]
        bases = [
            image.parents[len(parts) - 1] if image.parts[-len(parts) :] == parts else image.parent
            for parts, image in matches
            if image is not None
        ]
        if bases:
            return Path(os.path.commonpath(bases))
    examples = ", ".join(named[:3]) or "none"
    raise AnnotationError(
        f"{path}: its images ({examples[:300]}) do not lie near it: give their folder with "
        "--image_dir"
    )


def _roots_of_images(path, place):
    """Folders in which the images of a file may be, the nearest first."""
    yield path.parent
    if place.is_dir():
        yield from (each for each in path.parents[1:] if each == place or place in each.parents)
    last = place if place.is_dir() else path.parent
    if last.name.lower() in _ANNOTATION_FOLDERS:
        yield last.parent


def _of_voc(place, options):
    place = place.parent if place.is_file() else place
    years = sorted(each.name for each in place.iterdir() if each.name.upper().startswith("VOC20"))
    year = years[-1] if years else "VOC2007"
    where = {"annotations_dir": options.annotations_dir or "Annotations"}
    where["image_dir"] = options.image_dir
    image_sets = voc.splits(place, year=year, annotations_dir=where["annotations_dir"])
    sets, conversions = {}, []
    for split, image_set in image_sets.items():
        masks = voc.has_instances(place, year)
        try:
            annotations = voc.read(place, year=year, image_set=image_set, with_masks=masks, **where)
        except AnnotationError:
            if split in ("", "train"):
                raise
            continue  # VOC's own test set has a list, and no xmls
        if not annotations.images and sets:
            continue
        sets[split] = annotations
        flags = [f"--data_dir={_absolute(place)}", f"--year={year}", f"--set={image_set}"]
        flags += [f"--{name}={value}" for name, value in _given(options, "voc").items()]
        conversions.append(Conversion("create_pascal_tf_record", tuple(flags), split))
    if len(sets) == 1:
        sets = {"": next(iter(sets.values()))}
        conversions = [each._replace(set_name="") for each in conversions]
    return DataSet("voc", sets, tuple(conversions))


def _given(options, name):
    """The options that are set and that a converter has: name -> value, folders absolute.

    Folders of xmls and masks are within --data, unless they are absolute.
    """
    stated = {}
    for option, value in options._asdict().items():
        if value and name in _TAKEN[option]:
            stated[option] = _absolute(value) if option in ("image_dir", "names_file") else value
    return stated


def _simple(name, reader, flag="data_dir", more=()):
    """A reader of a format whose command has one flag for the place, and takes `_given`."""

    def of(place, options):
        stated = _given(options, name)
        read = reader(place, **stated)
        flags = [f"--{flag}={_absolute(place)}", *more]
        flags += [f"--{option}={value}" for option, value in stated.items()]
        if isinstance(read, tuple) and not isinstance(read, AnnotationSet):
            read = dict(zip(("train", "val"), read, strict=True))
        sets = read if isinstance(read, dict) else {"": read}
        kept = {split: each for split, each in sets.items() if each.images}
        command = f"create_{'pet' if name == 'pets' else name}_tf_record"
        return DataSet(name, kept or sets, (Conversion(command, tuple(flags)),))

    return of


def _via(place, options):
    if place.is_dir():
        paths = files.walk(place, {".json", ".csv"})
        kinds = {path: _format_of(path) for path in paths}
        paths = [path for path in paths if kinds[path] == "via"]
        if len(paths) != 1:
            names = ", ".join(path.name for path in paths[:8]) or "none"
            raise AnnotationError(f"{place} has not one file of VIA ({names}): give the file")
        place = paths[0]
    return _simple("via", via.read, "annotations_file")(place, options)


def _bodies(place):
    return pets.read(place, faces_only=False)


def _project(place, options):
    """A Supervisely project: by its image tags train and val, else by data sets so called."""
    place = place.parent if place.name == "meta.json" else place
    flags = [f"--data_dir={_absolute(place)}"]
    by_split = {}
    for name in supervisely.dataset_names(place):
        split = files.split_of(name)
        by_split.setdefault("val" if split == "test" else split, []).append(name)
    try:
        sets = supervisely.read(place, train_tags=["train"], val_tags=["val"])
        flags += ["--train_tag=train", "--val_tag=val"]
    except AnnotationError:
        of_splits = {}
        if by_split.get("train") and by_split.get("val"):
            of_splits = {f"{split}_datasets": by_split[split] for split in ("train", "val")}
        sets = supervisely.read(place, **of_splits)  # which raises again where it is no project
        flags += [f"--{flag}={','.join(names)}" for flag, names in of_splits.items()]
    return DataSet("supervisely", sets, (Conversion("create_supervisely_tf_record", tuple(flags)),))


_READERS = {
    "voc": _of_voc,
    "voc_masks": _simple("voc_masks", voc_masks.read),
    "pets": _simple("pets", _bodies, more=("--faces_only=false",)),
    "kitti": _simple("kitti", kitti.read),
    "labelme": _simple("labelme", labelme.read),
    "via": _via,
    "cvat": _simple("cvat", cvat.read, "annotations_file"),
    "supervisely": _project,
    "yolo": _simple("yolo", yolo.read),
    "instance_folders": _simple("instance_folders", instance_folders.read),
    "cityscapes": _simple("cityscapes", cityscapes.read),
}
# Formats without splits of their own: folders called train and val divide them.
_BY_FOLDERS = ("voc_masks", "labelme", "via", "cvat", "instance_folders")


def facts_of(dataset):
    """The `DatasetStatistics` of a `DataSet`; of large ones a sample is looked at.

    Raises:
        AnnotationError: no image or no object that can be used.
    """
    trained = [image for name in dataset.trained for image in dataset.sets[name].images]
    labels = label_ids.from_annotations(list(dataset.sets.values()))
    sample = random.Random(0).sample(range(len(trained)), min(SAMPLED_IMAGES, len(trained)))
    findings = [finding for name in dataset.trained for finding in dataset.sets[name].findings]
    sizes, sides, with_mask, most, count = [], [], 0, 1, 0
    for place in sorted(sample):
        image = trained[place]
        if image.complete:
            image, notes = image.complete(image)
            findings += notes
            if image is None:
                continue
        size = _size_of(image)
        if not size:
            key = trained[place].path or trained[place].key
            findings.append(Finding(SKIPPED_IMAGE, "the image file cannot be read", str(key)))
            continue
        sizes.append(size)
        usable = [
            annotated
            for annotated in image.objects
            if not annotated.crowd and annotated.class_name != IGNORE_CLASS
        ]
        most, count = max(most, len(usable)), count + len(usable)
        with_mask += sum(annotated.mask is not None for annotated in usable)
        sides += filter(None, (_side_of(annotated, image, size, findings) for annotated in usable))
    if not sizes or not sides:
        lacks = "has a usable object" if sizes else "can be read"
        raise AnnotationError(
            f"none of the {len(sample)} images looked at {lacks}{_reasons(findings)}"
        )
    return DatasetStatistics(
        len(trained),
        np.array(sizes),
        np.array(sides),
        most,
        with_mask / max(count, 1),
        labels,
        any(annotated.has_ignore_regions for annotated in dataset.sets.values()),
    )


def _reasons(findings):
    """What findings say of skipped images and objects, as the end of a sentence."""
    skipped = [
        each
        for each in findings
        if each.group in (SKIPPED_IMAGE, SKIPPED_OBJECT) or each.reason == files.LEADS_OUT
    ]
    by_reason = {}
    for finding in skipped:
        by_reason.setdefault(finding.reason, []).append(finding.key)
    most = sorted(by_reason.items(), key=lambda entry: -len(entry[1]))[:NAMED]
    reasons = [f"{reason}: {len(keys)} ({', '.join(keys[:NAMED])})" for reason, keys in most]
    return f". Skipped: {'; '.join(reasons)}" if reasons else "; the annotations state none"


def _size_of(image):
    """(height, width) of an image's file, None where it cannot be read."""
    try:
        with Image.open(image.path or io.BytesIO(image.encoded or b"")) as opened:
            return opened.height, opened.width
    except (OSError, ValueError):
        return None


def _side_of(annotated, image, size, findings):
    """Height and width of an object as shares of the image's shorter side, None if it has none."""
    if annotated.box is None and isinstance(annotated.mask, MaskFile) and image.normalized:
        return None
    (annotated,) = checking.to_pixels(image._replace(objects=(annotated,)), *size)
    checked, reasons = checking.check_object(annotated, *size, with_mask=annotated.box is None)
    if checked is None:
        findings += reasons
        return None
    ymin, xmin, ymax, xmax = checked.box
    return (ymax - ymin) / min(size), (xmax - xmin) / min(size)


def _absolute(path):
    return str(Path(path).absolute())
