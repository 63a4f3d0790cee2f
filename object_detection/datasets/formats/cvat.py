"""Reads CVAT's own XML, version 1.1: "CVAT for images" and "CVAT for video"."""

import os
import re
from collections import defaultdict
from functools import partial
from pathlib import Path

from object_detection.datasets import files, mask_png
from object_detection.datasets.annotations import (
    AnnotatedImage,
    AnnotatedObject,
    AnnotationSet,
    EncodedBitmap,
    Finding,
)
from object_detection.datasets.formats import shapes
from object_detection.datasets.report import DERIVED, NOTED, SKIPPED_IMAGE
from object_detection.errors import AnnotationError, MaskError
from object_detection.structures import run_lengths

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
    labels, subsets, about = set(), {}, defaultdict(list)  # subset -> images, findings
    findings = []  # of no subset
    roots = _roots(files.annotation_files(annotations_file, ".xml"), findings)
    for path, root in roots:
        labels |= _labels(root, findings)
        folder = files.ImageFolder(image_dir or path.parent)
        prefix = files.relative_name(path.parent, annotations_file) if len(roots) > 1 else "."
        images = [*_images(root, folder, about, findings), *_frames(root, folder, about, findings)]
        findings += folder.findings()
        for subset, image in images:
            if prefix != "." and not image_dir:  # tasks may call their images alike
                name = f"{prefix}/{image.filename}"
                image = image._replace(source_id=name, filename=name)
            subsets.setdefault(subset, []).append(image)
    if not subsets:
        first = "".join(f": {finding.key}: {finding.reason}" for finding in findings[:1])
        raise AnnotationError(f"{annotations_file}: no XML of CVAT with an image is there{first}")
    everything = [image for images in subsets.values() for image in images]
    categories = shapes.categories(everything, labels)
    sets = {}
    for subset in sorted(subsets):
        own = (*(() if sets else findings), *about[subset])
        source = f"{annotations_file} {subset}".strip()
        sets[subset] = AnnotationSet(source, categories, tuple(subsets[subset]), own)
    return sets


def _roots(paths, findings):
    """(path, root element) of each XML of CVAT; what the others are goes to `findings`.

    Raises:
        AnnotationError: only files of other formats are there.
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
            labels.add(shapes.class_name(label.findtext("name"), "the label has no name"))
        except AnnotationError as fault:
            findings.append(Finding(NOTED, str(fault), f"label {place + 1}"))
    return labels


def _images(root, folder, about, findings):
    """(subset, `AnnotatedImage`) of each <image>; what it has wrong goes to `about` by subset."""
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
                objects=shapes.grouped(_members(element, name, about[subset])),
                path=path,
                stated_size=shapes.size_of(element.get("height"), element.get("width")),
            ),
        )


def _members(element, name, findings):
    """(group, object) of each shape of an <image>."""
    for number, shape in enumerate(element):
        if shape.tag == "tag":
            findings.append(Finding(NOTED, "a tag on the image is no object: left out", name))
            continue
        key = f"{name} {shape.tag} {number + 1}"
        make = partial(_shape_object, shape, shape.get("label"), key, findings)
        annotated = shapes.attempt(make, key, findings)
        if annotated:
            yield _group_of(shape), annotated


def _frames(root, folder, about, findings):
    """(subset, `AnnotatedImage`) of each frame of a video whose tracks are of a usable subset."""
    for subset, image in _track_frames(root, folder, about):
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


WITHOUT_AREA = ("points", "polyline", "skeleton", "cuboid")
TURNED = "a turned box: the upright box around it is written"


def _shape_object(shape, label, key, findings):
    """One shape as an `AnnotatedObject`.

    Args:
        shape: element of an image or a track.
        label: its class; a track has it.
        key: what a report calls it.
        findings: takes in what is to be told.

    Raises:
        AnnotationError: no area, no label, or a coordinate that is not a number.
    """
    if shape.tag in WITHOUT_AREA:
        raise AnnotationError(f"a shape of type '{shape.tag}' has no area")
    label = shapes.class_name(label, "the shape has no label")
    if shape.tag not in _SHAPES:
        raise AnnotationError(f"CVAT's shapes do not include '{shape.tag}'")
    box, mask = _SHAPES[shape.tag](shape)
    if shape.tag == "box":
        findings.append(Finding(DERIVED, shapes.BOX_AS_MASK if box else TURNED, key))
    stated = {each.get("name", ""): each.text or "" for each in shape.iterfind("attribute")}
    occluded = (("occluded", 1),) if shapes.is_ticked(shape.get("occluded")) else ()
    return AnnotatedObject(key, label, box, mask, attributes=occluded, **shapes.flags_of(stated))


def _group_of(shape):
    """The group a shape belongs to, or None; CVAT writes 0 for none."""
    number = (shape.get("group_id") or "").strip()
    return number if number not in ("", "0") else None


def _numbers(shape, *names):
    return [shapes.number(shape.get(name)) for name in names]


def _degrees(shape):
    return shapes.number(shape.get("rotation") or 0)


def _box(shape):
    xmin, ymin, xmax, ymax = _numbers(shape, "xtl", "ytl", "xbr", "ybr")
    box = shapes.box_of([(xmin, ymin), (xmax, ymax)])
    degrees = _degrees(shape)
    return (None if degrees % 360 else box), shapes.rectangle(box, degrees)


def _polygon(shape):
    points = (shape.get("points") or "").split(";")
    return None, shapes.polygon([point.split(",") for point in points if point.strip()])


def _ellipse(shape):
    return None, shapes.ellipse(*_numbers(shape, "cx", "cy", "rx", "ry"), _degrees(shape))


def _mask(shape):
    """Run lengths along the rows of a piece of the image, zeros first."""
    left, top, width, height = (round(n) for n in _numbers(shape, "left", "top", "width", "height"))
    stated = (shape.get("rle") or "").replace(",", " ").split()
    try:
        runs = run_lengths.check(height, width, stated)
    except MaskError as fault:
        raise AnnotationError(f"the mask cannot be read: {fault}") from None
    pixels = run_lengths.unpack(runs.counts).reshape(height, width).view("uint8")
    return None, EncodedBitmap(mask_png.encode(pixels), top, left)


_SHAPES = {"box": _box, "polygon": _polygon, "ellipse": _ellipse, "mask": _mask}


INTERPOLATED = {  # attributes that move evenly between two keyframes
    "box": ("xtl", "ytl", "xbr", "ybr"),
    "ellipse": ("cx", "cy", "rx", "ry"),
}
MOST_UNSEEN = 10_000  # frames between two keyframes, or of a task, without looking for images
DIGITS = 7  # of a frame's number; more is a broken one, and would be counted through
BETWEEN = "not stated between two keyframes: moved evenly from one to the other"


def _track_frames(root, folder, about):
    """(subset, `AnnotatedImage`) of each frame of the video, in order; nothing without tracks.

    Args:
        root: the XML's <annotations>.
        folder: `ImageFolder` of the frames. A frame's image is the one whose name ends in its
            number, as in `frame_000012.png`.
        about: subset -> list that takes in what is to be reported; a defaultdict.

    Of the frames that no keyframe states only those are given that have an image, where there are
    more than MOST_UNSEEN others: a broken number would be counted through.
    """
    tracks = root.findall("track")
    if not tracks:
        return
    first, last, step = _frame_range(root)
    paths = _by_number(folder)
    members, sizes = {}, _video_size(root)
    for place, track in enumerate(tracks):
        subset = (track.get("subset") or "").strip()
        findings = about[subset]
        for frame, shape in _shapes(track, step, paths):
            key = f"frame {frame} track {track.get('id', place)}"
            listed = members.setdefault((subset, frame), [])
            if shapes.is_ticked(shape.get("outside")):
                continue
            make = partial(_shape_object, shape, track.get("label"), key, findings)
            annotated = shapes.attempt(make, key, findings)
            if annotated:
                listed.append((_group_of(track), annotated))
                if shape.get("between"):
                    findings.append(Finding(DERIVED, BETWEEN, key))
    if len({subset for subset, _ in members}) == 1 and first is not None:
        (subset,) = {subset for subset, _ in members}
        for frame in _seen(first, last + 1, step, paths):
            members.setdefault((subset, frame), [])
    for (subset, frame), listed in sorted(members.items()):
        name = f"frame_{frame:06d}"
        numbered = paths.get(frame, [])
        named = [path for path in numbered if path.stem.lower() == name] or numbered
        path = named[0] if len(named) == 1 else folder.root / f"{name}.png"
        where = files.relative_name(path, folder.root)
        yield (
            subset,
            AnnotatedImage(where, where, where, shapes.grouped(listed), path, stated_size=sizes),
        )


def _frame_range(root):
    """First and last frame of the task (None: not stated), and the step between frames."""
    step = re.search(r"step\s*=\s*([0-9]{1,6})", root.findtext("meta//frame_filter") or "")
    try:
        first, last = (int(root.findtext(f"meta//{name}_frame")) for name in ("start", "stop"))
    except (TypeError, ValueError):
        first, last = None, None
    if last is not None and last - first >= 10**DIGITS:
        first, last = None, None
    return first, last, max(int(step[1]), 1) if step else 1


def _video_size(root):
    """The (height, width) of the video, or None."""
    sides = (root.findtext(f"meta//original_size/{side}") for side in ("height", "width"))
    return shapes.size_of(*sides)


def _by_number(folder):
    """Number at the end of an image's name -> its paths."""
    numbered = {}
    for path in folder.paths():
        number = re.search(r"([0-9]+)$", path.stem)
        if number and len(number[1].lstrip("0")) <= DIGITS:
            numbered.setdefault(int(number[1]), []).append(path)
    return numbered


def _seen(first, end, step, paths):
    """The frames from one on before another; of very many only those with an image."""
    frames = range(first, end, step)
    if len(frames) <= MOST_UNSEEN:
        return frames
    return sorted(number for number in paths if number in frames)


def _shapes(track, step, paths):
    """(frame, shape) of a track in order, also of the frames between its keyframes."""
    stated = sorted(
        ((int(shape.get("frame")), shape) for shape in track if _has_frame(shape)),
        key=lambda pair: pair[0],
    )
    for place, (frame, shape) in enumerate(stated):
        yield frame, shape
        following = stated[place + 1 : place + 2]
        if following and not shapes.is_ticked(shape.get("outside")):
            (end, later), *_ = following
            for between in _seen(frame + step, end, step, paths):
                yield between, _moved(shape, later, (between - frame) / (end - frame))


def _has_frame(shape):
    frame = (shape.get("frame") or "").strip()
    return shape.tag != "track" and frame.isdecimal() and len(frame) < DIGITS


def _moved(shape, later, share):
    """A shape on its way to a later one of its track; one that cannot move stays where it is."""
    moved = shape.makeelement(shape.tag, {**shape.attrib, "between": "1"})
    moved.extend(shape)
    if later.tag != shape.tag or shapes.is_ticked(later.get("outside")):
        return moved
    here, there = ((each.get("points") or "").split(";") for each in (shape, later))
    try:
        for name in INTERPOLATED.get(shape.tag, ()):
            moved.set(name, _on_the_way(shape.get(name), later.get(name), share))
        if len(here) == len(there) > 1:
            pairs = zip(here, there, strict=True)
            moved.set("points", ";".join(_point_on_the_way(*pair, share) for pair in pairs))
    except AnnotationError:
        pass  # the keyframe with the broken number is named anyway
    return moved


def _point_on_the_way(here, there, share):
    return ",".join(
        _on_the_way(a, b, share) for a, b in zip(here.split(","), there.split(","), strict=False)
    )


def _on_the_way(here, there, share):
    return repr((1 - share) * shapes.number(here) + share * shapes.number(there))
