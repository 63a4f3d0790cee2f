"""Boxes, masks, class names and scores drawn over images, with numpy and PIL alone.

The functions that TFOD's users call keep their names and their (many) arguments; those ending in
`_array` change the image in place, as theirs do. `draw_objects` and `draw_named_objects` are ours.
Boxes are (ymin, xmin, ymax, xmax). A colour is a name or '#rrggbb' as PIL reads it.
"""

import contextlib
import functools
import io

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

from object_detection import atomic

# Ordered so that neighbours differ in hue.
STANDARD_COLORS = (
    "#29b6f6", "#ff7043", "#9ccc65", "#ec407a", "#ffca28", "#7e57c2", "#26a69a", "#ffa726",
    "#5c6bc0", "#d4e157", "#ef5350", "#42a5f5", "#66bb6a", "#ab47bc", "#ffee58", "#26c6da",
    "#f06292", "#aed581", "#ff8a65", "#64b5f6", "#ba68c8", "#4db6ac", "#ffd54f", "#e57373",
    "#9575cd", "#dce775", "#4dd0e1", "#ffb74d", "#81c784", "#7986cb",
)  # fmt: skip
_AGNOSTIC_COLOR = "darkorange"
_MAGNIFIED_SIDE = 512  # pixels of the shorter side that small images are enlarged to, at most
_CROWDED = 8  # objects from which on wide labels lose their class name
_SWARMING = 100  # objects from which on what is still wider than its object goes too
_LARGE_OBJECT = 1 / 16  # of the shorter side: where objects are smaller, so are lines and letters


def draw_objects(
    image, boxes, labels, colors, masks=None, *, line_thickness=None, mask_alpha=0.4, legend=None
):
    """A copy of an image with objects drawn over it, each label where it hides no other.

    Args:
        image: uint8 [h, w, 3].
        boxes: [n, 4] pixels.
        labels: n texts; '' draws none.
        colors: n colours.
        masks: n bool [h, w] or None each, or a function that gives the mask of object k (so that
            they need not all be held at once), or None. A mask may also be (pixels bool [h', w'],
            top, left), the part of it around the object. Filled at `mask_alpha`, outlined in full.
        line_thickness: of boxes and outlines in pixels; 0 draws no boxes; None suits the image.
        legend: {text: colour} for the upper left corner, or None.
    """
    painted = image.copy()
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    scale = _scale_of(image, boxes)
    if line_thickness is None:
        line_thickness = max(1, round(scale / 300))
    if masks is not None:
        areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        for k in np.argsort(-areas, kind="stable"):  # small ones last, so that none is buried
            mask = masks(k) if callable(masks) else masks[k]
            if mask is None:
                continue
            inside, top, left = mask if isinstance(mask, tuple) else (mask, 0, 0)
            part = painted[top : top + inside.shape[0], left : left + inside.shape[1]]
            if inside.any():
                _paint_mask(part, inside, colors[k], mask_alpha, max(1, line_thickness // 2))
    picture = Image.fromarray(painted)
    pen = ImageDraw.Draw(picture)
    for box, color in zip(boxes, colors, strict=True):
        _outline_box(pen, box, color, line_thickness)
    font, taken = font_for(scale), []
    for row, (text, color) in enumerate(sorted((legend or {}).items())):
        _write_label(pen, np.array([1.5 * font.size * (row + 1), 4] * 2), text, color, font, taken)
    for box, label, color in zip(boxes, labels, colors, strict=True):
        if label:
            _write_label(pen, box, label, color, font, taken)
    return np.array(picture)


def draw_named_objects(image, objects, chosen, remarks, category_index, *, with_names=True):
    """A copy of an image with the chosen objects in it, enlarged where it is small.

    Classes have their own colours; in a label map of one class the objects have. Where objects
    crowd, a name wider than its box is left out, and a legend in the corner says whose colour is
    whose.

    Args:
        image: uint8 [h, w, 3].
        objects: has boxes [n, 4] pixels, classes, and `full_mask(k, h, w)` -> bool [h, w] or None,
            or `crop(k)` -> (pixels bool [h', w'], top, left) or None.
        chosen: indices of the objects to draw.
        remarks: a text for each chosen one, written behind its class name.
        category_index: {id: {"name": ...}} or {id: name}.
        with_names: whether class names are written.
    """
    height, width = image.shape[:2]
    large, factor = _magnify(image)
    boxes = np.asarray(objects.boxes, np.float32).reshape(-1, 4)[list(chosen)] * factor
    names = [_name(objects.classes[k], category_index) if with_names else "" for k in chosen]
    single = len(category_index) == 1
    colors = [color_of(n if single else objects.classes[k]) for n, k in enumerate(chosen)]
    labels = [f"{name} {text}".strip() for name, text in zip(names, remarks, strict=True)]
    legend = {}
    if len(names) > _CROWDED:
        font = font_for(_scale_of(large, boxes))
        for n, box in enumerate(boxes):
            if names[n] and font.getlength(labels[n]) > box[3] - box[1]:
                labels[n] = remarks[n]
                legend[names[n]] = "white" if single else colors[n]
            if len(names) > _SWARMING and font.getlength(labels[n]) > box[3] - box[1]:
                labels[n] = ""

    def mask_of(place):
        if hasattr(objects, "crop"):
            crop = objects.crop(chosen[place])
            if crop is None:
                return None
            pixels, top, left = crop
            return pixels.repeat(factor, 0).repeat(factor, 1), top * factor, left * factor
        mask = objects.full_mask(chosen[place], height, width)
        return mask if mask is None else mask.repeat(factor, axis=0).repeat(factor, axis=1)

    return draw_objects(large, boxes, labels, colors, mask_of, legend=legend)


def visualize_boxes_and_labels_on_image_array(
    image, boxes, classes, scores, category_index, instance_masks=None, instance_boundaries=None,
    keypoints=None, keypoint_scores=None, keypoint_edges=None, track_ids=None,
    use_normalized_coordinates=False, max_boxes_to_draw=20, min_score_thresh=0.5,
    agnostic_mode=False, line_thickness=4, mask_alpha=0.4,
    groundtruth_box_visualization_color="black", skip_boxes=False, skip_scores=False,
    skip_labels=False, skip_track_ids=False,
):  # fmt: skip
    """Draws detections over `image`, in place, and returns it.

    Args:
        image: [h, w, 3] of uint8, or of another type as `_in_place` takes it.
        boxes: [n, 4], normalized or pixels.
        classes: [n] ids of `category_index`.
        scores: [n] in 0..1, or None for ground truth, which is drawn without labels in
            `groundtruth_box_visualization_color`.
        category_index: {id: {"id": ..., "name": ...}}.
        instance_masks: [n, h, w] of 0 and 1 at the image's size.
        instance_boundaries: [n, h, w] of 0 and 1, drawn in red.
        keypoints: [n, k, 2] (y, x); keypoint_scores: [n, k]; keypoint_edges: pairs of indices.
        track_ids: [n] ints; they then give the colours.
        max_boxes_to_draw: of those above `min_score_thresh`, in the order given; None or 0: all.
        skip_boxes, skip_scores, skip_labels, skip_track_ids: what to leave out.
    """
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    shown = [k for k in range(len(boxes)) if scores is None or scores[k] > min_score_thresh]
    shown = shown[: max_boxes_to_draw or None]
    labels, colors = [], []
    for k in shown:
        parts = []
        if scores is not None:
            if not skip_labels and not agnostic_mode:
                parts.append(_name(classes[k], category_index))
            if not skip_scores:
                parts.append(_percent(scores[k]))
            if track_ids is not None and not skip_track_ids:
                parts.append(f"ID {track_ids[k]}")
        labels.append(": ".join(parts))
        if scores is None:
            colors.append(groundtruth_box_visualization_color)
        elif track_ids is not None:
            colors.append(color_of(7 * int(track_ids[k])))
        else:
            colors.append(_AGNOSTIC_COLOR if agnostic_mode else color_of(classes[k]))
    with _in_place(image) as canvas:
        height, width = canvas.shape[:2]
        scale = [height, width, height, width] if use_normalized_coordinates else 1
        canvas[:] = draw_objects(
            canvas,
            boxes[shown] * scale,
            labels,
            colors,
            None if instance_masks is None else [np.asarray(instance_masks[k]) > 0 for k in shown],
            line_thickness=0 if skip_boxes else line_thickness,
            mask_alpha=mask_alpha,
        )
        for k, color in zip(shown, colors, strict=True):
            if instance_boundaries is not None:
                draw_mask_on_image_array(canvas, instance_boundaries[k], color="red", alpha=1.0)
            if keypoints is not None:
                draw_keypoints_on_image_array(
                    canvas, keypoints[k], None if keypoint_scores is None else keypoint_scores[k],
                    min_score_thresh, color, max(1, line_thickness / 2), use_normalized_coordinates,
                    keypoint_edges, color, max(1, line_thickness // 2),
                )  # fmt: skip
    return image


def draw_bounding_box_on_image(
    image, ymin, xmin, ymax, xmax, color="red", thickness=4, display_str_list=(),
    use_normalized_coordinates=True,
):  # fmt: skip
    """Draws one box and its lines of text on a PIL image, in place."""
    width, height = image.size
    scale = np.array([height, width, height, width] if use_normalized_coordinates else [1] * 4)
    box = np.array([ymin, xmin, ymax, xmax]) * scale
    pen = ImageDraw.Draw(image)
    _outline_box(pen, box, color, thickness)
    taken = []
    for text in display_str_list:
        _write_label(pen, box, str(text), color, font_for(min(image.size)), taken)


def draw_bounding_box_on_image_array(
    image, ymin, xmin, ymax, xmax, color="red", thickness=4, display_str_list=(),
    use_normalized_coordinates=True,
):  # fmt: skip
    """Draws one box and its lines of text on an array [h, w, 3], in place (see `_in_place`)."""
    with _in_place(image) as canvas:
        picture = Image.fromarray(canvas)
        draw_bounding_box_on_image(
            picture, ymin, xmin, ymax, xmax, color, thickness, display_str_list,
            use_normalized_coordinates,
        )  # fmt: skip
        canvas[:] = picture


def draw_bounding_boxes_on_image(image, boxes, color="red", thickness=4, display_str_list_list=()):
    """Draws normalized boxes [n, 4] on a PIL image, in place, each with its own list of texts."""
    boxes = np.asarray(boxes)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"boxes must be [n, 4], got {list(boxes.shape)}")
    for k, box in enumerate(boxes):
        texts = display_str_list_list[k] if display_str_list_list else ()
        draw_bounding_box_on_image(image, *box, color, thickness, texts)


def draw_bounding_boxes_on_image_array(
    image, boxes, color="red", thickness=4, display_str_list_list=()
):
    """Draws normalized boxes [n, 4] on an array [h, w, 3], in place (see `_in_place`)."""
    with _in_place(image) as canvas:
        picture = Image.fromarray(canvas)
        draw_bounding_boxes_on_image(picture, boxes, color, thickness, display_str_list_list)
        canvas[:] = picture


def draw_mask_on_image_array(image, mask, color="red", alpha=0.4):
    """Blends a mask [h, w] of 0 and 1 over a uint8 [h, w, 3] array, in place."""
    mask = np.asarray(mask)
    if image.dtype != np.uint8:
        raise ValueError(f"image must be uint8, got {image.dtype}")
    if image.shape[:2] != mask.shape:
        raise ValueError(f"the image is {image.shape[:2]} but its mask is {mask.shape}")
    if mask.dtype != bool and not np.isin(mask, (0, 1)).all():
        raise ValueError("the mask must hold 0 and 1 only; threshold probabilities first (> 0.5)")
    if mask.any():
        _paint_mask(image, mask > 0, color, alpha)


def draw_keypoints_on_image_array(
    image, keypoints, keypoint_scores=None, min_score_thresh=0.5, color="red", radius=2,
    use_normalized_coordinates=True, keypoint_edges=None, keypoint_edge_color="green",
    keypoint_edge_width=2,
):  # fmt: skip
    """Draws keypoints [k, 2] (y, x), and lines between pairs of them, on an array, in place.

    The array is as `_in_place` takes it.
    """
    height, width = image.shape[:2]
    points = np.asarray(keypoints, np.float64) * (
        [height, width] if use_normalized_coordinates else [1, 1]
    )
    visible = np.isfinite(points).all(axis=1)
    if keypoint_scores is not None:
        visible &= np.asarray(keypoint_scores) > min_score_thresh
    with _in_place(image) as canvas:
        picture = Image.fromarray(canvas)
        pen = ImageDraw.Draw(picture)
        for start, end in keypoint_edges or ():
            if max(start, end) < len(points) and visible[start] and visible[end]:
                line = [tuple(points[start][::-1]), tuple(points[end][::-1])]
                pen.line(line, fill=keypoint_edge_color, width=keypoint_edge_width)
        for y, x in points[visible]:
            pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=color, outline=color)
        canvas[:] = picture


def encode_image_array_as_png_str(image):
    """The bytes of a PNG file of a uint8 [h, w, 3] array."""
    with io.BytesIO() as file:
        Image.fromarray(np.uint8(image)).save(file, format="PNG")
        return file.getvalue()


def save_image_array_as_png(image, output_path):
    """Writes a uint8 [h, w, 3] array as a PNG file."""
    atomic.write_bytes(output_path, encode_image_array_as_png_str(image))


def color_of(number):
    """The colour of a class, or of any other number."""
    return STANDARD_COLORS[int(number) % len(STANDARD_COLORS)]


@contextlib.contextmanager
def _in_place(image):
    """Gives uint8 [h, w, 3] to draw on, and puts what was drawn back into the caller's array.

    TFOD draws on what `np.uint8` makes of the image, whatever its type. Numbers below 0 and above
    255, which that would turn over, are cut here, and floats that run from 0 to 1, which it would
    make black, stay on their own scale.

    Args:
        image: array [h, w, 3] of uint8, or of a wider integer or float type in 0..255, or of
            floats in 0..1 some of which are no whole numbers.

    Raises:
        TypeError: no array, or one of another type.
        ValueError: an array of another shape, or one that cannot be written to.
    """
    if not isinstance(image, np.ndarray):
        raise TypeError(
            f"image is a {type(image).__name__}; give a numpy array [h, w, 3] to be drawn on, for "
            "a Pillow image np.array(image)"
        )
    if image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"image must be [h, w, 3], got {list(image.shape)}")
    if not image.flags.writeable:
        raise ValueError("image cannot be written to; give a copy of it: np.array(image)")
    if image.dtype == np.uint8:
        yield image
        return
    if not np.can_cast(np.uint8, image.dtype, "same_kind") or image.dtype == np.int8:
        raise TypeError(f"image is of {image.dtype}; give uint8, or another number type in 0..255")
    factor = 1.0
    if image.dtype.kind == "f":
        finite = np.nan_to_num(image)
        if finite.min() >= 0 and finite.max() <= 1 and (finite % 1 > 0).any():
            factor = 255.0
        canvas = np.uint8(np.clip(finite * factor, 0, 255))
    else:
        canvas = np.uint8(np.clip(image, 0, 255))
    before = canvas.copy()
    yield canvas
    # What was not drawn on keeps its own value, with all of its digits.
    drawn = (canvas != before).any(axis=-1)
    image[drawn] = canvas[drawn] if factor == 1.0 else canvas[drawn] / factor


def _scale_of(image, boxes):
    """The shorter side that lines and letters are made for: the image's, less for small objects."""
    shortest = min(image.shape[:2])
    sides = boxes[np.isfinite(boxes).all(axis=1)]
    sides = np.sqrt(np.maximum(0, (sides[:, 2] - sides[:, 0]) * (sides[:, 3] - sides[:, 1])))
    return min(shortest, np.median(sides) / _LARGE_OBJECT) if len(sides) else shortest


def _magnify(image):
    """The image enlarged by the whole factor that brings its shorter side nearest below 512.

    Returns:
        The image (the very same where nothing is to do) and the factor.
    """
    factor = max(1, _MAGNIFIED_SIDE // min(image.shape[:2]))
    size = (image.shape[1] * factor, image.shape[0] * factor)
    if factor > 1:
        image = np.array(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
    return image, factor


def _name(number, category_index):
    """The name of a class; TFOD writes N/A where the label map has none."""
    entry = category_index.get(int(number), "N/A")
    return str(entry["name"]) if isinstance(entry, dict) else str(entry)


def _percent(score):
    return f"{round(100 * float(score))}%"


@functools.lru_cache(maxsize=32)
def font_of(size):
    """The font of all labels at a size in pixels."""
    return ImageFont.load_default(size)


def font_for(shortest):
    """The font that suits an image whose shorter side has so many pixels."""
    return font_of(min(24, max(10, round(shortest / 42))))


def _paint_mask(image, mask, color, alpha, border=0):
    """Blends a mask that is not empty over the image, its `border` outermost pixels opaque."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    inside, part = mask[window], image[window]
    color = np.array(ImageColor.getrgb(color)[:3])
    part[inside] = np.uint8(np.rint(part[inside] * (1 - alpha) + color * alpha))
    core = np.pad(inside, 1)
    for _ in range(border):
        core[1:-1, 1:-1] &= core[:-2, 1:-1] & core[2:, 1:-1] & core[1:-1, :-2] & core[1:-1, 2:]
    part[inside & ~core[1:-1, 1:-1]] = color


def _outline_box(pen, box, color, thickness):
    if thickness <= 0 or not np.isfinite(box).all():
        return
    top, left, bottom, right = (int(round(float(v))) for v in box)
    pen.rectangle([left, top, max(left, right - 1), max(top, bottom - 1)], None, color, thickness)


def _write_label(pen, box, text, color, font, taken):
    """Writes `text` on a filled ground at the box, where it covers none of `taken` if possible."""
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
