"""Draws the objects of an image over it, with NumPy and Pillow.

`draw` is the one function for annotated and detected objects; `draw_objects` is the layer below it,
with free labels and colors. Boxes are (ymin, xmin, ymax, xmax). A color is a name or '#rrggbb' as
Pillow reads it.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

from object_detection.structures.instances import Instances
from object_detection.structures.masks import CroppedMask

# Ordered so that neighbors differ in hue.
STANDARD_COLORS = (
    "#29b6f6", "#ff7043", "#9ccc65", "#ec407a", "#ffca28", "#7e57c2", "#26a69a", "#ffa726",
    "#5c6bc0", "#d4e157", "#ef5350", "#42a5f5", "#66bb6a", "#ab47bc", "#ffee58", "#26c6da",
    "#f06292", "#aed581", "#ff8a65", "#64b5f6", "#ba68c8", "#4db6ac", "#ffd54f", "#e57373",
    "#9575cd", "#dce775", "#4dd0e1", "#ffb74d", "#81c784", "#7986cb",
)  # fmt: skip
_MAGNIFIED_SIDE = 512  # pixels of the shorter side that small images are enlarged to, at most
_CROWDED = 8  # number of objects from which wide labels lose their class name
_SWARMING = 100  # number of objects from which labels still wider than their object are left out
_LARGE_OBJECT = 1 / 16  # of the shorter side: smaller objects get smaller lines and letters
_TITLE_HEIGHT = 20  # pixels of the title above a picture
_GAP = 4  # pixels between two pictures


class Style(NamedTuple):
    """What to draw of detections; the names are those of eval_config."""

    min_score_threshold: float = 0.5
    max_num_boxes_to_visualize: int = 20  # the best ones; 0: all
    skip_scores: bool = False
    skip_labels: bool = False
    visualize_groundtruth_boxes: bool = False  # over the detections too
    groundtruth_box_visualization_color: str = "black"  # of those

    def best(self, scores: np.ndarray) -> list[int]:
        """Return the indices of the detections to draw, best first."""
        scores = np.asarray(scores)
        best = np.argsort(-scores, kind="stable")[: self.max_num_boxes_to_visualize or None]
        return [int(k) for k in best if scores[k] >= self.min_score_threshold]


EVERYTHING = Style(min_score_threshold=-np.inf, max_num_boxes_to_visualize=0)


def draw(
    image: np.ndarray,
    instances: Instances,
    category_index: Mapping,
    style: Style = EVERYTHING,
    *,
    remarks: Sequence[str] | None = None,
    truth: Instances | None = None,
    enlarge: bool = True,
) -> np.ndarray:
    """Return a copy of an image with its objects drawn over it.

    Each class has its own color; with a label map of one class each object has. Where objects
    crowd, a name wider than its box is left out, and a legend in the corner explains the colors.

    Args:
        image: uint8 [h, w, 3].
        instances: Detections, from which the style selects the best; or annotated objects,
            which are all drawn.
        category_index: {id: {"name": ...}} or {id: name}.
        style: What to draw of detections.
        remarks: [n] texts behind the class names; then all objects are drawn. None: the score of a
            detection, "(crowd)" for annotated crowds.
        truth: Annotated objects whose boxes the style may add.
        enlarge: Whether to enlarge small images, so that labels can be read.

    Returns:
        uint8 [H, W, 3].
    """
    if remarks is None and instances.scores is None:
        remarks = ["(crowd)" if is_crowd else "" for is_crowd in instances.flags("crowd")]
    elif remarks is None:
        instances = instances.select(style.best(instances.scores))
        remarks = ["" if style.skip_scores else _percent(score) for score in instances.scores]
    large, factor = _magnify(image) if enlarge else (image, 1)
    boxes = np.asarray(instances.boxes, np.float32).reshape(-1, 4) * factor
    classes = instances.classes
    names = ["" if style.skip_labels else name_of(k, category_index) for k in classes]
    is_single = len(category_index) == 1
    colors = [color_of(n if is_single else k) for n, k in enumerate(classes)]
    labels = [f"{name} {text}".strip() for name, text in zip(names, remarks, strict=True)]
    legend = {}
    if len(names) > _CROWDED:
        font = font_for(_scale_of(large, boxes))
        for n, box in enumerate(boxes):
            if names[n] and font.getlength(labels[n]) > box[3] - box[1]:
                labels[n] = remarks[n]
                legend[names[n]] = "white" if is_single else colors[n]
            if len(names) > _SWARMING and font.getlength(labels[n]) > box[3] - box[1]:
                labels[n] = ""

    def mask_of(index):
        pixels, top, left = instances.masks.crop(index)
        pixels = pixels.repeat(factor, 0).repeat(factor, 1)
        return CroppedMask(pixels, top * factor, left * factor)

    masks = None if instances.masks is None else mask_of
    picture = draw_objects(large, boxes, labels, colors, masks, legend=legend)
    if style.visualize_groundtruth_boxes and truth is not None:
        boxes = np.asarray(truth.boxes, np.float32).reshape(-1, 4) * factor
        color = style.groundtruth_box_visualization_color
        picture = draw_objects(picture, boxes, [""] * len(boxes), [color] * len(boxes))
    return picture


def side_by_side(drawn: np.ndarray, count: int, truth: np.ndarray, num_objects: int) -> np.ndarray:
    """Return two pictures of one size next to each other, with titles.

    Args:
        drawn: Detections, uint8 [H, W, 3], on the left.
        count: Number of detections in it.
        truth: Annotated objects, uint8 [H, W, 3], on the right.
        num_objects: Number of objects in it.
    """
    left = titled(drawn, f"prediction: {count}")
    right = titled(truth, f"ground truth: {num_objects}")
    gap = np.full([left.shape[0], _GAP, 3], 255, np.uint8)
    return np.concatenate([left, gap, right], axis=1)


def titled(picture: np.ndarray, text: str) -> np.ndarray:
    """Return a picture with a line of text on a white strip above it; long text is cut off."""
    strip = Image.new("RGB", (picture.shape[1], _TITLE_HEIGHT), "white")
    ImageDraw.Draw(strip).text((4, 2), text, fill="black", font=font_of(13))
    return np.concatenate([np.array(strip), picture], axis=0)


def draw_objects(
    image: np.ndarray,
    boxes: np.ndarray,
    labels: Sequence[str],
    colors: Sequence[str],
    masks: Sequence | Callable | None = None,
    *,
    line_thickness: int | None = None,
    mask_alpha: float = 0.4,
    legend: Mapping[str, str] | None = None,
) -> np.ndarray:
    """Return a copy of an image with objects drawn over it, each label where it hides no other.

    Args:
        image: uint8 [h, w, 3].
        boxes: [n, 4] pixels.
        labels: n texts; '' draws no label.
        colors: n colors.
        masks: n masks, or a function that returns the mask of object k (so that they need not all
            be in memory), or None. A mask is bool [h, w], a `CroppedMask`, or None. Masks are
            filled at `mask_alpha` with an opaque outline.
        line_thickness: Of boxes and outlines in pixels; 0 draws no boxes; None suits the image.
        legend: {text: color} for the upper left corner, or None.
    """
    painted = image.copy()
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    scale = _scale_of(image, boxes)
    if line_thickness is None:
        line_thickness = max(1, round(scale / 300))
    if masks is not None:
        areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        for k in np.argsort(-areas, kind="stable"):  # small ones last, on top
            mask = masks(k) if callable(masks) else masks[k]
            if mask is None:
                continue
            inside, top, left = mask if isinstance(mask, tuple) else (mask, 0, 0)
            part = painted[top : top + inside.shape[0], left : left + inside.shape[1]]
            if inside.any():
                paint_mask(part, inside, colors[k], mask_alpha, max(1, line_thickness // 2))
    picture = Image.fromarray(painted)
    pen = ImageDraw.Draw(picture)
    for box, color in zip(boxes, colors, strict=True):
        outline_box(pen, box, color, line_thickness)
    font, taken = font_for(scale), []
    for row, (text, color) in enumerate(sorted((legend or {}).items())):
        write_label(pen, np.array([1.5 * font.size * (row + 1), 4] * 2), text, color, font, taken)
    for box, label, color in zip(boxes, labels, colors, strict=True):
        if label:
            write_label(pen, box, label, color, font, taken)
    return np.array(picture)


def color_of(number: int) -> str:
    """Return the color of a class, or of any other number."""
    return STANDARD_COLORS[int(number) % len(STANDARD_COLORS)]


def name_of(number: int, category_index: Mapping) -> str:
    """Return the name of a class; N/A, as in TFOD, if the label map lacks it."""
    entry = category_index.get(int(number), "N/A")
    return str(entry["name"]) if isinstance(entry, dict) else str(entry)


def _percent(score):
    return f"{round(100 * float(score))}%"


def _scale_of(image, boxes):
    """Return the side that lines and letters suit: the image's shorter one, or less."""
    shortest = min(image.shape[:2])
    sides = boxes[np.isfinite(boxes).all(axis=1)]
    sides = np.sqrt(np.maximum(0, (sides[:, 2] - sides[:, 0]) * (sides[:, 3] - sides[:, 1])))
    return min(shortest, np.median(sides) / _LARGE_OBJECT) if len(sides) else shortest


def _magnify(image):
    """Enlarge an image by the largest integer that keeps its shorter side within 512 pixels.

    Returns:
        The image (the same object if the factor is 1) and the factor.
    """
    factor = max(1, _MAGNIFIED_SIDE // min(image.shape[:2]))
    size = (image.shape[1] * factor, image.shape[0] * factor)
    if factor > 1:
        image = np.array(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
    return image, factor


@functools.lru_cache(maxsize=32)
def font_of(size: int) -> ImageFont.FreeTypeFont:
    """Return the font of all labels at a size in pixels."""
    return ImageFont.load_default(size)


def font_for(shortest: float) -> ImageFont.FreeTypeFont:
    """Return the font that suits an image whose shorter side has `shortest` pixels."""
    return font_of(min(24, max(10, round(shortest / 42))))


def paint_mask(image, mask, color, alpha, border=0):
    """Blend a mask that is not empty over the image, its `border` outermost pixels opaque."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    inside, part = mask[window], image[window]
    color = np.array(ImageColor.getrgb(color)[:3])
    part[inside] = np.uint8(np.rint(part[inside] * (1 - alpha) + color * alpha))
    core = np.pad(inside, 1)
    for _ in range(border):
        core[1:-1, 1:-1] &= core[:-2, 1:-1] & core[2:, 1:-1] & core[1:-1, :-2] & core[1:-1, 2:]
    part[inside & ~core[1:-1, 1:-1]] = color


def outline_box(pen, box, color, thickness):
    if thickness <= 0 or not np.isfinite(box).all():
        return
    top, left, bottom, right = (int(round(float(v))) for v in box)
    pen.rectangle([left, top, max(left, right - 1), max(top, bottom - 1)], None, color, thickness)


def write_label(pen, box, text, color, font, taken):
    """Write `text` on a filled background at the box, avoiding the spots in `taken`."""
    if not np.isfinite(box).all():
        return
    top, left, bottom, right = (float(v) for v in box)
    x0, y0, x1, y1 = font.getbbox(text)
    ascent, descent = font.getmetrics()
    wide, high = x1 - x0 + 4, ascent + descent
    limit_x, limit_y = pen.im.size
    spots = [(left, top - high), (left, bottom), (left, top), (right - wide, top - high)]
    spots += [(left, top + high), (right - wide, bottom), (left, top - 2 * high)]
    spots = [
        (min(max(0, round(x)), max(0, limit_x - wide)), min(max(0, round(y)), limit_y - high))
        for x, y in spots
    ]
    free = [(x, y) for x, y in spots if not any(_overlap((x, y, wide, high), t) for t in taken)]
    x, y = (free or spots)[0]
    taken.append((x, y, wide, high))
    red, green, blue = ImageColor.getrgb(color)[:3]
    dark = 0.299 * red + 0.587 * green + 0.114 * blue < 128
    pen.rectangle([x, y, x + wide - 1, y + high - 1], fill=color)
    pen.text((x + 2 - x0, y), text, fill="white" if dark else "black", font=font)


def _overlap(a, b):
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]
