"""The tracks of CVAT's XML for video, frame by frame."""

import re
from functools import partial

from object_detection.datasets import cvat_shapes, drawn, files
from object_detection.datasets.drawn import NoObject
from object_detection.datasets.record import AnnotatedImage, Finding
from object_detection.datasets.report import DERIVED

NUMBERS = {  # attributes that move evenly between two keyframes
    "box": ("xtl", "ytl", "xbr", "ybr"),
    "ellipse": ("cx", "cy", "rx", "ry"),
}
MOST_UNSEEN = 10_000  # frames between two keyframes, or of a task, without looking for images
DIGITS = 7  # of a frame's number; more is a broken one, and would be counted through
BETWEEN = "not stated between two keyframes: moved evenly from one to the other"


def frames(root, folder, told):
    """(subset, `AnnotatedImage`) of each frame of the video, in order; nothing without tracks.

    Args:
        root: the XML's <annotations>.
        folder: `ImageFolder` of the frames. A frame's image is the one whose name ends in its
            number, as in `frame_000012.png`.
        told: subset -> list that takes in what is to be reported; a defaultdict.

    Of the frames that no keyframe states only those are given that have an image, where there are
    more than MOST_UNSEEN others: a broken number would be counted through.
    """
    tracks = root.findall("track")
    if not tracks:
        return
    first, last, step = _range(root)
    paths = _by_number(folder)
    members, sizes = {}, _size(root)
    for place, track in enumerate(tracks):
        subset = (track.get("subset") or "").strip()
        findings = told[subset]
        for frame, shape in _shapes(track, step, paths):
            key = f"frame {frame} track {track.get('id', place)}"
            listed = members.setdefault((subset, frame), [])
            if drawn.is_ticked(shape.get("outside")):
                continue
            make = partial(cvat_shapes.as_object, shape, track.get("label"), key, findings)
            found = drawn.attempt(make, key, findings)
            if found:
                listed.append((cvat_shapes.group(track), found))
                if shape.get("between"):
                    findings.append(Finding(DERIVED, BETWEEN, key))
    if len({subset for subset, _ in members}) == 1 and first is not None:
        (subset,) = {subset for subset, _ in members}
        for frame in _seen(first, last + 1, step, paths):
            members.setdefault((subset, frame), [])
    for (subset, frame), listed in sorted(members.items()):
        name = f"frame_{frame:06d}"
        found = paths.get(frame, [])
        chosen = [path for path in found if path.stem.lower() == name] or found
        missed = folder.root / f"{name}.png"
        path = chosen[0] if len(chosen) == 1 else missed
        where = files.relative_name(path, folder.root)
        yield (
            subset,
            AnnotatedImage(where, where, where, drawn.grouped(listed), path, stated_size=sizes),
        )


def _range(root):
    """First and last frame of the task (None: not stated), and the step between frames."""
    step = re.search(r"step\s*=\s*([0-9]{1,6})", root.findtext("meta//frame_filter") or "")
    try:
        first, last = (int(root.findtext(f"meta//{name}_frame")) for name in ("start", "stop"))
    except (TypeError, ValueError):
        first, last = None, None
    if last is not None and last - first >= 10**DIGITS:
        first, last = None, None
    return first, last, max(int(step[1]), 1) if step else 1


def _size(root):
    """The (height, width) of the video, or None."""
    sides = (root.findtext(f"meta//original_size/{side}") for side in ("height", "width"))
    return drawn.size_of(*sides)


def _by_number(folder):
    """Number at the end of an image's name -> its paths."""
    found = {}
    for path in folder.paths():
        number = re.search(r"([0-9]+)$", path.stem)
        if number and len(number[1].lstrip("0")) <= DIGITS:
            found.setdefault(int(number[1]), []).append(path)
    return found


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
        if following and not drawn.is_ticked(shape.get("outside")):
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
    if later.tag != shape.tag or drawn.is_ticked(later.get("outside")):
        return moved
    here, there = ((each.get("points") or "").split(";") for each in (shape, later))
    try:
        for name in NUMBERS.get(shape.tag, ()):
            moved.set(name, _on_the_way(shape.get(name), later.get(name), share))
        if len(here) == len(there) > 1:
            pairs = zip(here, there, strict=True)
            moved.set("points", ";".join(_point_on_the_way(*pair, share) for pair in pairs))
    except NoObject:
        pass  # the keyframe with the broken number is named anyway
    return moved


def _point_on_the_way(here, there, share):
    return ",".join(
        _on_the_way(a, b, share) for a, b in zip(here.split(","), there.split(","), strict=False)
    )


def _on_the_way(here, there, share):
    return repr((1 - share) * drawn.number(here) + share * drawn.number(there))
