"""Which images of a set are drawn."""

import random

_EACH = 6  # images that every finding and every class gets before the rest is drawn by lot


def choose(images, limit, seed=0, *, rather=()):
    """Picks images so that every finding and every class is seen, and the rest by lot.

    Args:
        images: list of `ImageFacts`.
        limit: how many at most.
        seed: of the lot; the same seed picks the same images.
        rather: ids that the lot takes before others.

    Returns:
        Sorted list of indices into `images`.
    """
    if limit >= len(images):
        return list(range(len(images)))
    lot = random.Random(seed)
    order = list(range(len(images)))
    lot.shuffle(order)
    rather = set(rather)
    order.sort(key=lambda index: images[index].id not in rather)
    holders = {}
    for index in order:
        image = images[index]
        for mark in (*image.reasons, *(f"class {number}" for number in set(image.classes))):
            holders.setdefault(mark, []).append(index)
    chosen = []
    taken = set()

    def take(index):
        if index not in taken and len(chosen) < limit:
            taken.add(index)
            chosen.append(index)

    # The rarest marks first, one image of each in turn: so none of them is crowded out.
    for turn in range(_EACH):
        for mark in sorted(holders, key=lambda mark: (len(holders[mark]), mark)):
            if turn < len(holders[mark]):
                take(holders[mark][turn])
    for index in order:
        take(index)
    return sorted(chosen)
