"""Reads VIA, the VGG Image Annotator: JSON and CSV of versions 1 and 2, and its project files."""

import base64
import binascii
import csv
import io
import json
import math
import re
from functools import partial
from pathlib import Path
from typing import NamedTuple

from object_detection.datasets import files
from object_detection.datasets.annotations import (
    AnnotatedImage,
    AnnotatedObject,
    AnnotationSet,
    Finding,
)
from object_detection.datasets.formats import shapes
from object_detection.datasets.report import DERIVED, NOTED, SKIPPED_IMAGE, SKIPPED_OBJECT
from object_detection.errors import AnnotationError

FORM = (
    "VIA's JSON is {key: {filename, size, regions, file_attributes}}, or a project with "
    "'_via_img_metadata'"
)
CLASS_ATTRIBUTES = (  # likely names of the attribute that says the class, the likeliest first
    "class class_name classname class_id category category_name label labels type object_type "
    "object object_name name species"
).split()
UNSET = ("", "undefined")  # VIA's words for an attribute that nobody has set
LONGEST_FIELD = 2**31 - 1  # of a CSV; Python's own limit is 131,072, less than some polygons


class _Photo(NamedTuple):
    """One image as the file has it."""

    filename: str  # of foreign files anything at all
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
    findings = []
    if by_json:
        photos, options = _of_json(path, text, findings)
    else:
        photos, options = _of_csv(text, path, findings), {}
    attributes = [each for photo in photos for _, _, each in photo.regions]
    attribute = _class_attribute(
        attributes, options, class_attribute, class_name, path=path, findings=findings
    )
    folder = files.ImageFolder(image_dir or path.parent)
    images = []
    for place, photo in enumerate(photos):
        fault = files.name_fault(photo.filename)
        if fault is None and not files.name_parts(photo.filename):
            fault = "the file name is empty"
        if fault:
            key = f"{path.name} entry {place + 1}: {files.shortened(photo.filename)}"
            findings.append(Finding(SKIPPED_IMAGE, fault, key))
            continue
        images.append(_image(photo, folder, attribute, class_name, findings))
    findings += folder.findings()
    return AnnotationSet(str(path), shapes.categories(images), tuple(images), tuple(findings))


def _of_json(path, text, findings):
    """The `_Photo`s of a JSON, and its attributes' kinds by name."""
    try:
        content = files.load_json(path)
    except AnnotationError:
        mended = _without_undefined(text)
        if mended == text:
            raise
        content = files.parse_json(mended, path)
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
    if isinstance(entries, dict):
        entries = [entry for key, entry in entries.items() if not key.startswith("_via_")]
    entries = entries if isinstance(entries, list) else []
    photos = [
        _photo(entry, str(folder)) if isinstance(entry, dict) and "filename" in entry else None
        for entry in entries
    ]
    if entries and not any(photos):
        raise AnnotationError(f"{path}: no entry has a filename. {FORM}")
    for place, photo in enumerate(photos):
        if photo is None:
            key = f"{path.name} entry {place + 1}: {files.shortened(entries[place])}"
            findings.append(Finding(SKIPPED_IMAGE, "the entry has no file name", key))
    return [photo for photo in photos if photo], options


def _photo(entry, folder):
    regions = entry.get("regions")
    if isinstance(regions, list):
        regions = dict(enumerate(regions))
    named = regions.items() if isinstance(regions, dict) else ()
    read = [
        (str(name), _dict(region, "shape_attributes"), _dict(region, "region_attributes"))
        for name, region in named
    ]
    filename = entry["filename"]
    if isinstance(filename, str):
        filename = filename.strip()
    others = (folder + filename if isinstance(filename, str) else None, entry.get("fileref"))
    places = tuple(each for each in others if isinstance(each, str) and each)
    content = entry.get("base64_img_data")
    return _Photo(filename, tuple(read), places, content if isinstance(content, str) else "")


def _dict(owner, name):
    """The dict under a name, or an empty one."""
    value = owner.get(name) if isinstance(owner, dict) else None
    return value if isinstance(value, dict) else {}


def _of_csv(text, path, findings):
    """The `_Photo`s of a CSV: a row a region, a row of its own for an image without any."""
    csv.field_size_limit(LONGEST_FIELD)
    rows = csv.DictReader(io.StringIO(text.replace("\0", "\N{REPLACEMENT CHARACTER}"), newline=""))
    try:
        return _rows(rows, path, findings)
    except csv.Error as error:
        raise AnnotationError(f"{path}, line {rows.line_num}: {error}") from None


def _rows(rows, path, findings):
    header = [str(name).strip().lstrip("#") for name in rows.fieldnames or ()]
    if not {"filename", "region_shape_attributes"} <= set(header):
        raise AnnotationError(
            f"{path}: {FORM}; its CSV has the columns filename and region_shape_attributes"
        )
    rows.fieldnames = header
    regions, key_of = {}, {}
    for row in rows:
        filename = (row["filename"] or "").strip()
        key = filename, row.get("file_size")
        listed = regions.setdefault(key, [])
        key_of.setdefault(key, filename)
        try:
            shape = _json_dict(row["region_shape_attributes"])
            attributes = _json_dict(row.get("region_attributes")) if shape else {}
        except AnnotationError as fault:
            where = f"{path.name} line {rows.line_num}"
            findings.append(Finding(SKIPPED_OBJECT, str(fault), where))
            continue
        if shape:
            listed.append((str(row.get("region_id") or len(listed)), shape, attributes))
    return [_Photo(key_of[key], tuple(listed)) for key, listed in regions.items()]


def _json_dict(text):
    """The dict in a cell, an empty one where the cell is empty; raises `AnnotationError`."""
    text = text or "{}"
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        try:
            value = json.loads(_without_undefined(text), parse_int=float)
        except (ValueError, RecursionError) as error:
            raise AnnotationError(f"{str(error)[:80]} in {files.shortened(text)}") from None
    return value if isinstance(value, dict) else {}


def _without_undefined(text):
    """VIA's JSON with `null` for JavaScript's bare `undefined`, which VIA writes of what is unset.

    Texts in quotes are left as they are.
    """
    return re.sub(
        r'("(?:[^"\\]|\\.)*")|\bundefined\b',
        lambda match: match[1] or "null",
        text,
        flags=re.DOTALL,
    )


def _class_attribute(attributes, options, requested, class_name, *, path, findings):
    """The name of the region attribute that says the class; None: none does.

    Args:
        attributes: the attributes of every region.
        options: attribute -> kind ('dropdown', 'radio', 'checkbox', 'text'), as far as stated.
        requested: by the user, or None.
        class_name: of regions without a class, or None.
        path: of the file.
        findings: takes in a guess.

    Raises:
        AnnotationError: no region has the one wanted; or no attribute says a class, and there is
            no `class_name`.
    """
    stated = {}
    for each in attributes:
        for name, value in each.items():
            if _values(value):
                stated.setdefault(name, []).append(value)
    names = ", ".join(f"'{name}'" for name in stated) or "none"
    if requested:
        if attributes and requested not in stated:
            raise AnnotationError(f"{path}: no region has '{requested}'; they have {names}")
        return requested

    def likelihood(name):
        word = name.strip().lower().replace(" ", "_")
        known = CLASS_ATTRIBUTES.index(word) if word in CLASS_ATTRIBUTES else len(CLASS_ATTRIBUTES)
        is_choice = options.get(name) in ("dropdown", "radio")
        distinct = len({str(value) for value in stated[name]})
        return known, not is_choice, -len(stated[name]), distinct

    best = min((name for name in stated if not shapes.is_flag(name)), key=likelihood, default=None)
    if best is None:
        if attributes and not class_name:
            raise AnnotationError(
                f"{path}: no region says its class (attributes: {names}); "
                "name the class of all regions with --class_name"
            )
        return None
    if len(stated) > 1:
        reason = f"the class is taken to be region attribute '{best}', of {names}"
        findings.append(Finding(NOTED, reason, path.name))
    return best


def _values(value):
    """The classes a value names: one, or the ticked ones of a checkbox."""
    if isinstance(value, dict):
        names = [str(name).strip() for name, ticked in value.items() if shapes.is_ticked(ticked)]
        return [name for name in names if name not in UNSET]
    if value is None or isinstance(value, bool | list):
        return []
    word = str(value).strip()
    return [word] if word not in UNSET else []


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
        objects.append(shapes.attempt(make, key, findings))
    missed = None if encoded else folder.path(photo.filename)
    return AnnotatedImage(bare, name, name, tuple(filter(None, objects)), path or missed, encoded)


def _embedded(text):
    try:
        return base64.b64decode(text.partition("base64,")[2] or text)
    except (ValueError, binascii.Error):
        return None


def _object(key, shape, attributes, attribute, class_name, findings):
    """One region as an `AnnotatedObject`; raises `AnnotationError`."""
    kind = str(shape.get("name") or "").lower()
    box, mask = _shape(kind, shape)
    classes = _values(attributes.get(attribute)) or ([class_name] if class_name else [])
    if not classes:
        stated = attributes.get(attribute)
        unset = f" ({stated!r})" if isinstance(stated, str) and stated.strip() else ""
        raise AnnotationError(f"the region attribute '{attribute}' says no class{unset}")
    if len(classes) > 1:
        raise AnnotationError(f"the region attribute '{attribute}' says {len(classes)} classes")
    if box:
        findings.append(Finding(DERIVED, shapes.BOX_AS_MASK, key))
    label = shapes.class_name(classes[0], "no class")
    return AnnotatedObject(key, label, box, mask, **shapes.flags_of(attributes))


def _shape(kind, shape):
    """The box, for a rectangle, and the mask of a region; raises `AnnotationError`."""

    def numbers(*names):
        return [shapes.number(shape.get(name)) for name in names]

    if kind == "rect":
        x, y, width, height = numbers("x", "y", "width", "height")
        box = shapes.box_of([(x, y), (x + width, y + height)])
        return box, shapes.rectangle(box)
    if kind == "circle":
        x, y, radius = numbers("cx", "cy", "r")
        return None, shapes.ellipse(x, y, radius, radius)
    if kind == "ellipse":
        angle = math.degrees(shapes.number(shape.get("theta") or 0))  # VIA 2: radians, clockwise
        return None, shapes.ellipse(*numbers("cx", "cy", "rx", "ry"), angle)
    if kind in ("polygon", "polyline"):
        xs, ys = (shape.get(f"all_points_{axis}") or [] for axis in "xy")
        if not (isinstance(xs, list) and isinstance(ys, list)):
            raise AnnotationError(f"the points of the {kind} are not lists")
        if len(xs) != len(ys):
            raise AnnotationError(f"a {kind} of {len(xs)} x and {len(ys)} y")
        points = list(zip(xs, ys, strict=True))
        if kind == "polyline" and (len(points) < 4 or points[0] != points[-1]):
            raise AnnotationError("a polyline that is not closed has no area")
        return None, shapes.polygon(points)
    if kind == "point":
        raise AnnotationError("a point has no area")
    raise AnnotationError(f"VIA's shapes do not include '{kind}'")
