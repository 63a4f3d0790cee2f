"""A model's detections beside the ground truth, as evaluations show them."""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from object_detection.utils import visualization_utils

_STRIP = 20  # pixels of the title above a picture
_GAP = 4  # pixels between the two halves


class Style(NamedTuple):
    """What is drawn of detections; the names are those of eval_config."""

    min_score_threshold: float = 0.5
    max_num_boxes_to_visualize: int = 20  # the best ones; 0: all
    skip_scores: bool = False
    skip_labels: bool = False
    visualize_groundtruth_boxes: bool = False  # among the detections too
    groundtruth_box_visualization_color: str = "black"  # of those


def draw_detections(image, detections, truth, category_index, style=Style()):  # noqa: B008
    """A picture of a model's detections; small images are enlarged so that labels can be read.

    Args:
        image: uint8 [h, w, 3].
        detections: has boxes [d, 4] pixels, scores, classes, and `full_mask(k, h, w)`.
        truth: has boxes [g, 4] pixels.
        category_index: {id: {"name": ...}} or {id: name}.
        style: `Style`.

    Returns:
        uint8 [H, W, 3], and how many detections are in it.
    """
    scores = np.asarray(detections.scores)
    best = np.argsort(-scores, kind="stable")[: style.max_num_boxes_to_visualize or None]
    best = [int(k) for k in best if scores[k] >= style.min_score_threshold]
    remarks = ["" if style.skip_scores else f"{round(100 * float(scores[k]))}%" for k in best]
    picture = visualization_utils.draw_named_objects(
        image, detections, best, remarks, category_index, with_names=not style.skip_labels
    )
    if style.visualize_groundtruth_boxes:
        boxes = np.asarray(truth.boxes, np.float32).reshape(-1, 4)
        boxes = boxes * (picture.shape[0] // image.shape[0])
        color = style.groundtruth_box_visualization_color
        picture = visualization_utils.draw_objects(
            picture, boxes, [""] * len(boxes), [color] * len(boxes)
        )
    return picture, len(best)


def draw_truth(image, truth, category_index):
    """A picture of all that is annotated; `truth` as `detections`, with crowd or None."""
    crowd = np.zeros(len(truth.boxes), bool) if truth.crowd is None else truth.crowd
    remarks = ["(crowd)" if is_crowd else "" for is_crowd in crowd]
    return visualization_utils.draw_named_objects(
        image, truth, range(len(crowd)), remarks, category_index
    )


def beside(drawn, count, truth, num_objects):
    """Two pictures of one size, detections on the left and truth on the right, with titles."""
    left, right = (
        titled(drawn, f"prediction: {count}"),
        titled(truth, f"ground truth: {num_objects}"),
    )
    gap = np.full([left.shape[0], _GAP, 3], 255, np.uint8)
    return np.concatenate([left, gap, right], axis=1)


def draw_side_by_side(image, detections, truth, category_index, style=Style()):  # noqa: B008
    """`draw_detections` on the left, `draw_truth` on the right, as uint8 [H, W, 3]."""
    drawn, count = draw_detections(image, detections, truth, category_index, style)
    return beside(drawn, count, draw_truth(image, truth, category_index), len(truth.boxes))


def titled(picture, text):
    """A picture with a line of text on a white strip above it; what is too long is cut off."""
    strip = Image.new("RGB", (picture.shape[1], _STRIP), "white")
    font = visualization_utils.font_of(13)
    ImageDraw.Draw(strip).text((4, 2), text, fill="black", font=font)
    return np.concatenate([np.array(strip), picture], axis=0)
