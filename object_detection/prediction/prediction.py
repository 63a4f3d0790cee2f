"""What a model found in one image: boxes, classes, scores, and masks in the form one asks for."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from object_detection.structures import polygons
from object_detection.structures.masks import (
    MASK_THRESHOLD,
    CroppedMask,
    crop_mask,
    paste_mask,
    unmold_mask,
)

__all__ = ["Prediction", "unmold_mask"]


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
    crops: Sequence[CroppedMask] | None = None  # d, instead of box_masks
    regions: np.ndarray | None = None  # [d] int, which of several given boxes each was found in

    def __len__(self):
        """How many objects were found."""
        return len(self.boxes)

    @property
    def has_masks(self):
        """Whether the model gives masks."""
        return self.box_masks is not None or self.crops is not None

    def crop(self, index, threshold=MASK_THRESHOLD):
        """The mask of one object as a `CroppedMask` (no more than its box), None without masks.

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
        return crop_mask(self.box_masks[index], box, self.height, self.width, threshold)

    def full_mask(self, index, height=None, width=None):
        """The mask of one object as bool [height, width] (the image's), None without masks."""
        size = (height or self.height, width or self.width)
        if self.crops is None and self.box_masks is not None:
            return paste_mask(self.box_masks[index], self.boxes[index], *size) > 0.5
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
        return paste_mask(self.box_masks[index], self.boxes[index], self.height, self.width)

    def rles(self):
        """All masks at the image's size as COCO RLEs (`counts` in bytes), None without masks."""
        if not self.has_masks:
            return None
        return [self.crop(k).to_rle(self.height, self.width) for k in range(len(self))]

    def outlines(self, index, tolerance=0.0):
        """The parts of one mask with their holes, as `ops.polygons.trace` gives them.

        None without masks; an empty list for a mask of no pixel.
        """
        crop = self.crop(index)
        if crop is None:
            return None
        return polygons.trace(crop.pixels, crop.top, crop.left, tolerance)

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
            [polygons.flatten(part.exterior) for part in self.outlines(k, tolerance)]
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
