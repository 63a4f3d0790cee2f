"""Reads CVAT's own XML, version 1.1: "CVAT for images" and "CVAT for video"."""

from functools import partial
from pathlib import Path

from object_detection.annotations import cvat_shapes, cvat_tracks, drawn, files
from object_detection.annotations.record import (
    AnnotatedImage,
    AnnotationError,
    AnnotationSet,
    Finding,
)
from object_detection.annotations.report import NOTED, SKIPPED_IMAGE

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
    findings, labels, subsets = [], set(), {}
    roots = _roots(files.annotation_files(annotations_file, ".xml"), findings)
    for path, root in roots:
        labels |= _labels(root)
        folder = files.ImageFolder(image_dir or path.parent)
        prefix = files.relative_name(path.parent, annotations_file) if len(roots) > 1 else "."
        images = [*_images(root, folder, findings), *cvat_tracks.frames(root, folder, findings)]
        findings += folder.findings()
        for subset, image in images:
            if prefix != "." and not image_dir:  # tasks may call their images alike
                name = f"{prefix}/{image.filename}"
                image = image._replace(source_id=name, filename=name)
            subsets.setdefault(subset, []).append(image)
    if not subsets:
        raise AnnotationError(f"{annotations_file}: no XML of CVAT with an image is there")
    everything = [image for images in subsets.values() for image in images]
    categories = drawn.categories(everything, labels)
    sets = {}
    for subset in sorted(subsets):
        own = tuple(findings) if not sets else ()  # once; they name their images
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


def _labels(root):
    """The names of the labels that can have an area; parts of skeletons have none."""
    return {
        label.findtext("name", "").strip()
        for label in root.iterfind("meta//labels/label")
        if label.findtext("parent") is None
        and label.findtext("type", "any").strip() not in LABELS_WITHOUT_AREA
        and label.findtext("name", "").strip()
    }


def _images(root, folder, findings):
    """(subset, `AnnotatedImage`) of each <image>."""
    for place, element in enumerate(root.iterfind("image")):
        name = element.get("name") or ""
        subset = (element.get("subset") or "").strip()
        if not name:
            reason = "the image has no name"
            findings.append(Finding(SKIPPED_IMAGE, reason, f"image {element.get('id', place)}"))
            continue
        members = []
        for number, shape in enumerate(element):
            if shape.tag == "tag":
                reason = "a tag on the image is no object: left out"
                findings.append(Finding(NOTED, reason, name))
                continue
            key = f"{name} {shape.tag} {number + 1}"
            make = partial(cvat_shapes.as_object, shape, shape.get("label"), key, findings)
            found = drawn.attempt(make, key, findings)
            if found:
                members.append((cvat_shapes.group(shape), found))
        path = _path(folder, name, subset)
        where = files.relative_name(path, folder.root)
        size = [_whole(element.get(side)) for side in ("height", "width")]
        yield (
            subset,
            AnnotatedImage(
                key=name,
                source_id=where,
                filename=where,
                objects=drawn.grouped(members),
                path=path,
                stated_size=tuple(size) if all(size) else None,
            ),
        )


def _path(folder, name, subset):
    """Where an image lies: CVAT's exports have `images`, in it perhaps the subsets."""
    for place in (f"images/{subset}/{name}", f"images/{name}", f"{subset}/{name}"):
        if (folder.root / place).is_file():
            return folder.root / place
    return folder.find(name) or folder.find(f"images/{subset}/{name}") or _missed(folder, name)


def _missed(folder, name):
    images = folder.root / "images"
    return Path(images if images.is_dir() else folder.root).joinpath(*files.name_parts(name))


def _whole(text):
    try:
        return round(float(text))
    except (TypeError, ValueError, OverflowError):
        return None
