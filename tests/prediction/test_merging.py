"""Windows put together: what their borders cut comes out whole, and nothing twice."""

import numpy as np
import pytest
from bright_segmenter import BrightSegmenter

from object_detection.metrics import overlaps
from object_detection.prediction import merging
from object_detection.prediction.modes import Region, SlidingWindow
from object_detection.prediction.predictor import Predictor
from object_detection.structures.masks import CroppedMask

WINDOW, OVERLAP = 256, 64
LEFT, RIGHT = Region(0, 0, 50, 60), Region(0, 40, 50, 100)


def scene(seed, count=50, size=(1200, 1500), kinds=5):
    """An image of shapes that keep apart, most of them on a border of a window."""
    generator = np.random.default_rng(seed)
    image, taken = np.zeros([*size, 3], np.uint8), np.zeros(size, bool)
    y, x = np.ogrid[-150:150, -310:310]
    step = WINDOW - OVERLAP
    while count:
        middle = [int(generator.integers(20, side - 20)) for side in size]
        axis = int(generator.integers(2))
        border = int(generator.integers(1, size[axis] // step)) * step
        middle[axis] = border + int(generator.choice([0, OVERLAP]) + generator.integers(-8, 9))
        shape = CroppedMask(_shape(generator, int(generator.integers(kinds)), y, x), 0, 0).tight()
        high, wide = shape.pixels.shape
        top, left = middle[0] - high // 2, middle[1] - wide // 2
        if top < 0 or left < 0 or top + high > size[0] or left + wide > size[1]:
            continue
        around = taken[max(0, top - 3) : top + high + 3, max(0, left - 3) : left + wide + 3]
        if not around.any():
            around[:] = True
            part = image[top : top + high, left : left + wide, generator.integers(3)]
            part[shape.pixels] = generator.integers(190, 256)
            count -= 1
    return image


def _shape(generator, kind, y, x):
    """An ellipse, a rectangle, a ring, a bar longer than a window, or an arch, as a mask."""
    high, wide = (int(v) for v in generator.integers(8, 45, 2))
    if kind == 3:
        high, wide = int(generator.integers(4, 10)), int(generator.integers(100, 300))
    if kind == 4:
        high, wide = max(20, high), max(20, wide)
    inside = (abs(y) <= high) & (abs(x) <= wide)
    if kind in (0, 2):
        square = (y / high) ** 2 + (x / wide) ** 2
        return (square <= 1) & ((kind == 0) | (square > 0.3))
    if kind == 4:
        return inside & ~((abs(y) <= high - 8) & (x > 8 - wide))
    return inside


def predict(image, model, mode=None, score=0.5):
    return Predictor(model, score, warm_up=False, mode=mode).predict(image)


def mask_ious(one, other):
    return overlaps.of_masks(one.rles(), other.rles()).iou


@pytest.mark.parametrize("seed", [0, 1])
def test_fifty_objects_on_borders_come_out_whole_and_once(seed):
    image, model = scene(seed), BrightSegmenter()
    uncut = predict(image, model)
    assert len(uncut) == 50
    mode = SlidingWindow(WINDOW, WINDOW, OVERLAP, OVERLAP)
    model.shapes_seen.clear()

    joined = predict(image, model, mode)

    assert max(model.shapes_seen)[0] == 8  # windows in true batches
    assert len(joined) == 50
    ious = mask_ious(uncut, joined)
    best = ious.argmax(axis=1)
    assert len(set(best.tolist())) == 50 and ious.max(axis=1).min() >= 0.95
    np.testing.assert_array_equal(joined.classes[best], uncut.classes)
    np.testing.assert_allclose(joined.scores[best], uncut.scores)
    np.testing.assert_allclose(joined.boxes[best], uncut.boxes, atol=1e-3)


@pytest.mark.parametrize("model", [BrightSegmenter(exact=False), BrightSegmenter(masks=False)])
def test_coarse_masks_and_boxes_alone(model):
    image = scene(2, count=30, kinds=2)  # ellipses and rectangles
    uncut, joined = (
        predict(image, model, mode)
        for mode in (None, SlidingWindow(WINDOW, WINDOW, OVERLAP, OVERLAP))
    )
    assert len(uncut) == len(joined) == 30
    ious = overlaps.of_boxes(uncut.boxes, joined.boxes).iou
    assert ious.max(axis=1).min() > 0.95
    assert joined.has_masks == model.masks
    if model.masks:
        assert mask_ious(uncut, joined).max(axis=1).min() > 0.85


def test_windows_that_only_meet():
    image = np.zeros([80, 200, 3], np.uint8)
    image[20:50, 70:130, 0] = 200  # over the border at 100
    image[60:70, 95:100, 0] = 220  # ends there
    joined = predict(image, BrightSegmenter(), SlidingWindow(80, 100, 0, 0))

    assert joined.boxes.tolist() == [[60, 95, 70, 100], [20, 70, 50, 130]]
    assert joined.full_mask(1).sum() == 30 * 60


def finding(box, window, score=0.9, kind=1, mask=True):
    top, left, bottom, right = box
    crop = CroppedMask(np.ones((bottom - top, right - left), bool), top, left) if mask else None
    return merging.Finding(np.array(box, np.float32), score, kind, crop, window)


def merged(*findings):
    return merging.merge(list(findings), [LEFT, RIGHT], 50, 100)


def test_two_halves_are_one_object():
    (one,) = merged(finding((10, 30, 20, 60), 0, 0.8), finding((10, 40, 20, 80), 1, 0.6))

    assert one.box.tolist() == [10, 30, 20, 80]
    assert one.score == 0.8
    assert one.mask.pixels.all() and one.mask.pixels.shape == (10, 50)


def test_what_both_see_whole_is_the_better_one_of_them():
    (one,) = merged(finding((10, 44, 20, 55), 0, 0.6), finding((10, 45, 20, 56), 1, 0.7))
    assert one.box.tolist() == [10, 45, 20, 56] and one.score == 0.7


def test_a_piece_beside_the_whole_adds_nothing_but_its_score():
    (one,) = merged(finding((10, 45, 20, 60), 0, 0.9), finding((10, 45, 20, 66), 1, 0.7))
    assert one.box.tolist() == [10, 45, 20, 66] and one.score == 0.9


def test_of_another_class_is_another_object():
    assert len(merged(finding((10, 30, 20, 60), 0), finding((10, 40, 20, 80), 1, kind=2))) == 2


def test_objects_that_one_window_tells_apart_stay_apart():
    # Both lie over each other in the left window, which gives them all the same.
    found = merged(
        finding((10, 44, 20, 54), 0, 0.9),
        finding((10, 46, 20, 56), 0, 0.8),
        finding((10, 45, 20, 55), 1, 0.7),
    )
    assert len(found) == 2


def test_what_little_a_border_leaves_is_no_object():
    whole = finding((10, 45, 30, 90), 1)
    remains = finding((26, 52, 30, 60), 0)  # a corner of it, at the border of the left window
    assert len(merged(whole, remains)) == 1
    elsewhere = finding((40, 52, 44, 60), 0)
    assert len(merged(whole, elsewhere)) == 2
    assert len(merged(whole, finding((26, 52, 30, 60), 0, kind=2))) == 2
    inside = finding((15, 48, 20, 56), 1, 0.5)  # of the same window, which tells the two apart
    assert len(merged(whole, inside)) == 2


def test_two_arms_of_what_the_other_sees_whole():
    arms = finding((5, 30, 10, 60), 0), finding((25, 30, 30, 60), 0)
    mask = np.zeros([25, 40], bool)
    mask[:5] = mask[20:] = mask[:, 30:] = True
    arch = merging.Finding(np.float32([5, 40, 30, 80]), 0.5, 1, CroppedMask(mask, 5, 40), 1)

    (one,) = merged(*arms, arch)

    assert one.box.tolist() == [5, 30, 30, 80]
    assert one.mask.pixels.sum() == mask.sum() + 2 * 5 * 10


def test_pieces_that_score_too_little_alone_still_complete_an_object():
    class Unsure(BrightSegmenter):
        """Scores a shape by how much of it is in sight."""

        def __call__(self, images):
            outputs = super().__call__(images)
            boxes = outputs["detection_boxes"] * images.shape[2]
            wide = boxes[..., 3] - boxes[..., 1]
            outputs["detection_scores"] = np.clip(wide / 60, 0, 1)
            return outputs

    image = np.zeros([50, 100, 3], np.uint8)
    image[10:20, 8:68, 0] = 255  # 52 in the left window, 28 in the right one
    mode = SlidingWindow(50, 60, 0, 20)
    (box,) = predict(image, Unsure(), mode, score=0.8).boxes.tolist()
    assert box == [10, 8, 20, 68]


def test_nothing_merges_to_nothing():
    assert merging.merge([], [LEFT, RIGHT], 50, 100) == []
    assert len(predict(np.zeros([300, 300, 3], np.uint8), BrightSegmenter(),
                       SlidingWindow(200, 200, 20, 20))) == 0  # fmt: skip
