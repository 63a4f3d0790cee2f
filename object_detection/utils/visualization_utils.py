"""TFOD's functions that draw boxes, masks, class names and scores over images.

They keep TFOD's names and (many) arguments; those ending in `_array` change the image in place, as
TFOD's do. The drawing itself is `structures.drawing`. Boxes are (ymin, xmin, ymax, xmax). A color
is a name or '#rrggbb' as Pillow reads it.
"""

import contextlib
import io

import numpy as np
from PIL import Image, ImageDraw

from object_detection import atomic
from object_detection.structures import drawing
from object_detection.structures.drawing import color_of, draw_objects, font_for

_AGNOSTIC_COLOR = "darkorange"


def visualize_boxes_and_labels_on_image_array(
    image, boxes, classes, scores, category_index, instance_masks=None, instance_boundaries=None,
    keypoints=None, keypoint_scores=None, keypoint_edges=None, track_ids=None,
    use_normalized_coordinates=False, max_boxes_to_draw=20, min_score_thresh=0.5,
    agnostic_mode=False, line_thickness=4, mask_alpha=0.4,
    groundtruth_box_visualization_color="black", skip_boxes=False, skip_scores=False,
    skip_labels=False, skip_track_ids=False,
):  # fmt: skip
    """Draw detections over `image`, in place, and return it.

    Args:
        image: [h, w, 3] of uint8, or of another type as `_in_place` takes it.
        boxes: [n, 4], normalized or in pixels.
        classes: [n] ids of `category_index`.
        scores: [n] in 0..1, or None for ground truth, which is drawn without labels in
            `groundtruth_box_visualization_color`.
        category_index: {id: {"id": ..., "name": ...}}.
        instance_masks: [n, h, w] of 0 and 1 at the image's size.
        instance_boundaries: [n, h, w] of 0 and 1, drawn in red.
        keypoints: [n, k, 2] (y, x); keypoint_scores: [n, k]; keypoint_edges: pairs of indices.
        track_ids: [n] ints that choose the colors.
        max_boxes_to_draw: Of those above `min_score_thresh`, in the order given; None or 0: all.
        skip_boxes, skip_scores, skip_labels, skip_track_ids: What to leave out.
    """
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    shown = [k for k in range(len(boxes)) if scores is None or scores[k] > min_score_thresh]
    shown = shown[: max_boxes_to_draw or None]
    labels, colors = [], []
    for k in shown:
        parts = []
        if scores is not None:
            if not skip_labels and not agnostic_mode:
                parts.append(drawing.name_of(classes[k], category_index))
            if not skip_scores:
                parts.append(f"{round(100 * float(scores[k]))}%")
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
    """Draw one box and its lines of text on a Pillow image, in place."""
    width, height = image.size
    scale = np.array([height, width, height, width] if use_normalized_coordinates else [1] * 4)
    box = np.array([ymin, xmin, ymax, xmax]) * scale
    pen = ImageDraw.Draw(image)
    drawing.outline_box(pen, box, color, thickness)
    taken = []
    for text in display_str_list:
        drawing.write_label(pen, box, str(text), color, font_for(min(image.size)), taken)


def draw_bounding_box_on_image_array(
    image, ymin, xmin, ymax, xmax, color="red", thickness=4, display_str_list=(),
    use_normalized_coordinates=True,
):  # fmt: skip
    """Draw one box and its lines of text on an array [h, w, 3], in place (see `_in_place`)."""
    with _in_place(image) as canvas:
        picture = Image.fromarray(canvas)
        draw_bounding_box_on_image(
            picture, ymin, xmin, ymax, xmax, color, thickness, display_str_list,
            use_normalized_coordinates,
        )  # fmt: skip
        canvas[:] = picture


def draw_bounding_boxes_on_image(image, boxes, color="red", thickness=4, display_str_list_list=()):
    """Draw normalized boxes [n, 4] on a Pillow image, in place, each with its own texts."""
    boxes = np.asarray(boxes)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"boxes must be [n, 4], got {list(boxes.shape)}")
    for k, box in enumerate(boxes):
        texts = display_str_list_list[k] if display_str_list_list else ()
        draw_bounding_box_on_image(image, *box, color, thickness, texts)


def draw_bounding_boxes_on_image_array(
    image, boxes, color="red", thickness=4, display_str_list_list=()
):
    """Draw normalized boxes [n, 4] on an array [h, w, 3], in place (see `_in_place`)."""
    with _in_place(image) as canvas:
        picture = Image.fromarray(canvas)
        draw_bounding_boxes_on_image(picture, boxes, color, thickness, display_str_list_list)
        canvas[:] = picture


def draw_mask_on_image_array(image, mask, color="red", alpha=0.4):
    """Blend a mask [h, w] of 0 and 1 over a uint8 [h, w, 3] array, in place."""
    mask = np.asarray(mask)
    if image.dtype != np.uint8:
        raise ValueError(f"image must be uint8, got {image.dtype}")
    if image.shape[:2] != mask.shape:
        raise ValueError(f"the image is {image.shape[:2]} but its mask is {mask.shape}")
    if mask.dtype != bool and not np.isin(mask, (0, 1)).all():
        raise ValueError("the mask must hold 0 and 1 only; threshold probabilities first (> 0.5)")
    if mask.any():
        drawing.paint_mask(image, mask > 0, color, alpha)


def draw_keypoints_on_image_array(
    image, keypoints, keypoint_scores=None, min_score_thresh=0.5, color="red", radius=2,
    use_normalized_coordinates=True, keypoint_edges=None, keypoint_edge_color="green",
    keypoint_edge_width=2,
):  # fmt: skip
    """Draw keypoints [k, 2] (y, x), and lines between pairs of them, on an array, in place.

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
    """Return the bytes of a PNG file of a uint8 [h, w, 3] array."""
    with io.BytesIO() as file:
        Image.fromarray(np.uint8(image)).save(file, format="PNG")
        return file.getvalue()


def save_image_array_as_png(image, output_path):
    """Write a uint8 [h, w, 3] array as a PNG file."""
    atomic.write_bytes(output_path, encode_image_array_as_png_str(image))


@contextlib.contextmanager
def _in_place(image):
    """Yield uint8 [h, w, 3] to draw on, and copy the drawing back into the caller's array.

    TFOD draws on the result of `np.uint8(image)` for any type. Values below 0 and above 255, which
    that would wrap around, are clipped here, and floats from 0 to 1, which it would make black,
    keep their scale.

    Args:
        image: array [h, w, 3] of uint8, or of a wider integer or float type in 0..255, or of
            floats in 0..1, some of them not integral.

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
    # Pixels that were not drawn on keep their exact value.
    drawn = (canvas != before).any(axis=-1)
    image[drawn] = canvas[drawn] if factor == 1.0 else canvas[drawn] / factor
