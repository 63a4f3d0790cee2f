"""The codec of COCO run-length encodings (RLE): reads, checks, decodes and encodes them.

A mask is read column by column from top to bottom; its runs alternate between outside (first) and
inside the object. pycocotools trusts its input: runs that do not add up to the size of the image
make it read out of bounds or never return. Every run from outside therefore passes `check` first.

Needs NumPy only; encoding imports pycocotools when it is first called.
"""

import ast
import operator
from typing import NamedTuple

import numpy as np

from object_detection.errors import MaskError

MAX_PIXELS = 178_956_970  # of one mask; Pillow refuses larger images too
_MAX_GROUPS = 7  # groups of five bits of one number; pycocotools reads at most 32 bits


class Runs(NamedTuple):
    """A mask as checked run lengths."""

    height: int
    width: int
    counts: np.ndarray  # [n] int64, each at least 0, their sum is height * width


def parse(rle: dict, height: int | None = None, width: int | None = None) -> Runs:
    """Read and check a COCO RLE.

    Args:
        rle: {"size": [height, width], "counts": text, bytes or list of integers}. Text may be
            Python's `b'...'` of the bytes, as `str(counts)` writes it.
        height, width: Size of the image in pixels if known: the RLE must have this size.

    Raises:
        MaskError: Not an RLE, a size other than the image's, more than `MAX_PIXELS` pixels,
            or runs that do not add up to the size.
    """
    if not isinstance(rle, dict) or not {"size", "counts"} <= rle.keys():
        raise MaskError("run lengths need 'size' and 'counts'")
    return check(*read_size(rle["size"]), rle["counts"], height, width)


def decode(rle: dict, height: int | None = None, width: int | None = None) -> np.ndarray:
    """Return the mask of a COCO RLE as bool [height, width].

    Args:
        rle, height, width: As for `parse`.

    Raises:
        MaskError: As for `parse`.
    """
    runs = parse(rle, height, width)
    return unpack(runs.counts).reshape(runs.width, runs.height).T


def unpack(counts: np.ndarray) -> np.ndarray:
    """Return the pixels of checked runs in their order, bool [sum of the runs]."""
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts)


def normalize(rle: dict, height: int | None = None, width: int | None = None) -> dict:
    """Return an RLE of any accepted form checked, in the form that pycocotools takes.

    Args:
        rle, height, width: As for `parse`.

    Returns:
        {"size": [height, width], "counts": compressed bytes}.

    Raises:
        MaskError: As for `parse`.
    """
    return encode(parse(rle, height, width))


def encode(runs: Runs) -> dict:
    """Return checked runs as {"size": [height, width], "counts": compressed bytes}."""
    return compress(merge_empty(runs.counts).tolist(), runs.height, runs.width)


def compress(counts: list[int], height: int, width: int) -> dict:
    """Return runs as {"size": [height, width], "counts": compressed bytes}.

    Args:
        counts: Run lengths without empty ones after the first; they add up to height * width.
        height, width: Size of the image in pixels.
    """
    # Imported here: the client package reads run lengths without pycocotools.
    from pycocotools import mask as rle_codec

    return rle_codec.frPyObjects({"size": [height, width], "counts": counts}, height, width)


def counts_of_crop(pixels: np.ndarray, top: int, left: int, height: int, width: int) -> list[int]:
    """Return the run lengths of a mask that is zero outside a crop, without building the mask.

    Args:
        pixels: [h, w] bool, inside the image.
        top, left: Row and column of the crop's first pixel in the image.
        height, width: Size of the image in pixels.
    """
    # Lay the crop's columns one after the other, with a 0 before each and after the last: a run
    # begins or ends where two neighbors differ.
    crop_height, crop_width = pixels.shape
    columns = np.zeros(crop_width * (crop_height + 1) + 1, bool)
    columns[1:].reshape(crop_width, crop_height + 1)[:, :-1] = pixels.T
    borders = np.flatnonzero(columns[1:] != columns[:-1])
    # From positions in the crop's columns of height + 1 to positions in the image's columns.
    borders += borders // (crop_height + 1) * (height - crop_height - 1) + (left * height + top)
    # A run that touches the image's border continues in the next column: equal borders cancel.
    if len(borders) > 2 and crop_height == height:
        double = np.flatnonzero(borders[1:] == borders[:-1])
        borders = np.delete(borders, np.concatenate([double, double + 1]))
    counts = np.empty(len(borders) + 1, np.int64)
    counts[:-1], counts[-1] = borders, height * width
    counts[1:] -= borders
    return counts[:-1].tolist() if len(counts) > 1 and counts[-1] == 0 else counts.tolist()


def check(
    rle_height: int,
    rle_width: int,
    counts: bytes | str | list | tuple | np.ndarray,
    height: int | None = None,
    width: int | None = None,
) -> Runs:
    """Check runs against the size they state, and that size against the image's.

    Args:
        rle_height, rle_width: Size stated with the runs.
        counts: Compressed text or bytes, or integers.
        height, width: Size of the image in pixels; None: unknown.

    Raises:
        MaskError: As for `parse`.
    """
    own, stated = (rle_height, rle_width), (height, width)
    if min(own) < 1:
        raise MaskError(f"run lengths of an image of {own[0]} x {own[1]} pixels")
    if None not in stated and own != stated:
        raise MaskError(
            f"the size of the run lengths is {own[0]} x {own[1]} (height x width), the image is "
            f"{height} x {width}"
            + (": the two are exchanged, COCO writes [height, width]" * (own == stated[::-1]))
        )
    total = rle_height * rle_width
    if total > MAX_PIXELS:
        raise MaskError(f"run lengths of {own[0]} x {own[1]} pixels; at most {MAX_PIXELS} are read")
    try:
        numbers = read_counts(counts)
    except MaskError as error:
        raise MaskError(f"{error}; their size is {own[0]} x {own[1]}") from None
    if (numbers < 0).any():
        raise MaskError(f"run lengths of an image of {own[0]} x {own[1]} hold a negative number")
    if (numbers > total).any() or numbers.sum() != total:
        pixels = sum(numbers.tolist()) if len(numbers) < 1000 else "more or fewer"
        raise MaskError(
            f"run lengths add up to {pixels} pixels, an image of {own[0]} x {own[1]} has {total}"
        )
    return Runs(rle_height, rle_width, numbers)


def read_size(size: object) -> tuple[int, int]:
    """Return the (height, width) stated by an RLE; raises `MaskError`."""
    try:
        height, width = (whole_number(side) for side in (size if not isinstance(size, str) else ()))
    except (TypeError, ValueError):
        height = width = None
    if height is None or width is None:
        raise MaskError("the 'size' of the run lengths is not [height, width]")
    return height, width


def read_counts(counts: object) -> np.ndarray:
    """Return run lengths of any form as [n] int64; does not check their sum and signs.

    Raises:
        MaskError: Invalid characters, truncated text, or values that are not integers.
    """
    if isinstance(counts, str):
        counts = to_bytes(counts)
    if isinstance(counts, bytes):
        return _uncompressed(counts)
    if not isinstance(counts, list | tuple | np.ndarray):
        raise MaskError("the 'counts' of the run lengths are neither text nor numbers")
    try:
        numbers = np.asarray(counts)
        if numbers.ndim == 1 and numbers.dtype.kind == "i":
            return numbers.astype(np.int64)
        numbers = [whole_number(number) for number in counts]
    except (TypeError, ValueError, OverflowError):
        numbers = [None]
    if None in numbers:
        raise MaskError("the 'counts' of the run lengths are not all whole numbers")
    try:
        return np.array(numbers, np.int64)
    except OverflowError:
        raise MaskError("run lengths hold a number of more than 64 bits") from None


def to_bytes(text: str) -> bytes:
    """Return compressed counts that are text as bytes; the quotes of `b'...'` are removed.

    Raises:
        MaskError: Characters that compressed counts cannot contain.
    """
    if text[:2] in ("b'", 'b"'):  # compressed counts contain no quotes
        try:
            literal = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            literal = None
        if isinstance(literal, bytes):
            return literal
    try:
        return text.encode("ascii")
    except UnicodeEncodeError:
        raise MaskError(
            "the compressed run lengths are cut off or hold foreign characters"
        ) from None


def merge_empty(counts: np.ndarray) -> np.ndarray:
    """Return the same mask's runs without empty ones after the first.

    pycocotools does not expect later runs to be empty.

    Args:
        counts: [n] int64, checked.
    """
    if counts[1:].all():
        return counts
    kept = np.flatnonzero(counts)
    inside, lengths = kept % 2, counts[kept]
    starts = np.flatnonzero(np.diff(inside, prepend=-1))
    merged = np.add.reduceat(lengths, starts)
    return np.concatenate([[0], merged]) if inside[0] else merged


def whole_number(value: object) -> int | None:
    """Return an integral value as int, also 1.0 and "1"; None for anything else."""
    if type(value) is int:  # the common case, millions of times
        return value
    if isinstance(value, bool | np.bool_):
        return None
    if isinstance(value, str):
        text = value.strip()
        digits = text.removeprefix("-").removesuffix(".0")
        return int(text.removesuffix(".0")) if _is_short_number(digits) else None
    if isinstance(value, float | np.floating):
        return int(value) if value.is_integer() else None
    try:
        return operator.index(value)
    except TypeError:
        return None


def _is_short_number(digits):
    return digits.isascii() and digits.isdecimal() and len(digits) <= 1000


def _uncompressed(text):
    """Return the run lengths in COCO's compressed text.

    Each number is written in groups of five bits, lowest first, as characters from '0' on. Bit 5
    says that more groups follow, bit 4 of the last group is the sign. From the fourth number on the
    text holds the difference to the number two positions before.
    """
    codes = np.frombuffer(text, np.uint8).astype(np.int64) - 48
    if codes.size == 0 or codes.min() < 0 or codes.max() > 63 or codes[-1] & 32:
        raise MaskError("the compressed run lengths are cut off or hold foreign characters")
    ends = np.flatnonzero(codes < 32)  # the last group of each number
    lengths = np.diff(ends, prepend=-1)
    if lengths.max() > _MAX_GROUPS:
        raise MaskError("the compressed run lengths hold a number of more than 32 bits")
    starts = ends - lengths + 1
    position = np.arange(codes.size) - np.repeat(starts, lengths)
    counts = np.add.reduceat((codes & 31) << (5 * position), starts)
    counts -= (codes[ends] >> 4) << (5 * lengths)
    counts[1::2] = np.cumsum(counts[1::2])
    counts[2::2] = np.cumsum(counts[2::2])
    return counts
