"""Reads CVAT's own XML, version 1.1: "CVAT for images" and "CVAT for video"."""

import os
import re
from collections import defaultdict
from functools import partial
from pathlib import Path

from object_detection.datasets import cvat_shapes, cvat_tracks, drawn, files
from object_detection.datasets.record import AnnotatedImage, AnnotationSet, Finding
from object_detection.datasets.report import NOTED, SKIPPED_IMAGE
from object_detection.errors import AnnotationError

LONGEST_SUBSET = 100  # bytes
LABELS_WITHOUT_AREA = ("skeleton", "points", "polyline", "tag", "cuboid")


def read(annotations_file, image_dir=None):
    """Reads one XML, or every one in a folder and the folders below it.

    Args:
        annotations_file: the XML or the folder.
        image_dir: folder of the images; None: that of each XML, or `images` in it.

    Returns:
        Name of the subset ("" for images of none) -> its `AnnotationSet`. Shapes of one label and
        one `group_id` in one image are one object.

    Raises:
        AnnotationError: there is no XML of CVAT.
    """
    labels, subsets, told = set(), {}, defaultdict(list)  # subset -> images, findings
    findings = []  # of no subset
    roots = _roots(files.annotation_files(annotations_file, ".xml"), findings)
    for path, root in roots:
        labels |= _labels(root, findings)
        folder = files.ImageFolder(image_dir or path.parent)
        prefix = files.relative_name(path.parent, annotations_file) if len(roots) > 1 else "."
        images = [*_images(root, folder, told, findings), *_frames(root, folder, told, findings)]
        findings += folder.findings()
        for subset, image in images:
            if prefix != "." and not image_dir:  # tasks may call their images alike
                name = f"{prefix}/{image.filename}"
                image = image._replace(source_id=name, filename=name)
            subsets.setdefault(subset, []).append(image)
    if not subsets:
        first = "".join(f": {found.key}: {found.reason}" for found in findings[:1])
        raise AnnotationError(f"{annotations_file}: no XML of CVAT with an image is there{first}")
    everything = [image for images in subsets.values() for image in images]
    categories = drawn.categories(everything, labels)
    sets = {}
    for subset in sorted(subsets):
        own = (*(() if sets else findings), *told[subset])
        source = f"{annotations_file} {subset}".strip()
        sets[subset] = AnnotationSet(source, categories, tuple(subsets[subset]), own)
    return sets


def _roots(paths, findings):
    """(path, root element) of each XML of CVAT; what the others are goes to `findings`.

    Raises:
        AnnotationError: there are others alone.
    """
    roots, fault = [], None
    for path in paths:
        try:
            roots.append((path, _root(path)))
        except AnnotationError as error:
            fault = error
            findings.append(Finding(NOTED, str(error).replace(str(path), "the file"), path.name))
    if fault and not roots:
        raise fault
    return roots


def _root(path):
    root = files.load_xml(path)
    if root.tag != "annotations":
        raise AnnotationError(
            f"{path} begins with <{root.tag}>; XML of CVAT begins with <annotations> "
            '(export it as "CVAT for images 1.1" or "CVAT for video 1.1")'
        )
    return root


def _labels(root, findings):
    """The names of the labels that can have an area; parts of skeletons have none."""
    labels = set()
    for place, label in enumerate(root.iterfind("meta//labels/label")):
        kind = label.findtext("type", "any").strip()
        if label.findtext("parent") is not None or kind in LABELS_WITHOUT_AREA:
            continue
        try:
            labels.add(drawn.class_name(label.findtext("name"), "the label has no name"))
        except drawn.NoObject as fault:
            findings.append(Finding(NOTED, str(fault), f"label {place + 1}"))
    return labels


def _images(root, folder, told, findings):
    """(subset, `AnnotatedImage`) of each <image>; what it has wrong goes to `told` by subset."""
    for place, element in enumerate(root.iterfind("image")):
        name = element.get("name") or ""
        subset = (element.get("subset") or "").strip()
        fault = (name and files.name_fault(name)) or _subset_fault(subset)
        if not name or fault:
            key = f"image {element.get('id', place)}"
            key = f"{key}: {files.shortened(name)}" if name else key
            findings.append(Finding(SKIPPED_IMAGE, fault or "the image has no name", key))
            continue
        path = _path(folder, name, subset)
        where = files.relative_name(path, folder.root)
        yield (
            subset,
            AnnotatedImage(
                key=name,
                source_id=where,
                filename=where,
                objects=drawn.grouped(_members(element, name, told[subset])),
                path=path,
                stated_size=drawn.size_of(element.get("height"), element.get("width")),
            ),
        )


def _members(element, name, findings):
    """(group, object) of each shape of an <image>."""
    for number, shape in enumerate(element):
        if shape.tag == "tag":
            findings.append(Finding(NOTED, "a tag on the image is no object: left out", name))
            continue
        key = f"{name} {shape.tag} {number + 1}"
        make = partial(cvat_shapes.as_object, shape, shape.get("label"), key, findings)
        found = drawn.attempt(make, key, findings)
        if found:
            yield cvat_shapes.group(shape), found


def _frames(root, folder, told, findings):
    """(subset, `AnnotatedImage`) of each frame of a video whose tracks are of a usable subset."""
    for subset, image in cvat_tracks.frames(root, folder, told):
        fault = _subset_fault(subset)
        if fault:
            findings.append(Finding(SKIPPED_IMAGE, fault, image.key))
        else:
            yield subset, image


def _subset_fault(subset):
    """Why a subset cannot be a part of the records' name; None where it can."""
    if not subset:
        return None
    if subset.startswith(".") or re.search(r"[/\\\x00-\x1f]", subset) or files.name_fault(subset):
        return f"the subset {files.shortened(subset)} cannot be a part of a file name"
    if len(subset.encode(errors="surrogateescape")) > LONGEST_SUBSET:
        return f"the subset has more than {LONGEST_SUBSET} bytes"
    return None


def _path(folder, name, subset):
    """Where an image lies: CVAT's exports have `images`, in it perhaps the subsets."""
    for place in (f"images/{subset}/{name}", f"images/{name}", f"{subset}/{name}"):
        path = Path(os.path.normpath(folder.root / place))
        if files.is_file(path) and files.is_inside(path, folder.root):
            return path
    return folder.find(name) or folder.find(f"images/{subset}/{name}") or _missed(folder, name)


def _missed(folder, name):
    images = folder.root / "images"
    return Path(images if images.is_dir() else folder.root).joinpath(*files.name_parts(name))
