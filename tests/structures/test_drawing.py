"""Objects drawn over images; detections next to the truth."""

import numpy as np
import pytest
from drawn_objects import INDEX, grey, objects
from PIL import ImageColor

from object_detection.structures import drawing
from object_detection.structures.drawing import Style


def side_by_side(image, detections, truth, index, style=Style()):  # noqa: B008
    drawn = drawing.draw(image, detections, index, style)
    count = len(style.best(detections.scores))
    return drawing.side_by_side(drawn, count, drawing.draw(image, truth, index), len(truth.boxes))


def test_side_by_side_shows_the_best_and_all_of_the_truth():
    mask = np.zeros([60, 80], bool)
    mask[20:40, 20:40] = True
    found = objects(
        np.array([[20, 20, 40, 40], [0, 60, 10, 80]], np.float32),
        np.array([1, 2]),
        np.array([0.9, 0.3]),
        masks=np.stack([mask, mask]),
    )
    truth = objects(found.boxes, found.classes, crowd=np.array([False, True]))
    picture = side_by_side(grey(), found, truth, INDEX)

    # 512 // 60 = 8 times the size, twice and a gap of 4; a title of 20 on top.
    assert picture.shape == (20 + 8 * 60, 2 * 8 * 80 + 4, 3)
    left, right = picture[20:, :640], picture[20:, 644:]
    cat, dog = (ImageColor.getrgb(drawing.color_of(k)) for k in (1, 2))
    assert tuple(left[20 * 8, 20 * 8]) == cat and tuple(right[20 * 8, 20 * 8]) == cat
    assert left[30 * 8, 30 * 8].tolist() != [100, 100, 100]  # the mask
    assert right[30 * 8, 30 * 8].tolist() == [100, 100, 100]  # no mask there
    assert not (left == dog).all(axis=2).any()  # scored below .5
    assert (right == dog).all(axis=2).any()


def test_side_by_side_of_nothing():
    nothing = objects(np.zeros([0, 4]), np.zeros(0), np.zeros(0))

    assert side_by_side(grey(600, 700), nothing, nothing, INDEX).shape == (
        620,
        1404,
        3,
    )


FOUND = objects(
    np.array([[20, 20, 40, 40], [0, 60, 10, 80]], np.float32),
    np.array([1, 2]),
    np.array([0.9, 0.6]),
)
TRUTH = objects(np.array([[30, 10, 50, 30]], np.float32), np.array([2]))


@pytest.mark.parametrize(
    ("style", "labels"),
    [
        ({}, ["cat 90%", "dog 60%"]),
        ({"skip_scores": True}, ["cat", "dog"]),
        ({"skip_labels": True}, ["90%", "60%"]),
        ({"skip_scores": True, "skip_labels": True}, ["", ""]),
        ({"min_score_threshold": 0.7}, ["cat 90%"]),
        ({"max_num_boxes_to_visualize": 1}, ["cat 90%"]),
        ({"max_num_boxes_to_visualize": 0}, ["cat 90%", "dog 60%"]),
    ],
)
def test_what_is_written_beside_detections(monkeypatch, style, labels):
    seen, plain = [], drawing.draw_objects

    def note(image, boxes, labels, *args, **options):
        seen.append(labels)
        return plain(image, boxes, labels, *args, **options)

    monkeypatch.setattr(drawing, "draw_objects", note)
    drawing.draw(grey(), FOUND, INDEX, Style(**style))

    assert (seen, len(Style(**style).best(FOUND.scores))) == ([labels], len(labels))


def test_true_boxes_among_the_detections_have_the_color_asked_for():
    style = Style(visualize_groundtruth_boxes=True, groundtruth_box_visualization_color="#010203")
    plain = drawing.draw(grey(), FOUND, INDEX, Style(), truth=TRUTH)
    drawn = drawing.draw(grey(), FOUND, INDEX, style, truth=TRUTH)

    rows, columns = np.nonzero((drawn != plain).any(axis=2))
    assert (drawn[rows, columns] == [1, 2, 3]).all()
    # 512 // 60 = 8 times the size.
    assert (rows.min(), rows.max() + 1) == (30 * 8, 50 * 8)
    assert (columns.min(), columns.max() + 1) == (10 * 8, 30 * 8)


def test_in_a_crowd_wide_names_move_to_a_legend(monkeypatch):
    seen, plain = {}, drawing.draw_objects

    def note(image, boxes, labels, colors, masks, legend):
        seen.update(labels=labels, colors=colors, legend=legend)
        return plain(image, boxes, labels, colors, masks, legend=legend)

    monkeypatch.setattr(drawing, "draw_objects", note)
    boxes = np.array([[20, 9 * k, 25, 9 * k + 4] for k in range(9)] + [[0, 0, 90, 90]])
    found = objects(boxes, np.ones(10, int), np.ones(10))
    image = np.full([100, 100, 3], 100, np.uint8)
    drawn = drawing.draw(image, found, {1: "cat"}, remarks=["90%"] * 10)

    assert seen["labels"] == ["90%"] * 9 + ["cat 90%"]
    assert len(set(seen["colors"])) == 10  # one class: a color for each object
    assert seen["legend"] == {"cat": "white"}
    assert (drawn == 255).all(axis=2).any()  # its background
