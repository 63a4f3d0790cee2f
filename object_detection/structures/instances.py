"""Objects of one image, annotated or detected: what passes between all parts outside the network.

Needs NumPy only; encoding masks imports pycocotools when it is first called.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from object_detection.structures import coco_json
from object_detection.structures.masks import Masks

_ARRAYS = ("classes", "scores", "crowd", "difficult", "group_of", "area")


class ImageLabels(NamedTuple):
    """What is known of a whole image, as ids of the label map."""

    verified: frozenset = frozenset()  # classes that were looked for in the image
    negative: frozenset = frozenset()  # classes known to be absent
    not_exhaustive: frozenset = frozenset()  # classes whose objects are not all annotated


class Instances(NamedTuple):
    """Objects of one image, the numpy counterpart of a row of a `Batch`, without padding.

    Boxes are (ymin, xmin, ymax, xmax) in pixels of the image as stored. All arrays have length n.
    """

    height: int  # of the image, in pixels
    width: int
    boxes: np.ndarray  # [n, 4] float
    classes: np.ndarray  # [n] int, ids of the label map
    scores: np.ndarray | None = None  # [n] float in 0..1; None: annotated objects
    masks: Masks | None = None  # None: unknown, which differs from masks without pixels
    crowd: np.ndarray | None = None  # [n] bool; None: no object is a crowd
    difficult: np.ndarray | None = None  # [n] bool; Pascal's metrics do not require these
    group_of: np.ndarray | None = None  # [n] bool; boxes of several objects (Open Images)
    area: np.ndarray | None = None  # [n] COCO area in pixels; where not > 0 the box's area counts
    labels: ImageLabels | None = None  # None: nothing is known of the image as a whole

    @classmethod
    def empty(cls, height: int, width: int) -> "Instances":
        """Return no detections for an image."""
        return cls(height, width, np.zeros([0, 4]), np.zeros(0, np.int64), np.zeros(0))

    @classmethod
    def from_coco(
        cls, annotations: Sequence[dict], height: int, width: int, *, masks: bool = True
    ) -> "Instances":
        """Read the annotations or results of one image in COCO's json form.

        Args:
            annotations: Each with `category_id`, `bbox`, and optionally `score`, `area`, `iscrowd`
                and `segmentation`.
            height, width: Size of the image.
            masks: Whether to read segmentations. Either all annotations need one or none.

        Raises:
            ValueError: A box that is not four numbers. MaskError: Not a mask of this image.
        """
        rles = [
            coco_json.to_rle(each.get("segmentation"), height, width) if masks else None
            for each in annotations
        ]
        has_masks = masks and all(rle is not None for rle in rles)
        scored = bool(annotations) and all("score" in each for each in annotations)
        return cls(
            height,
            width,
            np.array([coco_json.read_box(each["bbox"]) for each in annotations]).reshape(-1, 4),
            np.array([each["category_id"] for each in annotations], np.int64),
            np.array([each["score"] for each in annotations], float) if scored else None,
            Masks.from_checked_rle(rles, height, width) if has_masks else None,
            crowd=np.array([bool(each.get("iscrowd")) for each in annotations], bool),
            area=np.array([each.get("area") or 0 for each in annotations], np.float64),
        )

    def to_coco(self, image_id: object) -> list[dict]:
        """Return the objects as entries of a COCO json, results if they have scores.

        Args:
            image_id: Written as given.
        """
        rles = None if self.masks is None else self.masks.to_rle()
        entries = []
        for k, (ymin, xmin, ymax, xmax) in enumerate(np.asarray(self.boxes, float).tolist()):
            entry = {
                "image_id": image_id,
                "category_id": int(self.classes[k]),
                "bbox": [xmin, ymin, xmax - xmin, ymax - ymin],
            }
            if self.scores is not None:
                entry["score"] = float(self.scores[k])
            else:
                entry["iscrowd"] = int(self.flags("crowd")[k])
                if self.area is not None:
                    entry["area"] = float(self.area[k])
            if rles is not None:
                size = [int(side) for side in rles[k]["size"]]
                entry["segmentation"] = {"size": size, "counts": rles[k]["counts"].decode("ascii")}
            entries.append(entry)
        return entries

    def select(self, index: np.ndarray) -> "Instances":
        """Return the objects that `index` marks ([n] bool) or numbers ([k] int, in that order)."""
        index = np.arange(len(self.boxes))[index]
        arrays = {
            name: np.asarray(values)[index]
            for name in _ARRAYS
            if (values := getattr(self, name)) is not None
        }
        masks = None if self.masks is None else self.masks.select(index)
        return self._replace(boxes=np.asarray(self.boxes)[index], masks=masks, **arrays)

    def flags(self, name: str) -> np.ndarray:
        """Return `crowd`, `difficult` or `group_of` as [n] bool, also where it is None."""
        values = getattr(self, name)
        return np.zeros(len(self.boxes), bool) if values is None else np.asarray(values, bool)

    def is_finite(self) -> np.ndarray:
        """Return [n] bool: whether an object's box, and score if any, are finite numbers."""
        finite = np.isfinite(np.asarray(self.boxes, np.float64).reshape(-1, 4)).all(axis=1)
        return finite if self.scores is None else finite & np.isfinite(self.scores)

    def encoded(self) -> "Instances":
        """Return the same objects with masks as run lengths, for several metrics of an image."""
        if self.masks is None:
            return self
        return self._replace(masks=self.masks.encoded())

    def resize(self, height: int, width: int) -> "Instances":
        """Return the objects in an image of another size; masks by nearest neighbors."""
        ratio = np.float32([height / self.height, width / self.width] * 2)
        masks = None if self.masks is None else self.masks.resize(height, width)
        return self._replace(height=height, width=width, boxes=self.boxes * ratio, masks=masks)

    def check(self, owner: str) -> None:
        """Check that all members describe the same objects and image.

        Args:
            owner: Begins the message, for example "Image '5': the ground truth".

        Raises:
            ValueError: Arrays of different lengths, or masks of another size than the image.
        """
        for name in (*_ARRAYS, "masks"):
            values = getattr(self, name)
            if values is not None and len(values) != len(self.boxes):
                raise ValueError(f"{owner} has {len(self.boxes)} boxes but {len(values)} {name}.")
        masks = self.masks
        if masks is not None and len(masks):
            if (masks.height, masks.width) != (self.height, self.width):
                raise ValueError(
                    f"{owner} has masks of {masks.height} x {masks.width} pixels (height x width), "
                    f"but the image is {self.height} x {self.width}."
                )


class EvaluatedImage(NamedTuple):
    """One image with its annotated objects and what a model detected in it."""

    image_id: str
    truth: Instances
    detections: Instances | None = None
    # [height, width, 3] uint8, or a function that reads them (None: the file cannot be read)
    pixels: np.ndarray | Callable[[], np.ndarray | None] | None = None
    name: str = ""  # file or record, for people
    ignore: dict | None = None  # RLE of the image's ignore regions

    @property
    def height(self) -> int:
        """Height of the image in pixels."""
        return self.truth.height

    @property
    def width(self) -> int:
        """Width of the image in pixels."""
        return self.truth.width

    def read_pixels(self) -> np.ndarray | None:
        """Return the pixels, [height, width, 3] uint8; None if they cannot be read."""
        return self.pixels() if callable(self.pixels) else self.pixels
