"""What a model found in one image: boxes, classes, scores, and masks in the form one asks for."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from object_detection.ops import outlines, paste
from object_detection.ops.paste import MaskCrop

MASK_THRESHOLD = 0.5


@dataclasses.dataclass(frozen=True, eq=False)
class Prediction:
    """What a model found in one image, the best first.

    Masks are kept small, as the model gave them (`box_masks`) or as the pixels around each object
    (`crops`); whole ones are made when they are asked for.
    """

    boxes: np.ndarray  # [d, 4] float32 (ymin, xmin, ymax, xmax) pixels of the image
    scores: np.ndarray  # [d] float32 0..1
    classes: np.ndarray  # [d] int32, ids of the label map
    names: Sequence[str]  # d names from the label map; "class 3" where it has none
    height: int  # of the image, upright
    width: int
    box_masks: np.ndarray | None = None  # [d, M, M] probabilities inside each box
    crops: Sequence[MaskCrop] | None = None  # d, instead of box_masks
    regions: np.ndarray | None = None  # [d] int, which of several given boxes each was found in

    def __len__(self):
        """How many objects were found."""
        return len(self.boxes)

    @property
    def has_masks(self):
        """Whether the model gives masks."""
        return self.box_masks is not None or self.crops is not None

    def crop(self, index, threshold=MASK_THRESHOLD):
        """The mask of one object as a `MaskCrop` (no more than its box), None without masks.

        Args:
            index: which object.
            threshold: probability above which a pixel is object. Masks that are `crops` were
                decided before; it does not change them.
        """
        if self.crops is not None:
            return self.crops[index]
        if self.box_masks is None:
            return None
        box = self.boxes[index]
        return paste.crop_mask(self.box_masks[index], box, self.height, self.width, threshold)

    def full_mask(self, index, height=None, width=None):
        """The mask of one object as bool [height, width] (the image's), None without masks."""
        size = (height or self.height, width or self.width)
        if self.crops is None and self.box_masks is not None:
            return paste.paste_mask(self.box_masks[index], self.boxes[index], *size) > 0.5
        if self.crops is None:
            return None
        if size != (self.height, self.width):
            raise ValueError(
                f"these masks are {self.height} x {self.width} pixels and cannot be had at "
                f"{size[0]} x {size[1]}; resize what full_mask gives"
            )
        return self.crops[index].full(*size)

    def full_masks(self):
        """All masks as bool [d, height, width], None without masks. Large; prefer `rles`."""
        if not self.has_masks:
            return None
        masks = np.zeros([len(self.boxes), self.height, self.width], bool)
        for k in range(len(masks)):
            crop = self.crop(k)
            masks[k][crop.window] = crop.pixels
        return masks

    def heat_map(self, index):
        """Mask probabilities of one object over the image, float32 [height, width] in 0..1.

        None without masks. Masks that are `crops` are 0 and 1.
        """
        if self.box_masks is None:
            return None if self.crops is None else self.full_mask(index).astype(np.float32)
        return paste.paste_mask(self.box_masks[index], self.boxes[index], self.height, self.width)

    def rles(self):
        """All masks at the image's size as COCO RLEs (`counts` in bytes), None without masks."""
        if not self.has_masks:
            return None
        return [paste.encode_crop(self.crop(k), self.height, self.width) for k in range(len(self))]

    def outlines(self, index, tolerance=0.0):
        """The parts of one mask with their holes, as `ops.outlines.trace` gives them.

        None without masks; an empty list for a mask of no pixel.
        """
        crop = self.crop(index)
        if crop is None:
            return None
        return outlines.trace(crop.pixels, crop.top, crop.left, tolerance)

    def polygons(self, tolerance=0.0):
        """All masks as COCO polygons, None without masks.

        Args:
            tolerance: pixels by which simpler polygons may miss the mask's border; 0 is exact.

        Returns:
            A list for each object with one [x0, y0, x1, y1, ...] for each of its parts. COCO's
            polygons know no holes: they are filled. `outlines` has them.
        """
        if not self.has_masks:
            return None
        return [
            [outlines.flat(part.exterior) for part in self.outlines(k, tolerance)]
            for k in range(len(self))
        ]

    def select(self, kept):
        """Those objects that `kept` numbers ([k] int, in that order) or marks ([d] bool)."""
        places = np.arange(len(self))[kept]

        def chosen(values):
            return None if values is None else values[places]

        return dataclasses.replace(
            self,
            boxes=self.boxes[places],
            scores=self.scores[places],
            classes=self.classes[places],
            names=tuple(self.names[k] for k in places),
            box_masks=chosen(self.box_masks),
            crops=None if self.crops is None else tuple(self.crops[k] for k in places),
            regions=chosen(self.regions),
        )


def unmold_mask(mask, box, image_shape, threshold=MASK_THRESHOLD):
    """A mask of a box as a mask of the image, as scoring services' clients need it.

    Args:
        mask: [M, M'] probabilities inside the box.
        box: (ymin, xmin, ymax, xmax) in pixels; parts outside the image are cut off.
        image_shape: (height, width) or (height, width, channels).
        threshold: probability above which a pixel is object.

    Returns:
        bool [height, width].

    Raises:
        ValueError: no mask of two dimensions, a box that is not four finite numbers, or no size.
    """
    mask = np.asarray(mask, np.float32)
    box = np.asarray(box, np.float64)
    height, width = (int(side) for side in tuple(image_shape)[:2])
    if mask.ndim != 2 or not mask.size:
        raise ValueError(f"the mask of a box must be [M, M], got {list(mask.shape)}")
    if box.shape != (4,) or not np.isfinite(box).all():
        raise ValueError(f"a box must be (ymin, xmin, ymax, xmax) in pixels, got {box.tolist()}")
    return paste.crop_mask(mask, box, height, width, threshold).full(height, width)
