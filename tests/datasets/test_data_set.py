"""What is done to a data set as a whole: ids made unique, a share set aside."""

import pytest

from object_detection.datasets.annotations import AnnotatedImage, AnnotationSet, Finding
from object_detection.datasets.conversion import split_off, with_unique_ids
from object_detection.datasets.report import NOTED
from object_detection.errors import AnnotationError


def _set(*ids):
    images = tuple(
        AnnotatedImage(f"{place}.jpg", source_id, f"{place}.jpg")
        for place, source_id in enumerate(ids)
    )
    return AnnotationSet("set.json", (), images, (Finding(NOTED, "before", "x"),))


def _ids(found):
    return [image.source_id for image in found.images]


def test_unique_ids_are_left_alone():
    found = _set("a", "b")

    assert with_unique_ids(found) is found


def test_the_second_of_two_gets_a_new_id_that_nobody_has():
    found = with_unique_ids(_set("a", "a", "b", "a_2", "a", "b"))

    assert _ids(found) == ["a", "a_3", "b", "a_2", "a_4", "b_2"]
    assert [finding.key for finding in found.findings] == [
        "x",
        "1.jpg: a is now a_3",
        "4.jpg: a is now a_4",
        "5.jpg: b is now b_2",
    ]


def test_a_share_is_set_aside_and_nothing_lost():
    found = _set(*(str(number) for number in range(50)))

    stay, away = split_off(found, 0.2, 7)

    assert len(away.images) == 10
    assert sorted(_ids(stay) + _ids(away)) == sorted(_ids(found))
    assert _ids(stay) == sorted(_ids(stay), key=int)  # in their order
    assert (len(stay.findings), away.findings) == (1, ())


def test_the_seed_decides_and_the_order_does_not():
    ids = [str(number) for number in range(50)]

    def aside(ids, seed):
        return set(_ids(split_off(_set(*ids), 0.2, seed)[1]))

    assert aside(ids, 1) == aside(ids[::-1], 1)
    assert aside(ids, 1) != aside(ids, 2)
    # One image more changes one place at most.
    assert len(aside(ids, 1) - aside([*ids, "new"], 1)) <= 1


@pytest.mark.parametrize(("fraction", "count", "aside"), [(0.01, 3, 1), (0.99, 3, 2), (0.5, 2, 1)])
def test_neither_part_is_empty(fraction, count, aside):
    parts = split_off(_set(*map(str, range(count))), fraction, 0)

    assert [len(part.images) for part in parts] == [count - aside, aside]


def test_one_image_cannot_be_split():
    with pytest.raises(AnnotationError, match=r"set\.json: 1 image"):
        split_off(_set("a"), 0.5, 0)
