"""Ground truth as TFOD's programs give it, a list of tensors a kind, as our `GroundTruth`."""

import tensorflow as tf
from absl import logging

from object_detection.structures.batch import CroppedMasks, GroundTruth

# Argument of provide_groundtruth -> the name under which groundtruth_lists gives it back; in the
# order in which TFOD takes them by position.
FIELDS = {
    "groundtruth_boxes_list": "boxes",
    "groundtruth_classes_list": "classes",
    "groundtruth_masks_list": "masks",
    "groundtruth_mask_weights_list": "mask_weights",
    "groundtruth_keypoints_list": "keypoints",
    "groundtruth_keypoint_visibilities_list": "keypoint_visibilities",
    "groundtruth_dp_num_points_list": "densepose_num_points",
    "groundtruth_dp_part_ids_list": "densepose_part_ids",
    "groundtruth_dp_surface_coords_list": "densepose_surface_coords",
    "groundtruth_track_ids_list": "track_ids",
    "groundtruth_temporal_offsets_list": "temporal_offsets",
    "groundtruth_track_match_flags_list": "track_match_flags",
    "groundtruth_weights_list": "weights",
    "groundtruth_confidences_list": "confidences",
    "groundtruth_is_crowd_list": "is_crowd",
    "groundtruth_group_of_list": "group_of",
    "groundtruth_area_list": "area",
    "is_annotated_list": "is_annotated",
    "groundtruth_labeled_classes": "groundtruth_labeled_classes",
    "groundtruth_verified_neg_classes": "groundtruth_verified_neg_classes",
    "groundtruth_not_exhaustive_classes": "groundtruth_not_exhaustive_classes",
    "groundtruth_keypoint_depths_list": "keypoint_depths",
    "groundtruth_keypoint_depth_weights_list": "keypoint_depth_weights",
    "groundtruth_image_classes": "groundtruth_image_classes",
    "training_step": "training_step",
}
# What Faster and Mask R-CNN learn from. The rest is kept for groundtruth_lists and nothing else,
# in TFOD as here: it belongs to other models, or to evaluation.
_LEARNED_FROM = ("boxes", "classes", "masks", "weights")
_OF_OTHER_MODELS = ("keypoints", "densepose_num_points", "track_ids", "temporal_offsets")
# Names that TFOD's own programs also ask by.
_ALIASES = {
    "groundtruth_boxes": "boxes",
    "groundtruth_classes": "classes",
    "groundtruth_instance_masks": "masks",
    "groundtruth_instance_mask_weights": "mask_weights",
    "groundtruth_weights": "weights",
    "groundtruth_confidences": "confidences",
    "groundtruth_is_crowd": "is_crowd",
    "groundtruth_group_of": "group_of",
    "groundtruth_area": "area",
}


class GroundTruthLists:
    """What `provide_groundtruth` was given last.

    Args:
        given: {argument: value}; None counts as not given.

    Raises:
        TypeError: an argument that TFOD has not got.
        ValueError: lists of different lengths.
    """

    def __init__(self, given):
        unknown = sorted(given.keys() - FIELDS.keys())
        if unknown:
            raise TypeError(
                f"provide_groundtruth has no argument {', '.join(unknown)}; it has "
                f"{', '.join(FIELDS)}"
            )
        self._lists = {FIELDS[name]: value for name, value in given.items() if value is not None}
        count = len(self._lists["boxes"])
        for field in _LEARNED_FROM:
            if field in self and len(self[field]) != count:
                raise ValueError(
                    f"provide_groundtruth: {count} images have boxes, {len(self[field])} have "
                    f"{field}"
                )
        ignored = [field for field in _OF_OTHER_MODELS if field in self]
        if ignored:
            logging.log_first_n(
                logging.WARNING,
                "provide_groundtruth: %s have no effect on Faster and Mask R-CNN.",
                1,
                ", ".join(ignored),
            )

    @classmethod
    def from_call(cls, positional, named) -> "GroundTruthLists":
        """The lists of a call with TFOD's arguments.

        Args:
            positional: values in the order of `FIELDS`.
            named: {argument: value}.

        Raises:
            TypeError: too many values, an argument given twice, or one that TFOD has not got.
            ValueError: lists of different lengths.
        """
        if len(positional) > len(FIELDS):
            raise TypeError(
                f"provide_groundtruth takes {len(FIELDS)} arguments, got {len(positional)}"
            )
        by_place = dict(zip(FIELDS, positional, strict=False))
        twice = sorted(by_place.keys() & named.keys())
        if twice:
            raise TypeError(f"provide_groundtruth: {', '.join(twice)} is given twice")
        return cls({**by_place, **named})

    def __contains__(self, field):
        return _ALIASES.get(field, field) in self._lists

    def __getitem__(self, field):
        field = _ALIASES.get(field, field)
        if field not in self._lists:
            raise RuntimeError(
                f"there is no ground truth called {field!r}; given were: "
                f"{', '.join(sorted(self._lists))}"
            )
        return self._lists[field]

    def to_ground_truth(self, true_shape, image_shape=None):
        """`GroundTruth` for images of these true shapes.

        Args:
            true_shape: [B, 2] int32 (height, width).
            image_shape: [2] int32 of the padded images. Masks of this size have been resized and
                padded as the images have (what TFOD's input pipeline gives, and what it demands
                with `resize_masks: false`); others cover the true image. None: no mask has.
        """
        scale = tf.tile(tf.cast(true_shape, tf.float32), [1, 2])[:, tf.newaxis]
        boxes = [tf.reshape(tf.cast(b, tf.float32), [-1, 4]) for b in self["boxes"]]
        valid = tf.sequence_mask([tf.shape(b)[0] for b in boxes])
        class_targets = _padded(self["classes"])
        # As in TFOD: with a column 0 of background before them, a row of zeros is of no class.
        with_background = tf.pad(class_targets, [[0, 0], [0, 0], [1, 0]])
        classes = tf.argmax(with_background, -1, output_type=tf.int32)
        shape = tf.shape(valid)
        weights = tf.cast(valid, tf.float32)
        if "weights" in self:
            weights = _padded(self["weights"])
        masks = None
        if "masks" in self:
            stored = self["masks"]
            if image_shape is not None:
                shapes = tf.unstack(true_shape, len(stored))
                stored = [
                    _without_padding(*of_image, image_shape)
                    for of_image in zip(stored, shapes, strict=True)
                ]
            mask_shape = tf.stack([tf.shape(m)[1:3] for m in stored])
            masks = CroppedMasks(tf.cast(_padded(stored) > 0, tf.uint8), mask_shape)
        return GroundTruth(
            boxes=_padded(boxes) * scale,
            classes=tf.where(valid, classes, 0),
            valid=valid,
            weights=weights,
            crowd=tf.zeros(shape, tf.bool),
            difficult=tf.zeros(shape, tf.bool),
            area=tf.zeros(shape),
            masks=masks,
            class_targets=class_targets,
        )


def _without_padding(masks, true_shape, image_shape):
    """Masks [G, h, w] of an image, cut to its true shape if they are as large as it is padded."""
    masks = tf.convert_to_tensor(masks)
    size = tf.shape(masks)[1:3]
    size = tf.where(tf.reduce_all(size == image_shape), true_shape, size)
    return masks[:, : size[0], : size[1]]


def _padded(tensors):
    """Stacks tensors of one rank, padded with zeros at the end of each axis."""
    ragged = [tf.cast(t, tf.float32) for t in tensors]
    most = tf.reduce_max(tf.stack([tf.shape(t) for t in ragged]), 0)
    return tf.stack(
        [tf.pad(t, tf.stack([tf.zeros_like(most), most - tf.shape(t)], 1)) for t in ragged]
    )
