"""A mask image cut up by value: numbers of instances, or colours.

The work of a worker process: the file is decoded once, for all objects of its photograph.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

VOID = 255  # VOC's border between objects, and "do not care"
MOST_VALUES = 5000  # of a mask image: each costs a look at every pixel
MANY_COLOURS = 256  # more than these come of soft edges or of lossy compression
NEAR = 64  # in each channel: how far the colour of a soft edge may lie from a main one
LEAST_MAIN = 0.0005  # share of the image that makes a colour a main one
LEAST_INSIDE = 0.3  # share of its pixels that have it on all four sides


class FileFault(ValueError):
    """A mask image that cannot be read; the sentence says why."""


class Regions(NamedTuple):
    """An image cut up by value."""

    labels: np.ndarray  # [h, w] which of the `values` a pixel has
    values: np.ndarray  # [n] ids; or red + 256 green + 65536 blue
    extents: np.ndarray  # [n, 4] ymin, xmin, ymax, xmax of each
    of_colours: bool  # whether the values are colours

    def name(self, number):
        """What a report calls a value."""
        value = int(self.values[number])
        if not self.of_colours:
            return str(value)
        return "#{:02x}{:02x}{:02x}".format(*unpack(value))


def read(path, *, numbered):
    """Cuts a mask image up by its values.

    Args:
        path: of the image.
        numbered: the pixels are meant as numbers: the colours of VOC's palette, and greys, are
            turned back into them.

    Raises:
        FileFault: it cannot be decoded.
    """
    try:
        with Image.open(path) as image:
            image.load()
            numbers, colours = _pixels(image)
    except FileNotFoundError:
        raise FileFault("there is no such mask file") from None
    except UnidentifiedImageError:
        raise FileFault("the mask file is not an image of a known format") from None
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise FileFault(f"the mask file cannot be decoded: {error}") from None
    values, labels = _cut(numbers if colours is None else colours)
    of_colours = colours is not None
    if of_colours and numbered:
        known = _as_numbers(values)
        if known is not None:
            values, of_colours = known, False
        elif numbers is not None:  # a palette of its own: its entries are the numbers
            (values, labels), of_colours = _cut(numbers), False
    if of_colours and len(values) > MANY_COLOURS:
        values, labels = _main_colours(values, labels)
    if len(values) > MOST_VALUES:
        raise FileFault(
            f"the mask file has {len(values)} values: it is a picture, not a mask of objects"
        )
    return Regions(labels, values, extents(labels, len(values)), of_colours)


def extents(labels: np.ndarray, count: int) -> np.ndarray:
    """Return ymin, xmin, ymax, xmax around the pixels of each label; zeros where there are none.

    Args:
        labels: [h, w] from 0 up to, without, `count`.
        count: number of labels.

    Returns:
        [count, 4] float64.
    """
    height, width = labels.shape
    low, high = np.full((2, count), max(height, width)), np.zeros((2, count), np.int64)
    for axis, places in enumerate(np.indices(labels.shape, sparse=True)):
        places = np.broadcast_to(places, labels.shape).ravel()
        np.minimum.at(low[axis], labels.ravel(), places)
        np.maximum.at(high[axis], labels.ravel(), places + 1)
    found = np.concatenate([low, high]).T.astype(float)
    return np.where(high[0, :, None] > 0, found, 0.0)


def extent(mask):
    """ymin, xmin, ymax, xmax around the pixels of a mask [h, w]; zeros if there are none."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return (0.0, 0.0, 0.0, 0.0)
    return float(rows[0]), float(columns[0]), float(rows[-1] + 1), float(columns[-1] + 1)


def pack(red, green, blue):
    """A colour as one number."""
    return red + (green << 8) + (blue << 16)


def unpack(values):
    """(red, green, blue) of packed colours."""
    return values & 255, values >> 8 & 255, values >> 16 & 255


def palette_colour(number):
    """The colour that VOC's palette shows for a number: its bits, dealt out to the channels."""
    channels = [0, 0, 0]
    for place in range(3):
        for channel in range(3):
            channels[channel] |= (number >> (3 * place + channel) & 1) << (7 - place)
    return tuple(channels)


def _pixels(image):
    """The image as numbers and as colours, each [h, w]; None where it is not of that kind."""
    if image.mode == "P":
        return np.asarray(image).astype(np.int64), _packed(image)
    if image.mode in ("LA", "PA"):
        grey, alpha = np.moveaxis(np.asarray(image), -1, 0)
        return np.where(alpha > 0, grey, 0).astype(np.int64), None
    if image.mode in ("1", "L", "F") or image.mode.startswith("I"):
        return np.asarray(image).astype(np.int64), None
    return None, _packed(image)


def _packed(image):
    rgba = np.asarray(image.convert("RGBA")).astype(np.int64)
    # What is transparent is nothing, whatever colour it would have.
    return np.where(rgba[..., 3] > 0, pack(*np.moveaxis(rgba[..., :3], -1, 0)), 0)


def _cut(pixels):
    values, labels = np.unique(pixels, return_inverse=True)
    return values, labels.reshape(pixels.shape)  # some versions of NumPy give it flat


def _as_numbers(values):
    """Colours of VOC's palette as their numbers, else greys as theirs; None: neither."""
    known = {pack(*palette_colour(number)): number for number in range(VOID + 1)}
    if all(value in known for value in values.tolist()):
        return np.array([known[value] for value in values.tolist()])
    red, green, blue = unpack(values)
    return red if ((red == green) & (green == blue)).all() else None


def _main_colours(values, labels):
    """Soft edges counted to the main colour next to theirs."""
    counts = np.bincount(labels.ravel(), minlength=len(values))
    colours = np.stack(unpack(values), axis=-1)
    main = []
    for number in np.argsort(-counts, kind="stable").tolist():
        if main and counts[number] < LEAST_MAIN * labels.size:
            break
        if not main or (np.abs(colours[main] - colours[number]).max(axis=1) > NEAR).all():
            main.append(number)
    # Blurred edges make colours of their own, in bands too thin to have an inside.
    found = _nearest(colours, main)[labels]
    inner = found[1:-1, 1:-1]
    inside = np.ones(inner.shape, bool)
    for rows, columns in ((0, 1), (2, 1), (1, 0), (1, 2)):
        inside &= inner == found[rows:, columns:][: inner.shape[0], : inner.shape[1]]
    shares = np.bincount(inner[inside], minlength=len(main)) / np.bincount(found.ravel())
    wide = [number for number, share in zip(main, shares, strict=True) if share >= LEAST_INSIDE]
    main = wide or main
    return values[main], _nearest(colours, main)[labels]


def _nearest(colours, main):
    """Which of the main colours each colour is nearest to."""
    return np.stack([np.abs(colours - colours[one]).max(axis=1) for one in main]).argmin(axis=0)
