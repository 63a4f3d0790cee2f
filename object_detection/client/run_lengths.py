"""COCO's run-length codes, read and checked: the one way by which runs from outside come in.

A mask is columns from top to bottom, its runs alternately outside (first) and inside the object.
pycocotools trusts the runs that it gets: where they do not add up to the size of the image it reads
beyond its memory or never returns. Nothing gets there, and nothing is unpacked, unchecked.
"""

import ast
import operator
from typing import NamedTuple

import numpy as np

MAX_PIXELS = 178_956_970  # of one mask; Pillow refuses larger images too
_LONGEST_NUMBER = 7  # groups of five bits: more than pycocotools' 32 bits are a fault


class RunLengthError(ValueError):
    """Runs that make up no mask of the image; the sentence says why."""


class Runs(NamedTuple):
    """A mask as checked run lengths."""

    height: int
    width: int
    counts: np.ndarray  # [n] int64, 0 or more, of the sum height * width


def parse(rle: dict, height: int | None = None, width: int | None = None) -> Runs:
    """Read and check a COCO run-length code.

    Args:
        rle: {"size": [height, width], "counts": text, bytes or list of whole numbers}. Text may be
            Python's `b'...'` of the bytes, as `str(counts)` writes it.
        height, width: of the image in pixels, where they are known: the code has to have this size.

    Raises:
        RunLengthError: no such code, another size than the image's, more than `MAX_PIXELS`, or
            runs that do not add up.
    """
    if not isinstance(rle, dict) or not {"size", "counts"} <= rle.keys():
        raise RunLengthError("run lengths need 'size' and 'counts'")
    return check(*read_size(rle["size"]), rle["counts"], height, width)


def decode(rle: dict, height: int | None = None, width: int | None = None) -> np.ndarray:
    """Return the mask of a COCO run-length code as bool [height, width].

    Args:
        rle, height, width: as `parse` takes them; it says what it raises.
    """
    runs = parse(rle, height, width)
    return unpack(runs.counts).reshape(runs.width, runs.height).T


def unpack(counts: np.ndarray) -> np.ndarray:
    """Return the pixels of checked runs in their order, bool [sum of the runs]."""
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts)


def check(
    rle_height: int,
    rle_width: int,
    counts: bytes | str | list | tuple | np.ndarray,
    height: int | None = None,
    width: int | None = None,
) -> Runs:
    """Check runs against the size they state, and that against the image's.

    Args:
        rle_height, rle_width: the size that belongs to the runs.
        counts: compressed text or bytes, or whole numbers.
        height, width: of the image in pixels; None: not known.

    Raises:
        RunLengthError: as `parse` says.
    """
    own, stated = (rle_height, rle_width), (height, width)
    if min(own) < 1:
        raise RunLengthError(f"run lengths of an image of {own[0]} x {own[1]} pixels")
    if None not in stated and own != stated:
        raise RunLengthError(
            f"the size of the run lengths is {own[0]} x {own[1]} (height x width), the image is "
            f"{height} x {width}"
            + (": the two are exchanged, COCO writes [height, width]" * (own == stated[::-1]))
        )
    total = rle_height * rle_width
    if total > MAX_PIXELS:
        raise RunLengthError(
            f"run lengths of {own[0]} x {own[1]} pixels; at most {MAX_PIXELS} are read"
        )
    try:
        numbers = read_counts(counts)
    except RunLengthError as fault:
        raise RunLengthError(f"{fault}; their size is {own[0]} x {own[1]}") from None
    if (numbers < 0).any():
        raise RunLengthError(
            f"run lengths of an image of {own[0]} x {own[1]} hold a negative number"
        )
    if (numbers > total).any() or numbers.sum() != total:
        pixels = sum(numbers.tolist()) if len(numbers) < 1000 else "more or fewer"
        raise RunLengthError(
            f"run lengths add up to {pixels} pixels, an image of {own[0]} x {own[1]} has {total}"
        )
    return Runs(rle_height, rle_width, numbers)


def read_size(size: object) -> tuple[int, int]:
    """Return the (height, width) that a code states; raises `RunLengthError`."""
    try:
        height, width = (whole_number(side) for side in (size if not isinstance(size, str) else ()))
    except (TypeError, ValueError):
        height = width = None
    if height is None or width is None:
        raise RunLengthError("the 'size' of the run lengths is not [height, width]")
    return height, width


def read_counts(counts: object) -> np.ndarray:
    """Return run lengths of any form as [n] int64; their sum and signs are not checked.

    Raises:
        RunLengthError: foreign characters, a code that is cut off, or no whole numbers.
    """
    if isinstance(counts, str):
        counts = to_bytes(counts)
    if isinstance(counts, bytes):
        return _uncompressed(counts)
    if not isinstance(counts, list | tuple | np.ndarray):
        raise RunLengthError("the 'counts' of the run lengths are neither text nor numbers")
    try:
        numbers = np.asarray(counts)
        if numbers.ndim == 1 and numbers.dtype.kind == "i":
            return numbers.astype(np.int64)
        numbers = [whole_number(number) for number in counts]
    except (TypeError, ValueError, OverflowError):
        numbers = [None]
    if None in numbers:
        raise RunLengthError("the 'counts' of the run lengths are not all whole numbers")
    try:
        return np.array(numbers, np.int64)
    except OverflowError:
        raise RunLengthError("run lengths hold a number of more than 64 bits") from None


def to_bytes(text: str) -> bytes:
    """Return compressed counts that are text as bytes; `b'...'` loses its quotes.

    Raises:
        RunLengthError: characters that no code has.
    """
    if text[:2] in ("b'", 'b"'):  # no code has a quote
        try:
            literal = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            literal = None
        if isinstance(literal, bytes):
            return literal
    try:
        return text.encode("ascii")
    except UnicodeEncodeError:
        raise RunLengthError(
            "the compressed run lengths are cut off or hold foreign characters"
        ) from None


def merge_empty(counts: np.ndarray) -> np.ndarray:
    """Return the same mask's runs without empty ones after the first, on which pycocotools trips.

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
    """Return a number that is whole as int, also 1.0 and "1"; None for anything else."""
    if type(value) is int:  # of a million values almost every one
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
    """The run lengths in COCO's compressed text.

    Each number is written in groups of five bits, lowest first, as characters from '0' on; bit 5
    says that more follow, bit 4 of the last group is the sign. From the fourth number on it is the
    difference to the number two places before.
    """
    codes = np.frombuffer(text, np.uint8).astype(np.int64) - 48
    if codes.size == 0 or codes.min() < 0 or codes.max() > 63 or codes[-1] & 32:
        raise RunLengthError("the compressed run lengths are cut off or hold foreign characters")
    ends = np.flatnonzero(codes < 32)  # the last group of each number
    lengths = np.diff(ends, prepend=-1)
    if lengths.max() > _LONGEST_NUMBER:
        raise RunLengthError("the compressed run lengths hold a number of more than 32 bits")
    starts = ends - lengths + 1
    place = np.arange(codes.size) - np.repeat(starts, lengths)
    counts = np.add.reduceat((codes & 31) << (5 * place), starts)
    counts -= (codes[ends] >> 4) << (5 * lengths)
    counts[1::2] = np.cumsum(counts[1::2])
    counts[2::2] = np.cumsum(counts[2::2])
    return counts
