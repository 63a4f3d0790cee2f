"""Binary masks of the objects of one image, and the conversions between their forms.

A mask comes as probabilities inside a box, as COCO run lengths (RLE), as polygons, as a crop or as
an image. `Masks` keeps the form it is given and converts an object when it is read. A whole image's
mask is built only on request; encoding reads the runs off the crop.

Needs NumPy only; encoding and filling polygons import pycocotools when first called.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from object_detection.errors import MaskError
from object_detection.structures import polygons, run_lengths

MASK_THRESHOLD = 0.5
# Minimum height or width of a box, as a fraction of the image (TFOD).
_MIN_EXTENT = 1e-4


class CroppedMask(NamedTuple):
    """A mask stored as the part of the image that can hold the object; the rest is 0."""

    pixels: np.ndarray  # [h, w] bool or uint8, nonzero = object
    top: int = 0  # row and column of the first pixel in the image
    left: int = 0

    def full(self, height: int, width: int) -> np.ndarray:
        """Return the mask of the whole image, bool [height, width]; clips what lies outside."""
        mask = np.zeros((height, width), bool)
        rows, columns = self.pixels.shape
        top, left = max(self.top, 0), max(self.left, 0)
        bottom, right = min(self.top + rows, height), min(self.left + columns, width)
        if top < bottom and left < right:
            mask[top:bottom, left:right] = self.pixels[
                top - self.top : bottom - self.top, left - self.left : right - self.left
            ]
        return mask

    @property
    def window(self) -> tuple[slice, slice]:
        """(rows, columns) of the image that the crop covers."""
        height, width = self.pixels.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)

    def tight(self) -> "CroppedMask":
        """Return the same mask without the empty rows and columns at its sides."""
        rows = np.flatnonzero(self.pixels.any(axis=1))
        columns = np.flatnonzero(self.pixels.any(axis=0))
        if not len(rows):
            return CroppedMask(self.pixels[:0, :0], self.top, self.left)
        pixels = self.pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        return CroppedMask(pixels, self.top + int(rows[0]), self.left + int(columns[0]))

    def to_rle(self, height: int, width: int) -> dict:
        """Return the COCO RLE of a crop inside an image, {"size": .., "counts": bytes}."""
        pixels = self.pixels if self.pixels.dtype == bool else self.pixels > 0
        counts = run_lengths.counts_of_crop(pixels, self.top, self.left, height, width)
        return run_lengths.compress(counts, height, width)

    @classmethod
    def from_rle(cls, rle: dict, height: int | None = None, width: int | None = None):
        """Return a tight crop of a COCO RLE; raises `MaskError` like `run_lengths.parse`."""
        return cls(run_lengths.decode(rle, height, width)).tight()

    @classmethod
    def from_image(cls, mask: np.ndarray) -> "CroppedMask":
        """Return a tight bool crop of an image's mask [height, width], where > 0 is object."""
        # One maximum over the image, then only the columns that hold the object.
        columns = np.flatnonzero(mask.max(axis=0, initial=0) > 0)
        if not len(columns):
            return cls(np.zeros((0, 0), bool))
        left, right = columns[0], columns[-1] + 1
        rows = np.flatnonzero(mask[:, left:right].max(axis=1) > 0)
        top, bottom = rows[0], rows[-1] + 1
        return cls(mask[top:bottom, left:right] > 0, int(top), int(left))


class Masks:
    """Binary masks of n objects of one image, converted lazily from the form they came in.

    Example:
        masks = Masks.from_box_masks(probabilities, boxes, height, width)
        masks.to_rle()  # no full image is built
        masks.full(0)  # bool [height, width]
    """

    __slots__ = ("_boxes", "_crop", "_options", "_values", "height", "width")

    def __init__(self, crops: Sequence[CroppedMask], height: int, width: int):
        """Keep crops inside an image of height x width pixels."""
        self._set(height, width, crops, lambda masks, index: masks._values[index])

    def _set(self, height, width, values, crop, boxes=None, options=()):
        self.height, self.width = int(height), int(width)
        self._values, self._crop, self._boxes, self._options = values, crop, boxes, options
        return self

    @classmethod
    def from_rle(cls, rles: Iterable[dict], height: int, width: int) -> "Masks":
        """Check COCO RLEs of any accepted form and keep them.

        Raises:
            MaskError: As for `run_lengths.parse`; the message begins with the mask's index.
        """
        checked = []
        for index, rle in enumerate(rles):
            try:
                runs = run_lengths.parse(rle, height, width)
            except MaskError as error:
                raise MaskError(f"mask {index}: {error}") from None
            is_plain = isinstance(rle["counts"], bytes) and runs.counts[1:].all()
            checked.append(rle if is_plain else run_lengths.encode(runs))
        return cls.from_checked_rle(checked, height, width)

    @classmethod
    def from_checked_rle(cls, rles: list[dict], height: int, width: int) -> "Masks":
        """Keep RLEs that this package encoded or checked, with `counts` in bytes."""
        return cls.__new__(cls)._set(height, width, rles, _crop_of_rle)

    @classmethod
    def from_polygons(
        cls, objects: Iterable[Sequence[Sequence[float]]], height: int, width: int
    ) -> "Masks":
        """Fill polygons as COCO does.

        Args:
            objects: For each object its polygons, each (x0, y0, x1, y1, ...) in pixels.
            height, width: Size of the image.

        Raises:
            MaskError: As for `polygons.usable_polygons`, or no polygon of three points.
        """
        rles = []
        for parts in objects:
            parts = polygons.usable_polygons(parts)
            if not parts:
                raise MaskError("no polygon of three points or more")
            rles.append(polygons.to_rle(parts, height, width))
        return cls.from_checked_rle(rles, height, width)

    @classmethod
    def from_box_masks(
        cls,
        masks: np.ndarray,
        boxes: np.ndarray,
        height: int,
        width: int,
        *,
        paste: str = "tfod",
        threshold: float = MASK_THRESHOLD,
    ) -> "Masks":
        """Keep probabilities inside boxes.

        Args:
            masks: [n, M, M'] in 0..1.
            boxes: [n, 4] (ymin, xmin, ymax, xmax) in pixels; may reach beyond the image. The mask
                of a box that is not finite is empty.
            height, width: Size of the image.
            paste: A name in `PASTE_CONVENTIONS`.
            threshold: Probability above which a pixel is object.
        """
        _convention(paste)
        return cls.__new__(cls)._set(
            height, width, masks, _crop_of_box_mask, boxes, (threshold, paste)
        )

    @classmethod
    def from_dense(cls, masks: np.ndarray) -> "Masks":
        """Keep masks of the whole image, [n, height, width], where > 0 is object."""
        return cls.__new__(cls)._set(*masks.shape[1:], masks, _crop_of_image)

    @classmethod
    def from_padded_crops(
        cls, masks: np.ndarray, origins: np.ndarray, height: int, width: int
    ) -> "Masks":
        """Keep crops padded to one size.

        Args:
            masks: [n, h, w] where > 0 is object; may reach beyond the image with zeros.
            origins: [n, 2] (row, column) of each first pixel in the image.
            height, width: Size of the image.
        """
        return cls.__new__(cls)._set(height, width, masks, _crop_of_padded, None, origins)

    def __len__(self) -> int:
        """Return the number of masks."""
        return len(self._values)

    @property
    def box_masks(self) -> np.ndarray | None:
        """[n, M, M'] probabilities, where the masks were given inside boxes."""
        return self._values if self._boxes is not None else None

    def crop(self, index: int, threshold: float | None = None) -> CroppedMask:
        """Return the mask of one object, no larger than its box.

        Args:
            index: Which object.
            threshold: Probability above which a pixel is object, instead of the masks' own. Masks
                that were not given as probabilities ignore it.
        """
        if threshold is not None and self._boxes is not None:
            return crop_mask(
                self._values[index],
                self._boxes[index],
                self.height,
                self.width,
                threshold,
                self._options[1],
            )
        return self._crop(self, index)

    def full(self, index: int) -> np.ndarray:
        """Return the mask of one object in the whole image, bool [height, width]."""
        if self._crop is _crop_of_rle:
            return run_lengths.decode(self._values[index])
        return self.crop(index).full(self.height, self.width)

    def probabilities(self, index: int) -> np.ndarray:
        """Return the probabilities of one object in the whole image, float32 [height, width].

        Masks that were not given as probabilities are 0 and 1.
        """
        if self._boxes is None:
            return self.full(index).astype(np.float32)
        mask, box, (_, paste) = self._values[index], self._boxes[index], self._options
        return paste_mask(mask, box, self.height, self.width, paste)

    def to_rle(self) -> list[dict]:
        """Return COCO RLEs, each {"size": [height, width], "counts": bytes}."""
        if self._crop is _crop_of_rle:
            return list(self._values)
        return [self.crop(k).to_rle(self.height, self.width) for k in range(len(self))]

    def encoded(self) -> "Masks":
        """Return the same masks as RLEs, for several readers that each need them."""
        if self._crop is _crop_of_rle:
            return self
        return self.from_checked_rle(self.to_rle(), self.height, self.width)

    def outlines(self, index: int, tolerance: float = 0.0) -> list[polygons.Outline]:
        """Return the connected parts of one mask with their holes; see `polygons.trace`."""
        crop = self.crop(index)
        return polygons.trace(crop.pixels, crop.top, crop.left, tolerance)

    def to_polygons(self, tolerance: float = 0.0) -> list[list[list[float]]]:
        """Return COCO polygons: for each object one [x0, y0, x1, y1, ...] for each of its parts.

        Args:
            tolerance: Pixels by which simpler polygons may deviate; 0 is exact. COCO's polygons
                have no holes: holes are filled. `outlines` has them.
        """
        return [
            [polygons.flatten(part.exterior) for part in self.outlines(k, tolerance)]
            for k in range(len(self))
        ]

    def to_dense(self) -> np.ndarray:
        """Return all masks of the whole image, [n, height, width] uint8. Large: prefer RLEs."""
        masks = np.zeros([len(self), self.height, self.width], np.uint8)
        for k in range(len(self)):
            masks[k] = self.full(k)
        return masks

    def areas(self) -> np.ndarray:
        """Return the number of pixels of each mask, [n] int64."""
        return np.array([np.count_nonzero(self.crop(k).pixels) for k in range(len(self))], np.int64)

    def boxes(self) -> np.ndarray:
        """Return tight boxes (ymin, xmin, ymax, xmax), [n, 4] float32; zeros for empty masks."""
        boxes = np.zeros((len(self), 4), np.float32)
        for k in range(len(self)):
            crop = self.crop(k).tight()
            if crop.pixels.size:
                height, width = crop.pixels.shape
                boxes[k] = crop.top, crop.left, crop.top + height, crop.left + width
        return boxes

    def resize(self, height: int, width: int) -> "Masks":
        """Return the masks in an image of another size, by nearest neighbors, lazily."""
        return Masks.__new__(Masks)._set(height, width, self, _crop_of_resized)

    def select(self, index: np.ndarray) -> "Masks":
        """Return the masks that `index` numbers ([k] int, in that order) or marks ([n] bool)."""
        index = np.arange(len(self))[index]
        values, boxes, options = self._values, self._boxes, self._options
        if isinstance(values, Masks):
            values = values.select(index)
        else:
            values = values[index] if isinstance(values, np.ndarray) else [values[k] for k in index]
        boxes = None if boxes is None else boxes[index]
        options = options[index] if isinstance(options, np.ndarray) else options
        return Masks.__new__(Masks)._set(
            self.height, self.width, values, self._crop, boxes, options
        )


def _crop_of_rle(masks, index):
    return CroppedMask.from_rle(masks._values[index])


def _crop_of_image(masks, index):
    return CroppedMask.from_image(masks._values[index])


def _crop_of_padded(masks, index):
    top, left = masks._options[index].tolist()
    crop = CroppedMask.from_image(masks._values[index])
    return crop._replace(top=crop.top + top, left=crop.left + left)


def _crop_of_resized(masks, index):
    source = masks._values
    crop = source.crop(index)
    (top, rows), (left, columns) = (
        _nearest(start, count, old, new)
        for start, count, old, new in zip(
            (crop.top, crop.left),
            crop.pixels.shape,
            (source.height, source.width),
            (masks.height, masks.width),
            strict=True,
        )
    )
    return CroppedMask(crop.pixels[rows[:, np.newaxis], columns], top, left)


def _nearest(start, count, old_side, new_side):
    """Return the first new pixel that lies in a crop along one axis, and what all of them read."""
    source = np.minimum(np.arange(new_side) * old_side // new_side, old_side - 1) - start
    inside = np.flatnonzero((source >= 0) & (source < count))
    return (int(inside[0]), source[inside]) if len(inside) else (0, source[:0])


def _crop_of_box_mask(masks, index):
    box, (threshold, paste) = masks._boxes[index], masks._options
    return crop_mask(masks._values[index], box, masks.height, masks.width, threshold, paste)


def paste_mask(
    mask: np.ndarray, box: Sequence[float], height: int, width: int, convention: str = "tfod"
) -> np.ndarray:
    """Paste the mask of a box into its image.

    Args:
        mask: [M, M'] probabilities inside the box.
        box: (ymin, xmin, ymax, xmax) in pixels of the image; may reach beyond it.
        height, width: Size of the image.
        convention: How mask and box are aligned, a name in `PASTE_CONVENTIONS`.

    Returns:
        [height, width] float32 probabilities, 0 outside the box.
    """
    pixels, top, left = _convention(convention).paste(mask, box, height, width)
    pasted = np.zeros((height, width), np.float32)
    pasted[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return pasted


def crop_mask(
    mask: np.ndarray,
    box: Sequence[float],
    height: int,
    width: int,
    threshold: float = MASK_THRESHOLD,
    convention: str = "tfod",
) -> CroppedMask:
    """Return `paste_mask(...)` compared with a threshold, without building the whole image.

    Args:
        mask, box, height, width, convention: As for `paste_mask`.
        threshold: At least 0. Whether a pixel of exactly this value is object depends on the
            convention: "tfod" says no, "matterport" yes.

    Returns:
        A `CroppedMask` no larger than the box; an empty one if the box is not finite.
    """
    rule = _convention(convention)
    if not all(map(math.isfinite, box)):
        return CroppedMask(np.zeros((0, 0), bool))
    pixels, top, left = rule.paste(mask, box, height, width)
    return CroppedMask(rule.is_object(pixels, threshold), int(top), int(left))


def unmold_mask(
    mask: np.ndarray,
    box: Sequence[float],
    image_shape: Sequence[int],
    threshold: float = MASK_THRESHOLD,
    convention: str = "tfod",
) -> np.ndarray:
    """Return the mask of a box as a mask of its image, as clients of scoring services need it.

    Args:
        mask: [M, M'] probabilities inside the box.
        box: (ymin, xmin, ymax, xmax) in pixels; parts outside the image are cut off.
        image_shape: (height, width) or (height, width, channels).
        threshold: Probability from which a pixel is object; see `crop_mask`.
        convention: "tfod" gives the masks of `Predictor` and of the COCO metrics, "matterport"
            those of Matterport's and azoda's client code.

    Returns:
        Bool [height, width].

    Raises:
        ValueError: A mask that does not have two dimensions, a box that is not four finite
            numbers, or an unknown convention.
    """
    mask = np.asarray(mask, np.float32)
    box = np.asarray(box, np.float64)
    height, width = (int(side) for side in tuple(image_shape)[:2])
    if mask.ndim != 2 or not mask.size:
        raise ValueError(f"the mask of a box must be [M, M], got {list(mask.shape)}")
    if box.shape != (4,) or not np.isfinite(box).all():
        raise ValueError(f"a box must be (ymin, xmin, ymax, xmax) in pixels, got {box.tolist()}")
    return crop_mask(mask, box, height, width, threshold, convention).full(height, width)


class PasteConvention(NamedTuple):
    """A rule that aligns the pixels of a box's mask with those of its image."""

    # (mask, box, height, width) -> ([h, w] float32 pixels inside the image, top, left)
    paste: Callable[..., tuple[np.ndarray, int, int]]
    is_object: Callable[[np.ndarray, float], np.ndarray]  # compares with the threshold


def _convention(name):
    if name not in PASTE_CONVENTIONS:
        known = ", ".join(PASTE_CONVENTIONS)
        raise ValueError(f"unknown paste convention {name!r}; choose one of: {known}")
    return PASTE_CONVENTIONS[name]


def _paste_tfod(mask, box, height, width):
    """Paste as TFOD's `reframe_box_masks_to_image_masks`: outermost centers on the box's border."""
    mask = np.asarray(mask, np.float32)
    top, y, y_after, y_lerp = _tfod_samples(box[0], box[2], height, mask.shape[0])
    left, x, x_after, x_lerp = _tfod_samples(box[1], box[3], width, mask.shape[1])
    # In the order of TensorFlow's kernel: along x first, each as a + (b - a) * fraction. A mask has
    # fewer rows than the image, so stretch it along x first.
    before, lines = mask.take(x, axis=1), mask.take(x_after, axis=1)
    lines -= before
    lines *= x_lerp
    lines += before
    before, crop = lines.take(y, axis=0), lines.take(y_after, axis=0)
    crop -= before
    crop *= y_lerp[:, np.newaxis]
    crop += before
    return crop, top, left


def _tfod_samples(low, high, image_side, mask_side):
    """Return what the image's pixels read along one axis, as TensorFlow's crop_and_resize does.

    Args:
        low, high: Ends of the box in pixels of the image.
        image_side, mask_side: Number of pixels of the image and of the mask.

    Returns:
        first: The first pixel of the image inside the box; the arrays begin there.
        before, after: [n] int, the mask's pixels on either side.
        lerp: [n] float32, the fraction of the way from `before` to `after`.
    """
    low, high = np.float32(low) / np.float32(image_side), np.float32(high) / np.float32(image_side)
    extent = np.maximum(high - low, np.float32(_MIN_EXTENT))
    start, end = -low / extent, (np.float32(1.0) - low) / extent
    last = np.float32(mask_side - 1)
    if image_side > 1:
        step = (end - start) * last / np.float32(image_side - 1)
        point = start * last + np.arange(image_side, dtype=np.float32) * step
    else:
        point = np.array([0.5 * np.float64(start + end) * last], np.float32)
    # Points never decrease, so those inside the mask are one run.
    first = int(point.searchsorted(0, "left"))
    point = point[first : int(point.searchsorted(last, "right"))]
    before = np.floor(point)
    return first, before.astype(np.intp), np.ceil(point).astype(np.intp), point - before


def _paste_matterport(mask, box, height, width):
    """Paste as Matterport's `unmold_mask`: every value is a tile of a box of whole pixels.

    Unlike Matterport's it accepts boxes that reach beyond the image and boxes of less than a pixel.
    """
    mask = np.asarray(mask, np.float32)
    y1, x1, y2, x2 = (int(value) for value in box)  # fractions are cut off, as there
    y2, x2 = max(y2, y1 + 1), max(x2, x1 + 1)
    rows = np.arange(max(y1, 0), min(y2, height))
    columns = np.arange(max(x1, 0), min(x2, width))
    if not len(rows) or not len(columns):
        return np.zeros((0, 0), np.float32), 0, 0
    # Half a pixel inward, with zeros around the mask: skimage's resize.
    y = ((rows - y1 + 0.5) * mask.shape[0] / (y2 - y1) - 0.5 + 1).astype(np.float32)
    x = ((columns - x1 + 0.5) * mask.shape[1] / (x2 - x1) - 0.5 + 1).astype(np.float32)
    padded = np.pad(mask, 1)
    before, after = np.floor(x).astype(int), np.ceil(x).astype(int)
    lines = padded[:, before] + (padded[:, after] - padded[:, before]) * (x - before)
    before, after = np.floor(y).astype(int), np.ceil(y).astype(int)
    inside = lines[before] + (lines[after] - lines[before]) * (y - before)[:, np.newaxis]
    return inside, int(rows[0]), int(columns[0])


# A convention is one entry here.
PASTE_CONVENTIONS = {
    "tfod": PasteConvention(_paste_tfod, np.greater),
    "matterport": PasteConvention(_paste_matterport, np.greater_equal),
}
