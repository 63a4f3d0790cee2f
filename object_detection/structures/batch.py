"""The tensors that pass between the packages, and the letters used for their sizes.

Legend
    B  images in the batch               G  ground-truth boxes of an image (padded)
    N  anchors of an image               P  proposals of an image (padded)
    R  sampled rois of an image (padded) D  detections of an image (padded)
    C  classes, background not counted   L  levels of a feature pyramid
    H, W  height and width of the padded image; h, w those of a source mask
    M  side of a predicted mask

Boxes are (ymin, xmin, ymax, xmax) in pixels of the *resized* image everywhere inside the package.
Only the decoder (records) and `compat/outputs.py` (serving) know normalized boxes, and there the
variable says `_normalized`. Classes are 1..C as in the label map; 0 is background.
Padding is marked by `valid`, never by a value of a box or of a class.
"""

from typing import NamedTuple

import tensorflow as tf


class Images(NamedTuple):
    """A batch of resized images, padded at the bottom and on the right to one size."""

    pixels: tf.Tensor  # [B, H, W, 3] float32 in 0..255, RGB, padding 0
    true_shape: tf.Tensor  # [B, 2] int32 (height, width) of each image before padding


class CroppedMasks(NamedTuple):
    """Binary masks of K objects, each stored as a rectangle that holds its object.

    Shapes are those of one image; in a batch every member has a leading axis B. The rectangles of
    an image, and of a batch, are padded with zeros to one size.
    """

    pixels: tf.Tensor  # [K, h, w] uint8 of 0 and 1
    shape: tf.Tensor  # [2] int32 (height, width) of the whole masks of the image
    # [K, 2] int32 (row, column) in the whole mask of the first pixel; the whole mask is 0 outside
    # of the rectangle. None: `pixels` are the whole masks.
    origin: tf.Tensor | None = None
    present: tf.Tensor | None = None  # [K] bool; False: mask unknown, `pixels` is 0. None: all True

    @classmethod
    def from_whole(cls, pixels: tf.Tensor, present: tf.Tensor | None = None) -> "CroppedMasks":
        """Return the masks of one image from whole masks [K, h, w]."""
        return cls(pixels, tf.shape(pixels)[1:], present=present)

    def with_whole(self, pixels: tf.Tensor) -> "CroppedMasks":
        """Return the masks of one image with other whole masks [K, h, w] of the same objects."""
        return self._replace(pixels=pixels, shape=tf.shape(pixels)[1:])

    def select(self, index: tf.Tensor) -> "CroppedMasks":
        """Return the masks `index` ([k] integers) of one image."""

        def gather(values):
            return None if values is None else tf.gather(values, index)

        return CroppedMasks(
            gather(self.pixels), self.shape, gather(self.origin), gather(self.present)
        )


class IgnoreRegions(NamedTuple):
    """Parts of each image that are neither object nor background: nothing is learned from them."""

    area: tf.Tensor  # [B, h, w] uint8 of 0 and 1, at the size of the stored masks, padded
    shape: tf.Tensor  # [B, 2] int32 (height, width) of each image's own part of it
    true_shape: tf.Tensor  # [B, 2] int32 (height, width) of the resized image it covers


class GroundTruth(NamedTuple):
    """Annotations of a batch, padded to G boxes an image.

    Masks stay at the size they were stored in (architecture rule: masks stay small): they are
    never resized to the model's input. Mask k of image b belongs to box k of image b; there are
    K <= G masks, the largest count of the batch.
    """

    boxes: tf.Tensor  # [B, G, 4] float32, pixels of the resized image
    classes: tf.Tensor  # [B, G] int32, 1..C; 0 in padding
    valid: tf.Tensor  # [B, G] bool; False marks padding
    weights: tf.Tensor  # [B, G] float32 loss weight of each object (image/object/weight, else 1)
    crowd: tf.Tensor  # [B, G] bool
    difficult: tf.Tensor  # [B, G] bool
    area: tf.Tensor  # [B, G] float32 COCO area in source pixels; 0 where the record has none
    masks: CroppedMasks | None = None  # [B, K]; None: not loaded
    group_of: tf.Tensor | None = None  # [B, G] bool; boxes of several objects, in evaluation
    ignore: IgnoreRegions | None = None
    # [B, G, C] float32 target of the class loss, where an object may have several classes or none
    # (`classes` then is the first of the largest, or 0); None: the one of `classes`
    class_targets: tf.Tensor | None = None


class ImageLabels(NamedTuple):
    """Image-level labels for metrics that need them: ids of the label map, 0 in padding.

    The three lists are independent and may differ in length.
    """

    verified: tf.Tensor  # [B, k] int32 classes that were looked for (image/class)
    negative: tf.Tensor  # [B, k] int32 classes known to be absent (image/neg_category_ids)
    not_exhaustive: tf.Tensor  # [B, k] int32 (image/not_exhaustive_category_ids)


class Batch(NamedTuple):
    """Output of the input pipeline, for training and evaluation."""

    images: Images
    truth: GroundTruth
    image_id: tf.Tensor  # [B] string, unique in a data set (source_id, else from the record)
    source_shape: tf.Tensor  # [B, 2] int32 (height, width) of the image as stored
    source_pixels: tf.Tensor | None = None  # [B, h, w, 3] uint8, stored images, padded
    labels: ImageLabels | None = None  # in evaluation, where the metrics ask for them


class RPNOutput(NamedTuple):
    """First-stage predictions over all anchors."""

    objectness: tf.Tensor  # [B, N, 2] logits (background, object)
    deltas: tf.Tensor  # [B, N, (ty, tx, th, tw)]
    anchors: tf.Tensor  # [N, 4] pixels


class Proposals(NamedTuple):
    """Regions that the second stage classifies, sorted by score, without gradient."""

    boxes: tf.Tensor  # [B, P, 4] pixels, clipped to the true image; zeros in padding
    scores: tf.Tensor  # [B, P] objectness probability
    valid: tf.Tensor  # [B, P] bool


class Rois(NamedTuple):
    """Regions that the heads run on; in training with their targets."""

    boxes: tf.Tensor  # [B, R, 4] pixels
    valid: tf.Tensor  # [B, R] bool
    target_class: tf.Tensor | None = None  # [B, R] int32; 0 is background
    target_deltas: tf.Tensor | None = None  # [B, R, (ty, tx, th, tw)]
    gt_index: tf.Tensor | None = None  # [B, R] int32 index into the ground truth of a positive
    weight: tf.Tensor | None = None  # [B, R] loss weight: the object's for positives, else 1
    # With `GroundTruth.class_targets`, where an object may be of several classes or of none:
    class_targets: tf.Tensor | None = None  # [B, R, C + 1] float32; column 0 is background
    is_object: tf.Tensor | None = None  # [B, R] bool; None: where the target class is above 0

    @property
    def has_object(self):
        """[B, R] bool: whether a roi was matched with an object."""
        return self.target_class > 0 if self.is_object is None else self.is_object


class BoxOutput(NamedTuple):
    """Second-stage predictions for each roi."""

    class_logits: tf.Tensor  # [B, R, C + 1]; column 0 is background
    deltas: tf.Tensor  # [B, R, C or 1, (ty, tx, th, tw)]


class Detections(NamedTuple):
    """Final detections, sorted by score."""

    boxes: tf.Tensor  # [B, D, 4] pixels of the resized image; zeros in padding
    scores: tf.Tensor  # [B, D] probability; 0 in padding
    classes: tf.Tensor  # [B, D] int32, 1..C; 0 in padding
    valid: tf.Tensor  # [B, D] bool
    multiclass_scores: tf.Tensor | None = None  # [B, D, C + 1] with background
    anchor_index: tf.Tensor | None = None  # [B, D] int32 index of the proposal
    raw_boxes: tf.Tensor | None = None  # [B, P, 4] pixels: each proposal's box of its best class
    raw_scores: tf.Tensor | None = None  # [B, P, C + 1] probabilities with background
    masks: tf.Tensor | None = None  # [B, D, M, M] probabilities inside each box


class Losses(NamedTuple):
    """Named training losses, scalars, each already times its weight in the config."""

    rpn_localization: tf.Tensor
    rpn_objectness: tf.Tensor
    box_localization: tf.Tensor | None = None
    box_classification: tf.Tensor | None = None
    mask: tf.Tensor | None = None
