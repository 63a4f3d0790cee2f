"""The detections of a model in one image, and how they are read from its outputs."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from object_detection.structures.instances import Instances
from object_detection.structures.masks import (
    MASK_THRESHOLD,
    CroppedMask,
    Masks,
    paste_mask,
    unmold_mask,
)
from object_detection.structures.polygons import Outline

__all__ = ["Prediction", "from_outputs", "unmold_mask"]


@dataclasses.dataclass(frozen=True, eq=False)
class Prediction:
    """Detections of a model in one image, best first.

    Masks are stored small, as the model gave them (`box_masks`) or as the pixels around each object
    (`crops`). Whole masks are built on request.
    """

    instances: Instances  # boxes in pixels of the upright image
    names: Sequence[str]  # d names from the label map; "class 3" for ids without a name
    regions: np.ndarray | None = None  # [d] int, index of the given box each was detected in

    def __len__(self) -> int:
        """Return the number of detections."""
        return len(self.instances.boxes)

    @property
    def boxes(self) -> np.ndarray:
        """[d, 4] float32 (ymin, xmin, ymax, xmax) in pixels of the image."""
        return self.instances.boxes

    @property
    def scores(self) -> np.ndarray:
        """[d] float32 in 0..1."""
        return self.instances.scores

    @property
    def classes(self) -> np.ndarray:
        """[d] int32 ids of the label map."""
        return self.instances.classes

    @property
    def height(self) -> int:
        """Height of the upright image in pixels."""
        return self.instances.height

    @property
    def width(self) -> int:
        """Width of the upright image in pixels."""
        return self.instances.width

    @property
    def masks(self) -> Masks | None:
        """The masks; None if the model gives boxes only."""
        return self.instances.masks

    @property
    def has_masks(self) -> bool:
        """Whether the model gives masks."""
        return self.masks is not None

    @property
    def box_masks(self) -> np.ndarray | None:
        """[d, M, M] probabilities inside each box; None if the model does not give these."""
        return self.masks.box_masks if self.has_masks else None

    @property
    def crops(self) -> tuple[CroppedMask, ...] | None:
        """The masks of a model that gives whole masks, as crops; None for box masks."""
        if not self.has_masks or self.box_masks is not None:
            return None
        return tuple(self.masks.crop(k) for k in range(len(self)))

    def crop(self, index: int, threshold: float = MASK_THRESHOLD) -> CroppedMask | None:
        """Return the mask of one object, no larger than its box; None without masks.

        Args:
            index: Which object.
            threshold: Probability above which a pixel is object. Only box masks depend on it.
        """
        return self.masks.crop(index, threshold) if self.has_masks else None

    def full_mask(
        self, index: int, height: int | None = None, width: int | None = None
    ) -> np.ndarray | None:
        """Return the mask of one object as bool [height, width]; None without masks.

        Args:
            index: Which object.
            height, width: Size of the result; the image's by default. Only box masks can be pasted
                into an image of another size.

        Raises:
            ValueError: Another size than the image's, of masks that are not box masks.
        """
        if not self.has_masks:
            return None
        size = (height or self.height, width or self.width)
        if size == (self.height, self.width):
            return self.masks.full(index)
        if self.box_masks is None:
            raise ValueError(
                f"these masks are {self.height} x {self.width} pixels and cannot be had at "
                f"{size[0]} x {size[1]}; resize what full_mask gives"
            )
        return paste_mask(self.box_masks[index], self.boxes[index], *size) > MASK_THRESHOLD

    def full_masks(self) -> np.ndarray | None:
        """Return all masks as bool [d, height, width]; None without masks. Large: prefer `rles`."""
        return self.masks.to_dense().astype(bool) if self.has_masks else None

    def heat_map(self, index: int) -> np.ndarray | None:
        """Return mask probabilities over the image, float32 [height, width]; None without masks.

        Masks that are not box masks are 0 and 1.
        """
        return self.masks.probabilities(index) if self.has_masks else None

    def rles(self) -> list[dict] | None:
        """Return all masks as COCO RLEs of the image (`counts` in bytes); None without masks."""
        return self.masks.to_rle() if self.has_masks else None

    def outlines(self, index: int, tolerance: float = 0.0) -> list[Outline] | None:
        """Return the parts of one mask with their holes; see `polygons.trace`.

        None without masks; an empty list for a mask without pixels.
        """
        return self.masks.outlines(index, tolerance) if self.has_masks else None

    def polygons(self, tolerance: float = 0.0) -> list[list[list[float]]] | None:
        """Return all masks as COCO polygons; None without masks.

        Args:
            tolerance: Pixels by which simpler polygons may deviate from the border; 0 is exact.

        Returns:
            For each object one [x0, y0, x1, y1, ...] for each of its parts. COCO's polygons have no
            holes: they are filled. `outlines` has them.
        """
        return self.masks.to_polygons(tolerance) if self.has_masks else None

    def select(self, kept: np.ndarray | Sequence[int] | slice) -> "Prediction":
        """Return the objects that `kept` numbers ([k] int, in that order) or marks ([d] bool)."""
        indices = np.arange(len(self))[kept]
        return Prediction(
            self.instances.select(indices),
            tuple(self.names[k] for k in indices),
            None if self.regions is None else self.regions[indices],
        )


def from_outputs(
    outputs: Mapping[str, np.ndarray],
    row: int,
    size: tuple[int, int],
    input_size: tuple[int, int],
    *,
    threshold: float,
    classes: np.ndarray | None,
    name_of: Callable[[int], str],
) -> Prediction:
    """Read one image's detections from the outputs of a model, best first.

    Args:
        outputs: Arrays of a batch under TFOD's names. Masks are `detection_masks` [B, N, M, M],
            probabilities inside each box; or masks of the image: `detection_masks_reframed`
            [B, N, h, w], or `detection_masks_rle` [B, N], the `counts` of COCO RLEs.
        row: Index of the image in the batch.
        size: (height, width) of the image whose pixels the result is in.
        input_size: (height, width) at which the model got it.
        threshold: Least score.
        classes: Ids to keep, or None for all.
        name_of: Returns the name of an id.
    """
    height, width = size
    count = int(outputs["num_detections"][row])
    scores = outputs["detection_scores"][row, :count]
    if "detection_classes" in outputs:
        numbers = outputs["detection_classes"][row, :count].astype(np.int32)
    else:  # a model of one stage proposes regions without a class
        numbers = np.ones(count, np.int32)
    is_kept = scores >= threshold
    if classes is not None:
        is_kept &= np.isin(numbers, classes)
    kept = np.flatnonzero(is_kept)
    kept = kept[np.argsort(-scores[kept], kind="stable")]
    boxes = outputs["detection_boxes"][row][kept]
    boxes = (boxes * np.array([height, width, height, width])).astype(np.float32)
    masks = _masks(outputs, row, kept, boxes, size, input_size)
    instances = Instances(height, width, boxes, numbers[kept], scores[kept], masks)
    return Prediction(instances, tuple(name_of(k) for k in numbers[kept]))


def _masks(outputs, row, kept, boxes, size, input_size):
    """Return the `Masks` of the kept detections; None if the model gives none."""
    if "detection_masks" in outputs:
        return Masks.from_box_masks(outputs["detection_masks"][row][kept], boxes, *size)
    if "detection_masks_reframed" in outputs:
        whole = outputs["detection_masks_reframed"][row]
        crops = [CroppedMask.from_image(whole[k]) for k in kept]
    elif "detection_masks_rle" in outputs:
        counts = outputs["detection_masks_rle"][row]
        crops = [
            CroppedMask.from_rle({"size": list(input_size), "counts": counts[k]}) for k in kept
        ]
    else:
        return None
    if tuple(size) != tuple(input_size):
        # The pixel whose center lies nearest, unlike `Masks.resize`.
        rows, columns = (
            (np.arange(new) * 2 + 1) * old // (2 * new)
            for new, old in zip(size, input_size, strict=True)
        )
        crops = [CroppedMask(crop.full(*input_size)[rows][:, columns]).tight() for crop in crops]
    return Masks(crops, *size)
