"""Reads VIA, the VGG Image Annotator: JSON and CSV of versions 1 and 2, and its project files."""

import base64
import binascii
import csv
import io
import json
import math
from functools import partial
from pathlib import Path
from typing import NamedTuple

from object_detection.annotations import drawn, files
from object_detection.annotations.drawn import NoObject
from object_detection.annotations.record import (
    AnnotatedImage,
    AnnotatedObject,
    AnnotationError,
    AnnotationSet,
    Finding,
)
from object_detection.annotations.report import DERIVED, NOTED, SKIPPED_IMAGE

FORM = (
    "VIA's JSON is {key: {filename, size, regions, file_attributes}}, or a project with "
    "'_via_img_metadata'"
)
CLASS_ATTRIBUTES = (  # likely names of the attribute that says the class, the likeliest first
    "class class_name classname class_id category category_name label labels type object_type "
    "object object_name name species"
).split()
LONGEST_FIELD = 2**31 - 1  # of a CSV; Python's own limit is 131,072, less than some polygons


class _Photo(NamedTuple):
    """One image as the file has it."""

    filename: str
    regions: tuple[tuple[str, dict, dict], ...]  # name, shape, attributes
    places: tuple[str, ...] = ()  # further names under which it may lie
    content: str = ""  # the image itself in base64


def read(annotations_file, image_dir=None, *, class_attribute=None, class_name=None):
    """Reads one file of VIA.

    Args:
        annotations_file: JSON or CSV of annotations, or a project.
        image_dir: folder of the images; None: that of the file.
        class_attribute: region attribute that says the class; None: the likeliest.
        class_name: class of the regions whose attributes say none; None: these are left out.

    Returns:
        An `AnnotationSet`, images in the order of the file.

    Raises:
        AnnotationError: not VIA's form, or nothing says the classes.
    """
    path = Path(annotations_file)
    text = files.read_text(path)
    by_json = text.lstrip()[:1] in ("{", "[")
    photos, options = _of_json(path) if by_json else (_of_csv(text, path), {})
    findings = []
    attributes = [each for photo in photos for _, _, each in photo.regions]
    attribute = _class_attribute(
        attributes, options, class_attribute, class_name, path=path, findings=findings
    )
    folder = files.ImageFolder(image_dir or path.parent)
    images = []
    for photo in photos:
        if files.name_parts(photo.filename):
            images.append(_image(photo, folder, attribute, class_name, findings))
        else:
            findings.append(Finding(SKIPPED_IMAGE, "an entry without a file name", path.name))
    findings += folder.findings()
    return AnnotationSet(str(path), drawn.categories(images), tuple(images), tuple(findings))


def _of_json(path):
    """The `_Photo`s of a JSON, and its attributes' kinds by name."""
    content = files.load_json(path)
    if not isinstance(content, dict):
        raise AnnotationError(f"{path}: {FORM}")
    if {"project", "file", "metadata"} <= content.keys():
        raise AnnotationError(f"{path} is of VIA 3; of it, export COCO json, or use VIA 2")
    entries, folder, options = content, "", {}
    if "_via_img_metadata" in content:
        entries = content["_via_img_metadata"]
        folder = _dict(_dict(content, "_via_settings"), "core").get("default_filepath") or ""
        stated = _dict(_dict(content, "_via_attributes"), "region")
        options = {name: str(_dict(stated, name).get("type")) for name in stated}
    entries = list(entries.values()) if isinstance(entries, dict) else entries
    photos = [
        _photo(entry, str(folder))
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, dict) and "filename" in entry
    ]
    if entries and not photos:
        raise AnnotationError(f"{path}: no entry has a filename. {FORM}")
    return photos, options


def _photo(entry, folder):
    regions = entry.get("regions")
    if isinstance(regions, list):
        regions = dict(enumerate(regions))
    named = regions.items() if isinstance(regions, dict) else ()
    read = [
        (str(name), _dict(region, "shape_attributes"), _dict(region, "region_attributes"))
        for name, region in named
    ]
    filename = str(entry["filename"] or "").strip()
    places = tuple(filter(None, (folder + filename, str(entry.get("fileref") or ""))))
    content = entry.get("base64_img_data")
    return _Photo(filename, tuple(read), places, content if isinstance(content, str) else "")


def _dict(owner, name):
    """The dict under a name, or an empty one."""
    value = owner.get(name) if isinstance(owner, dict) else None
    return value if isinstance(value, dict) else {}


def _of_csv(text, path):
    """The `_Photo`s of a CSV: a row a region, a row of its own for an image without any."""
    csv.field_size_limit(LONGEST_FIELD)
    rows = csv.DictReader(io.StringIO(text))
    header = [str(name).strip().lstrip("#") for name in rows.fieldnames or ()]
    if not {"filename", "region_shape_attributes"} <= set(header):
        raise AnnotationError(
            f"{path}: {FORM}; its CSV has the columns filename and region_shape_attributes"
        )
    rows.fieldnames = header
    regions, key_of = {}, {}
    for row in rows:
        key = row["filename"], row.get("file_size")
        listed = regions.setdefault(key, [])
        key_of.setdefault(key, row["filename"])
        shape = _json_dict(row["region_shape_attributes"], path, rows.line_num)
        if shape:
            attributes = _json_dict(row.get("region_attributes"), path, rows.line_num)
            listed.append((str(row.get("region_id") or len(listed)), shape, attributes))
    return [_Photo(key_of[key], tuple(listed)) for key, listed in regions.items()]


def _json_dict(text, path, line):
    try:
        value = json.loads(text or "{}")
    except json.JSONDecodeError as error:
        raise AnnotationError(f"{path}, line {line}: {error.msg} in {text[:60]!r}") from None
    return value if isinstance(value, dict) else {}


def _class_attribute(attributes, options, wanted, class_name, *, path, findings):
    """The name of the region attribute that says the class; None: none does.

    Args:
        attributes: the attributes of every region.
        options: attribute -> kind ('dropdown', 'radio', 'checkbox', 'text'), as far as stated.
        wanted: by the user, or None.
        class_name: of regions without a class, or None.
        path: of the file.
        findings: takes in a guess.

    Raises:
        AnnotationError: no region has the one wanted; or no attribute says a class, and there is
            no `class_name`.
    """
    said = {}
    for each in attributes:
        for name, value in each.items():
            if _values(value):
                said.setdefault(name, []).append(value)
    names = ", ".join(f"'{name}'" for name in said) or "none"
    if wanted:
        if attributes and wanted not in said:
            raise AnnotationError(f"{path}: no region has '{wanted}'; they have {names}")
        return wanted

    def likelihood(name):
        word = name.strip().lower().replace(" ", "_")
        known = CLASS_ATTRIBUTES.index(word) if word in CLASS_ATTRIBUTES else len(CLASS_ATTRIBUTES)
        chosen = options.get(name) in ("dropdown", "radio")
        distinct = len({str(value) for value in said[name]})
        return known, not chosen, -len(said[name]), distinct

    best = min((name for name in said if not drawn.is_flag(name)), key=likelihood, default=None)
    if best is None:
        if attributes and not class_name:
            raise AnnotationError(
                f"{path}: no region says its class (attributes: {names}); "
                "name the class of all regions with --class_name"
            )
        return None
    if len(said) > 1:
        reason = f"the class is taken to be region attribute '{best}', of {names}"
        findings.append(Finding(NOTED, reason, path.name))
    return best


def _values(value):
    """The classes a value names: one, or the ticked ones of a checkbox."""
    if isinstance(value, dict):
        return [str(name).strip() for name, ticked in value.items() if drawn.is_ticked(ticked)]
    if value is None or isinstance(value, bool | list) or not str(value).strip():
        return []
    return [str(value).strip()]


def _image(photo, folder, attribute, class_name, findings):
    names = (photo.filename, *photo.places)
    path = next(filter(None, map(folder.find, names)), None)
    encoded = _embedded(photo.content) if path is None and photo.content else None
    bare = "/".join(files.name_parts(photo.filename)) or photo.filename
    name = files.relative_name(path, folder.root) if path else bare
    objects = []
    for region, shape, attributes in photo.regions:
        key = f"{bare} region {region}"
        make = partial(_object, key, shape, attributes, attribute, class_name, findings)
        objects.append(drawn.attempt(make, key, findings))
    missed = None if encoded else folder.path(photo.filename)
    return AnnotatedImage(bare, name, name, tuple(filter(None, objects)), path or missed, encoded)


def _embedded(text):
    try:
        return base64.b64decode(text.partition("base64,")[2] or text)
    except (ValueError, binascii.Error):
        return None


def _object(key, shape, attributes, attribute, class_name, findings):
    """One region as an `AnnotatedObject`; raises `NoObject`."""
    kind = str(shape.get("name") or "").lower()
    box, mask = _shape(kind, shape)
    classes = _values(attributes.get(attribute)) or ([class_name] if class_name else [])
    if not classes:
        raise NoObject(f"the region attribute '{attribute}' says no class")
    if len(classes) > 1:
        raise NoObject(f"the region attribute '{attribute}' says {len(classes)} classes")
    if box:
        findings.append(Finding(DERIVED, drawn.BOX_AS_MASK, key))
    return AnnotatedObject(key, classes[0], box, mask, **drawn.flags_of(attributes))


def _shape(kind, shape):
    """The box, for a rectangle, and the mask of a region; raises `NoObject`."""

    def numbers(*names):
        return [drawn.number(shape.get(name)) for name in names]

    if kind == "rect":
        x, y, width, height = numbers("x", "y", "width", "height")
        box = drawn.box_of([(x, y), (x + width, y + height)])
        return box, drawn.rectangle(box)
    if kind == "circle":
        x, y, radius = numbers("cx", "cy", "r")
        return None, drawn.ellipse(x, y, radius, radius)
    if kind == "ellipse":
        angle = math.degrees(drawn.number(shape.get("theta") or 0))  # VIA 2: radians, clockwise
        return None, drawn.ellipse(*numbers("cx", "cy", "rx", "ry"), angle)
    if kind in ("polygon", "polyline"):
        xs, ys = (shape.get(f"all_points_{axis}") or [] for axis in "xy")
        if len(xs) != len(ys):
            raise NoObject(f"a {kind} of {len(xs)} x and {len(ys)} y")
        points = list(zip(xs, ys, strict=True))
        if kind == "polyline" and (len(points) < 4 or points[0] != points[-1]):
            raise NoObject("a polyline that is not closed has no area")
        return None, drawn.polygon(points)
    if kind == "point":
        raise NoObject("a point has no area")
    raise NoObject(f"VIA's shapes do not include '{kind}'")
