"""The shapes of CVAT's XML as objects."""

from object_detection.client import run_lengths
from object_detection.datasets import drawn, mask_png
from object_detection.datasets.drawn import NoObject
from object_detection.datasets.record import AnnotatedObject, EncodedBitmap, Finding
from object_detection.datasets.report import DERIVED

WITHOUT_AREA = ("points", "polyline", "skeleton", "cuboid")
TURNED = "a turned box: the upright box around it is written"


def as_object(shape, label, key, findings):
    """One shape as an `AnnotatedObject`.

    Args:
        shape: element of an image or a track.
        label: its class; a track has it.
        key: what a report calls it.
        findings: takes in what is to be told.

    Raises:
        NoObject: it has no area or no label, or numbers that are none.
    """
    if shape.tag in WITHOUT_AREA:
        raise NoObject(f"a shape of type '{shape.tag}' has no area")
    label = drawn.class_name(label, "the shape has no label")
    if shape.tag not in _SHAPES:
        raise NoObject(f"CVAT's shapes do not include '{shape.tag}'")
    box, mask = _SHAPES[shape.tag](shape)
    if shape.tag == "box":
        findings.append(Finding(DERIVED, drawn.BOX_AS_MASK if box else TURNED, key))
    stated = {each.get("name", ""): each.text or "" for each in shape.iterfind("attribute")}
    occluded = (("occluded", 1),) if drawn.is_ticked(shape.get("occluded")) else ()
    return AnnotatedObject(key, label, box, mask, attributes=occluded, **drawn.flags_of(stated))


def group(shape):
    """The group a shape belongs to, or None; CVAT writes 0 for none."""
    number = (shape.get("group_id") or "").strip()
    return number if number not in ("", "0") else None


def _numbers(shape, *names):
    return [drawn.number(shape.get(name)) for name in names]


def _degrees(shape):
    return drawn.number(shape.get("rotation") or 0)


def _box(shape):
    xmin, ymin, xmax, ymax = _numbers(shape, "xtl", "ytl", "xbr", "ybr")
    box = drawn.box_of([(xmin, ymin), (xmax, ymax)])
    degrees = _degrees(shape)
    return (None if degrees % 360 else box), drawn.rectangle(box, degrees)


def _polygon(shape):
    points = (shape.get("points") or "").split(";")
    return None, drawn.polygon([point.split(",") for point in points if point.strip()])


def _ellipse(shape):
    return None, drawn.ellipse(*_numbers(shape, "cx", "cy", "rx", "ry"), _degrees(shape))


def _mask(shape):
    """Run lengths along the rows of a piece of the image, zeros first."""
    left, top, width, height = (round(n) for n in _numbers(shape, "left", "top", "width", "height"))
    stated = (shape.get("rle") or "").replace(",", " ").split()
    try:
        runs = run_lengths.check(height, width, stated)
    except run_lengths.RunLengthError as fault:
        raise NoObject(f"the mask cannot be read: {fault}") from None
    pixels = run_lengths.unpack(runs.counts).reshape(height, width).view("uint8")
    return None, EncodedBitmap(mask_png.encode(pixels), top, left)


_SHAPES = {"box": _box, "polygon": _polygon, "ellipse": _ellipse, "mask": _mask}
