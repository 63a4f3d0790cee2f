"""Images of many sizes in batches of one size."""

_AHEAD = 4  # batches of images that wait for others of their size, at most


def by_size(images, detect, batch_size):
    """Runs a model over images of any sizes, those of one size together.

    Args:
        images: iterable of arrays [h, w, 3], taken as they are needed.
        detect: called with a list of 1 to `batch_size` of one size; gives a list of as many
            results.
        batch_size: of a call, at most.

    Yields:
        The results, in the order of the images.
    """
    waiting, done, given = {}, {}, 0  # size -> [(place, image)]; place -> result; how many are out

    def run(size):
        group = waiting.pop(size)
        found = detect([image for _, image in group])
        done.update(zip((place for place, _ in group), found, strict=True))

    for place, image in enumerate(images):
        group = waiting.setdefault(image.shape[:2], [])
        group.append((place, image))
        if len(group) == batch_size:
            run(image.shape[:2])
        # The first one that waits holds up all after it.
        if given not in done and place - given >= _AHEAD * batch_size:
            run(next(size for size, group in waiting.items() if group[0][0] == given))
        while given in done:
            yield done.pop(given)
            given += 1
    for size in list(waiting):
        run(size)
    for place in sorted(done):
        yield done[place]
