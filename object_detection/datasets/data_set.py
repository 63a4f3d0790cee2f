"""What is done to a data set as a whole before its images are looked at."""

import hashlib
from collections.abc import Sequence

from object_detection.datasets.record import Finding
from object_detection.datasets.report import NOTED
from object_detection.errors import AnnotationError


def with_unique_ids(found):
    """An `AnnotationSet` in which no two images have one `source_id`; each new one is a finding.

    Evaluation tells images apart by it: of two with one id, one would be left out.
    """
    taken = {image.source_id for image in found.images}
    if len(taken) == len(found.images):
        return found
    seen, images, findings = set(), [], []
    reason = "another image has the same source_id: it was given a new one"
    for image in found.images:
        new, number = image.source_id, 2
        if new in seen:
            while new in taken:
                new, number = f"{image.source_id}_{number}", number + 1
            findings.append(Finding(NOTED, reason, f"{image.key}: {image.source_id} is now {new}"))
            image = image._replace(source_id=new)
        seen.add(new)
        taken.add(new)
        images.append(image)
    return found._replace(images=tuple(images), findings=(*found.findings, *findings))


def split_off(found, fraction, seed):
    """Sets a share of the images aside.

    Which ones depends on their `source_id` and the seed alone: not on their order, and hardly on
    what other images there are.

    Args:
        found: the `AnnotationSet`, its ids unique.
        fraction: of the images that are set aside, above 0 and below 1; at least one is, and at
            least one stays.
        seed: a whole number.

    Returns:
        The `AnnotationSet`s of those that stay (with the findings about the whole set) and of those
        set aside, both in the order they had.

    Raises:
        AnnotationError: there are fewer than two images.
    """
    count = len(found.images)
    if count < 2:
        raise AnnotationError(f"{found.source}: {count} image cannot be split in two")
    wanted = min(max(round(count * fraction), 1), count - 1)

    def rank(place):
        text = f"{seed}:{found.images[place].source_id}"
        return hashlib.sha256(text.encode(errors="surrogateescape")).digest(), place

    aside = set(sorted(range(count), key=rank)[:wanted])
    stay = Chosen(found.images, [place for place in range(count) if place not in aside])
    away = Chosen(found.images, sorted(aside))
    return found._replace(images=stay), found._replace(images=away, findings=())


class Chosen(Sequence):
    """Some of a sequence's items, not copied: a large set makes its images as they are asked for.

    Args:
        items: the sequence.
        places: of the items in it.
    """

    def __init__(self, items, places):
        self._items, self._places = items, places

    def __len__(self):
        return len(self._places)

    def __getitem__(self, place):
        if isinstance(place, slice):
            return Chosen(self._items, self._places[place])
        return self._items[self._places[place]]
