"""Which labeling format a file or folder is in, told by what is in it."""

import csv
import io
import re
from pathlib import Path
from xml.etree import ElementTree

from object_detection.datasets import files
from object_detection.datasets.formats.voc import MASK_SUFFIXES
from object_detection.datasets.formats.yolo import NAMES, NAMES_BELOW, YAMLS
from object_detection.errors import AnnotationError

RECORDS = "records"
# What can be told, and read; in the order in which folders are asked.
FORMATS = (
    *(RECORDS, "supervisely", "cityscapes", "pets", "kitti", "voc", "voc_masks", "yolo", "coco"),
    *("lvis", "labelme", "via", "cvat", "csv", "instance_folders"),
)
_RECORD_NAME = re.compile(r"\.(tf)?records?(-\d{5}-of-\d{5})?$")
_SNIFFED = 20  # files of one kind that are opened to tell a folder's format
_MASK_WORDS = ("mask", "seg", "instance")


def detect(place):
    """The format of a data set.

    Args:
        place: a file, a folder, or a pattern of record files.

    Returns:
        One of `FORMATS`.

    Raises:
        AnnotationError: there is nothing, or nothing of a known form; or Open Images, which
            needs several files.
    """
    path = Path(place)
    if any(sign in str(place) for sign in "*?[") and not path.exists():
        return RECORDS
    if path.is_file():
        detected = _of_file(path)
    elif path.is_dir():
        detected = _of_folder(path)
    else:
        raise AnnotationError(f"there is no file or folder {place}")
    if detected is None:
        if path.is_dir():
            for each in files.walk(path, {".json"})[:_SNIFFED]:
                files.load_json(each)  # raises where it cannot be read, which may be the reason
        raise AnnotationError(
            f"{place} is in none of the formats that are known ({', '.join(FORMATS)}). If it is, "
            "say which with --format; else see docs/datasets.md for what each looks like"
        )
    return detected


def csv_format_of(path: Path) -> str | None:
    """Return the format of a table; None where it cannot be read or is of Open Images."""
    try:
        return _csv_format(path)
    except AnnotationError:
        return None


def is_record_file(path):
    """Whether a file is called as record files are."""
    return bool(_RECORD_NAME.search(Path(path).name.lower()))


def json_format(content):
    """The format of a JSON's content, or None."""
    if isinstance(content, list):
        entries = content
    elif not isinstance(content, dict):
        return None
    elif "shapes" in content and "_via_settings" not in content:
        return "labelme"
    elif "_via_img_metadata" in content:
        return "via"
    elif "images" in content and ("annotations" in content or "categories" in content):
        images = content["images"]
        first = images[0] if isinstance(images, list) and images else {}
        of_lvis = isinstance(first, dict) and "neg_category_ids" in first
        return "lvis" if of_lvis else "coco"
    else:
        entries = list(content.values())
    with_regions = (isinstance(each, dict) and "regions" in each for each in entries[:_SNIFFED])
    return "via" if any(with_regions) else None


def xml_format(path):
    """The format of an XML file, or None."""
    try:
        root = ElementTree.fromstring(path.read_bytes().lstrip())
    except (ElementTree.ParseError, OSError, ValueError):
        return None
    if root.tag == "annotations":
        return "cvat"
    if root.tag != "annotation":
        return None
    is_drawn = root.find("object/polygon/pt") is not None and root.find("object/bndbox") is None
    return "labelme" if is_drawn else "voc"


def _of_file(path):
    suffix = path.suffix.lower()
    if is_record_file(path):
        return RECORDS
    if suffix == ".json":
        return "supervisely" if path.name == "meta.json" else json_format(files.load_json(path))
    if suffix == ".xml":
        return xml_format(path)
    if suffix in (".yaml", ".yml", ".data"):
        return "yolo"
    if suffix in (".csv", ".tsv", ".txt"):
        return _csv_format(path)
    return None


def _csv_format(path):
    """The format of a table by its header."""
    line = next(iter(files.read_text(path).splitlines()), "")
    header = {cell.strip().lower().lstrip("#") for cell in next(csv.reader(io.StringIO(line)), [])}
    if "region_shape_attributes" in header:
        return "via"
    if {"imageid", "labelname"} <= header:
        raise AnnotationError(
            f"{path} is of Open Images, which is several tables: convert it with "
            "create_oid_tf_record (docs/datasets.md), then give the records"
        )
    return "csv"


def _of_folder(folder):
    """The format of a folder, or None; what is peculiar to one format first."""
    if any(is_record_file(path) for path in _in_splits(folder)):
        return RECORDS
    if (folder / "meta.json").is_file():
        return "supervisely"
    if next(folder.rglob("*_instanceIds.png"), None):
        return "cityscapes"
    if (folder / "annotations" / "trimaps").is_dir():
        return "pets"
    if next(folder.glob("**/label_2"), None):
        return "kitti"
    xmls = files.walk(folder, {".xml"})[:_SNIFFED]
    kinds = [kind for kind in map(xml_format, xmls) if kind]
    if "voc" in kinds:
        return "voc_masks" if _has_color_masks(folder) else "voc"
    if _is_yolo(folder):
        return "yolo"
    if not kinds and any(path.is_dir() for path in folder.rglob("SegmentationObject*")):
        return "voc"  # masks are all there is, as CVAT and labelme export them
    jsons = (json_format_of(path) for path in files.walk(folder, {".json"})[:_SNIFFED])
    detected = next(filter(None, [*jsons, *kinds]), None)
    if detected:
        return detected
    if next(filter(lambda each: each.is_dir(), folder.rglob("masks")), None):
        return "instance_folders"
    tables = files.walk(folder, {".csv"})
    return _csv_format(tables[0]) if tables else None


def _in_splits(folder):
    """What is in a folder, and in those of its folders that are called as splits are."""
    inner = [path for paths in files.split_folders(folder).values() for path in paths]
    return [path for each in (folder, *inner) for path in each.iterdir()]


def _has_color_masks(folder):
    """Whether a folder of xmls has one of mask images in it that is not VOC's own."""
    if next(folder.rglob("SegmentationObject*"), None):
        return False
    masks = {path.parent for path in files.walk(folder, MASK_SUFFIXES)}
    names = ("/".join(path.relative_to(folder).parts).lower() for path in masks)
    return any(word in name for name in names for word in _MASK_WORDS)


def _is_yolo(folder):
    if any((folder / name).is_file() for name in YAMLS) or next(folder.glob("*.data"), None):
        return True
    return any((folder / below / name).is_file() for below in NAMES_BELOW for name in NAMES)


def json_format_of(path: Path) -> str | None:
    """Return the format of a JSON file; None where it is none, or of no known format."""
    try:
        return json_format(files.load_json(path))
    except AnnotationError:
        return None
