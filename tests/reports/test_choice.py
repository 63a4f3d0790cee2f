"""Which images are drawn."""

import numpy as np

from object_detection.reports import choice
from object_detection.reports.facts import LOOK, Finding, nothing_known


def image(number, class_id=1, reason=None):
    facts = nothing_known(f"id-{number}", f"record {number}", ())
    findings = (Finding(LOOK, reason),) if reason else ()
    return facts._replace(classes=np.int32([class_id]), findings=findings)


def test_few_images_are_all_drawn():
    assert choice.choose([image(k) for k in range(4)], 4) == [0, 1, 2, 3]


def test_a_rare_class_and_a_rare_finding_are_drawn_whatever_the_lot_says():
    images = [image(k) for k in range(500)]
    images[77] = image(77, class_id=9)
    images[321] = image(321, reason="odd")

    for seed in range(5):
        assert {77, 321} <= set(choice.choose(images, 12, seed))


def test_the_seed_decides():
    images = [image(k) for k in range(500)]
    chosen = choice.choose(images, 20, seed=1)

    assert chosen == sorted(chosen) and len(set(chosen)) == 20
    assert chosen == choice.choose(images, 20, seed=1)
    assert chosen != choice.choose(images, 20, seed=2)


def test_some_ids_are_taken_rather_than_others():
    images = [image(k) for k in range(500)]

    chosen = choice.choose(images, 20, rather=["id-3", "id-499"])

    assert {3, 499} <= set(chosen)


def test_no_image_is_wanted():
    assert choice.choose([image(1), image(2)], 0) == []
