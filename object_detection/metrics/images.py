"""What evaluations take in: the truth of one image, what was found in it, and who was seen before.

Masks are arrays or COCO run-length codes, as the caller has them; `encoded` turns either into codes
once, for several evaluations of the same image.
"""

from typing import NamedTuple

import numpy as np

from object_detection.errors import MaskError
from object_detection.structures import run_lengths
from object_detection.structures.masks import Masks, paste_mask


class ImageLabels(NamedTuple):
    """What is known of a whole image, as ids of the label map."""

    verified: frozenset = frozenset()  # classes that were looked for in the image
    negative: frozenset = frozenset()  # classes known to be absent
    not_exhaustive: frozenset = frozenset()  # classes of which not every object is annotated


class ImageTruth(NamedTuple):
    """The annotated objects of one image, without padding."""

    boxes: np.ndarray  # [g, 4] (ymin, xmin, ymax, xmax) pixels of the stored image
    classes: np.ndarray  # [g] int, ids of the label map
    crowd: np.ndarray | None = None  # [g] bool; None: none is a crowd
    difficult: np.ndarray | None = None  # [g] bool; Pascal's metrics need not find these
    area: np.ndarray | None = None  # [g] COCO area in pixels; where not > 0 the box's area counts
    masks: np.ndarray | list | None = None  # [g, h, w] uint8 of the image's size, > 0 is object;
    #                                         or g COCO RLEs
    group_of: np.ndarray | None = None  # [g] bool; boxes of several objects (Open Images)
    labels: ImageLabels | None = None  # None: nothing is known of the image as a whole

    def full_mask(self, index, height, width):
        """The mask of object `index` as bool [height, width], or None without masks."""
        del height, width  # stored at the image's size already
        if self.masks is None:
            return None
        mask = self.masks[index]
        return run_lengths.decode(mask) if isinstance(mask, dict) else mask > 0

    def encoded(self):
        """The same with masks as a list of COCO RLEs."""
        if self.masks is None or isinstance(self.masks, list):
            return self
        return self._replace(masks=Masks.from_dense(self.masks).to_rle())

    def select(self, kept):
        """Those objects that `kept` marks ([g] bool) or numbers ([k] int)."""
        places = np.arange(len(self.boxes))[kept]
        arrays = {
            name: None if getattr(self, name) is None else np.asarray(getattr(self, name))[places]
            for name in ("boxes", "classes", "crowd", "difficult", "area", "group_of")
        }
        masks = self.masks
        if masks is not None:
            masks = [masks[k] for k in places] if _is_list(masks) else masks[places]
        return self._replace(masks=masks, **arrays)

    def flags(self, name):
        """`crowd`, `difficult` or `group_of` as [g] bool, also where it is None."""
        values = getattr(self, name)
        return np.zeros(len(self.boxes), bool) if values is None else np.asarray(values, bool)


class ImageDetections(NamedTuple):
    """What a model found in one image, without padding."""

    boxes: np.ndarray  # [d, 4] (ymin, xmin, ymax, xmax) pixels of the stored image
    scores: np.ndarray  # [d] 0..1
    classes: np.ndarray  # [d] int, ids of the label map
    masks: np.ndarray | list | None = None  # [d, M, M] probabilities in the box, or d COCO RLEs

    def full_mask(self, index, height, width):
        """The mask of detection `index` as bool [height, width], or None without masks."""
        if self.masks is None:
            return None
        if isinstance(self.masks[index], dict):
            return run_lengths.decode(self.masks[index])
        return paste_mask(self.masks[index], self.boxes[index], height, width) > 0.5

    def encoded(self, height, width):
        """The same with masks as a list of COCO RLEs; empty ones where a box is not finite."""
        if self.masks is None or isinstance(self.masks, list):
            return self
        masks = Masks.from_box_masks(self.masks, self.boxes, height, width)
        return self._replace(masks=masks.to_rle())

    def finite(self):
        """[d] bool: whether box and score of a detection are numbers."""
        boxes = np.asarray(self.boxes, np.float64).reshape(-1, 4)
        return np.isfinite(boxes).all(axis=1) & np.isfinite(self.scores)

    def select(self, kept):
        """Those that `kept` marks ([d] bool) or numbers ([k] int)."""
        places = np.arange(len(self.scores))[kept]
        masks = self.masks
        if masks is not None:
            masks = [masks[k] for k in places] if _is_list(masks) else masks[places]
        return ImageDetections(
            *(np.asarray(field)[places] for field in (self.boxes, self.scores, self.classes)), masks
        )


class Register:
    """Which images were added, told by their ids and their objects.

    Attributes:
        repeated_ids: ids given again for another image, which counts on its own.
        repeated_images: ids of the very same image given again, which is left out.
    """

    def __init__(self):
        self.repeated_ids = []
        self.repeated_images = []
        self._seen = {}  # image id -> fingerprints of its ground truth

    def is_repetition(self, image_id, truth, height, width):
        """Whether this very image was here before; notes ids that come more than once."""
        mark = (height, width, truth.boxes.tobytes(), np.asarray(truth.classes).tobytes())
        marks = self._seen.setdefault(image_id, set())
        if marks and mark in marks and len(truth.boxes):
            self.repeated_images.append(image_id)
            return True
        if marks:
            self.repeated_ids.append(image_id)
        marks.add(mark)
        return False


def text_of(image_id):
    """An image's id as text."""
    return image_id.decode(errors="replace") if isinstance(image_id, bytes) else str(image_id)


def order_of(names):
    """The places of images in COCO's order: by number where all ids are numbers, else as added.

    Where detections of two images score alike, the numbers hang on it.
    """
    places = range(len(names))
    if all(name.isdecimal() for name in names):
        return sorted(places, key=lambda place: int(names[place]))
    return list(places)


def check(image_id, truth, found, height, width):
    """Raises ValueError where arrays differ in length or size, or a run-length code is faulty.

    Codes may come from anywhere, and pycocotools trusts them.
    """
    _check_lengths(
        image_id,
        "ground truth",
        truth,
        ("classes", "crowd", "difficult", "area", "masks", "group_of"),
    )
    _check_lengths(image_id, "detections", found, ("scores", "classes", "masks"))
    _check_codes(image_id, "ground-truth", truth.masks, height, width)
    _check_codes(image_id, "detected", found.masks, height, width)
    masks = truth.masks
    if masks is None or not len(masks):
        return
    size = tuple(masks[0]["size"] if _is_list(masks) else masks.shape[1:])
    if size != (height, width):
        raise ValueError(
            f"Image {image_id!r} is {height} x {width} but its ground-truth masks are "
            f"{size[0]} x {size[1]}."
        )


def need_masks(image_id, found, metrics):
    """Raises ValueError where detections lack the masks that `metrics` (a name) compares."""
    if found.masks is None and len(found.boxes):
        raise ValueError(
            f"Image {image_id!r}: mask metrics are asked for, but the detections have "
            "no masks. Does the model predict masks (number_of_stages: 3, "
            f"predict_instance_masks: true)? If not, take {metrics} out of metrics_set."
        )


def allowed_classes(classes, labels, *, empty_means_all):
    """[d] bool: which detections are of a class that the image was verified for.

    Args:
        classes: [d] ids of the detections.
        labels: ImageLabels or None.
        empty_means_all: whether an image without a verified class counts for all classes.
    """
    verified = labels.verified if labels is not None else frozenset()
    if not verified and (empty_means_all or labels is None):
        return np.ones(len(classes), bool)
    return np.isin(classes, list(verified))


def _check_lengths(image_id, label, owner, fields):
    for field in fields:
        values = getattr(owner, field)
        if values is not None and len(values) != len(owner.boxes):
            raise ValueError(
                f"Image {image_id!r}: the {label} has {len(owner.boxes)} boxes but "
                f"{len(values)} {field}."
            )


def _check_codes(image_id, label, masks, height, width):
    """Raises ValueError where a mask among COCO RLEs is not one of the image."""
    for place, mask in enumerate(masks if _is_list(masks) else ()):
        try:
            if isinstance(mask, dict):
                run_lengths.parse(mask, height, width)
        except MaskError as fault:
            raise ValueError(f"Image {image_id!r}: {label} mask {place}: {fault}.") from None


def _is_list(masks):
    return isinstance(masks, list)
