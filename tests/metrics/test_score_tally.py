"""How many detections are right from each score on."""

import numpy as np
from made_instances import add, annotated, detected, sized

from object_detection.metrics.coco_evaluation import CocoEvaluation
from object_detection.metrics.score_tally import ScoreTallies

CAT, DOG = 1, 2
NAMES = {CAT: "cat", DOG: "dog"}
BOXES = np.array([[0, 0, 10, 10], [20, 20, 40, 40], [50, 50, 60, 60]], np.float32)


def test_right_wrong_and_missed_from_each_score_on():
    truth = annotated(BOXES, np.array([CAT, CAT, DOG]), crowd=np.array([False, False, True]))
    found = detected(
        boxes=np.float32([*BOXES, BOXES[0], BOXES[0], [np.nan] * 4]),
        scores=np.array([0.9, 0.4, 0.8, 0.7, 0.5, 1.0]),
        classes=np.array([CAT, CAT, DOG, CAT, 7, CAT]),
    )
    tallies = ScoreTallies(NAMES, ("boxes",))
    for _ in range(2):  # the same image again does not count
        add(tallies, b"a", truth, found, 100, 100)

    counts = tallies.of_class("boxes", CAT).counts()
    assert counts[[0, 40, 41, 70, 71, 90, 91]].tolist() == [
        [2, 1, 0],
        [2, 1, 0],
        [1, 1, 1],
        [1, 1, 1],
        [1, 0, 1],
        [1, 0, 1],
        [0, 0, 2],
    ]
    assert tallies.of_class("boxes", DOG).objects == 0  # a crowd, which nobody has to find
    assert not tallies.of_class("boxes", DOG).counts().any()
    np.testing.assert_array_equal(tallies.of_all("boxes").counts(), counts)


def test_what_is_found_at_all_is_cocos_recall():
    rng = np.random.default_rng(3)
    coco = CocoEvaluation(NAMES, boxes=True, masks=True)
    tallies = ScoreTallies(NAMES, coco.kinds)
    for number in range(20):
        count = int(rng.integers(0, 6))
        corner, side = rng.uniform(0, 60, [count, 2]), rng.uniform(10, 40, [count, 2])
        boxes = np.concatenate([corner, corner + side], axis=1).astype(np.float32)
        masks = np.zeros([count, 100, 100], np.uint8)
        for mask, (top, left, bottom, right) in zip(masks, boxes.astype(int), strict=True):
            mask[top:bottom, left:right] = 1
        truth = annotated(
            boxes, rng.integers(1, 3, count), crowd=rng.uniform(size=count) < 0.2, masks=masks
        )
        moved = np.tile(boxes, [2, 1]) + rng.normal(0, 4, [2 * count, 4]).astype(np.float32)
        moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
        found = detected(
            moved, rng.uniform(size=2 * count), rng.integers(1, 3, 2 * count),
            rng.uniform(0.4, 1, [2 * count, 7, 7]),
        )  # fmt: skip
        for taker in (coco, tallies):
            taker.add(
                f"image{number}", sized(truth, 100, 100).encoded(), sized(found, 100, 100).encoded()
            )
    for kind in coco.kinds:
        recall = coco.arrays(kind).recall[0, :, 0, -1]
        for place, number in enumerate(NAMES):
            right, _, missed = tallies.of_class(kind, number).counts()[0]
            assert 0 < right and recall[place] == right / (right + missed)
