"""Record keys that the detector does not use, decoded on request as TFOD's decoder gives them.

Each row of `EXTRA_FEATURES` says which keys it reads and how it makes its value from them. g is the
number of objects as stored: nothing is dropped here.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

_STRINGS = tf.io.FixedLenSequenceFeature([], tf.string, allow_missing=True)
_FLOATS = tf.io.FixedLenSequenceFeature([], tf.float32, allow_missing=True)
_INTS = tf.io.FixedLenSequenceFeature([], tf.int64, allow_missing=True)


class Parsing(NamedTuple):
    """Numbers that the shape of some features depends on."""

    num_keypoints: int = 0
    num_additional_channels: int = 0
    num_classes: int = 0


class Feature(NamedTuple):
    """Keys to parse, and the function (lists by key, Parsing) -> value."""

    keys: dict[str, tf.io.FixedLenSequenceFeature]
    decode: Callable


def features_of(name):
    """Feature key -> how it is parsed, for one row."""
    return EXTRA_FEATURES[name].keys


def _as_stored(key, kind, dtype=None):
    """The list itself."""

    def decode(parsed, parsing):
        del parsing
        return parsed[key] if dtype is None else tf.cast(parsed[key], dtype)

    return Feature({key: kind}, decode)


def _scalar(key, kind, default):
    """The first of the list, or the default."""

    def decode(parsed, parsing):
        del parsing
        values = parsed[key]
        return tf.concat([values, tf.constant([default], values.dtype)], axis=0)[0]

    return Feature({key: kind}, decode)


def _additional_channels(parsed, parsing):
    """[h, w, n] uint8, one gray image for each channel."""
    encoded = parsed["image/additional_channels/encoded"][: parsing.num_additional_channels]
    channels = tf.map_fn(
        lambda image: tf.io.decode_image(image, channels=1, expand_animations=False)[..., 0],
        encoded,
        fn_output_signature=tf.TensorSpec([None, None], tf.uint8),
    )
    return tf.transpose(channels, [1, 2, 0])


def _keypoints(parsed, parsing):
    """[g, num_keypoints, (y, x)] normalized; NaN where the keypoint is not visible or not known."""
    y, x = (parsed[f"image/object/keypoint/{axis}"] for axis in "yx")
    points = tf.reshape(tf.stack([y, x], axis=1), [-1, parsing.num_keypoints, 2])
    return tf.where(_visible(parsed, parsing)[..., tf.newaxis], points, float("nan"))


def _visibility(parsed):
    """[g * num_keypoints] int64: 2 where the record does not say; 0 where x is NaN."""
    stored = parsed["image/object/keypoint/visibility"]
    x = parsed["image/object/keypoint/x"]
    said = tf.cond(tf.size(stored) > 0, lambda: stored, lambda: tf.ones_like(x, tf.int64) * 2)
    return tf.where(tf.math.is_nan(x), tf.constant(0, tf.int64), said)


def _visible(parsed, parsing):
    """[g, num_keypoints] bool; visibility is 0 (not labelled), 1 (hidden) or 2 (visible)."""
    return tf.reshape(_visibility(parsed) > 0, [-1, parsing.num_keypoints])


def _multiclass_scores(parsed, parsing):
    """[g, num_classes + 1] scores with background."""
    scores = parsed["image/object/class/multiclass_scores"]
    return tf.reshape(scores, [-1, parsing.num_classes + 1])


def _keypoint_depths(parsed, parsing):
    return tf.reshape(parsed["image/object/keypoint/z"], [-1, parsing.num_keypoints])


def _context_features(parsed, parsing):
    """[n, length] float32."""
    del parsing
    length = tf.concat([parsed["image/context_feature_length"], [1]], axis=0)[0]
    return tf.reshape(parsed["image/context_features"], [-1, length])


_KEYPOINT_KEYS = {
    "image/object/keypoint/x": _FLOATS,
    "image/object/keypoint/y": _FLOATS,
    "image/object/keypoint/visibility": _INTS,
}
_CHANNELS_KEY = {"image/additional_channels/encoded": _STRINGS}
_SCORES_KEY = {"image/object/class/multiclass_scores": _FLOATS}
_CONTEXT_KEYS = {"image/context_features": _FLOATS, "image/context_feature_length": _INTS}
_DENSEPOSE = "image/object/densepose/"

EXTRA_FEATURES = {
    "filename": _scalar("image/filename", _STRINGS, ""),
    "key": _scalar("image/key/sha256", _STRINGS, ""),
    "format": _scalar("image/format", _STRINGS, "jpeg"),
    "height": _scalar("image/height", _INTS, 1),
    "width": _scalar("image/width", _INTS, 1),
    "image_class_texts": _as_stored("image/class/text", _STRINGS),
    "image_classes": _as_stored("image/class/label", _INTS),
    "image_confidences": _as_stored("image/class/confidence", _FLOATS),
    # The decoder looks their texts up.
    "verified_classes": Feature(
        {"image/class/label": _INTS, "image/class/text": _STRINGS},
        lambda parsed, parsing: parsed["image/class/label"],
    ),
    "negative_classes": _as_stored("image/neg_category_ids", _INTS),
    "not_exhaustive_classes": _as_stored("image/not_exhaustive_category_ids", _INTS),
    "group_of": _as_stored("image/object/group_of", _INTS, tf.bool),
    "truncated": _as_stored("image/object/truncated", _INTS, tf.bool),
    "mask_weights": _as_stored("image/object/mask/weight", _FLOATS),
    "track_ids": _as_stored("image/object/track/label", _INTS),
    "multiclass_scores": Feature(_SCORES_KEY, _multiclass_scores),
    "additional_channels": Feature(_CHANNELS_KEY, _additional_channels),
    "keypoints": Feature(_KEYPOINT_KEYS, _keypoints),
    "keypoint_visibilities": Feature(_KEYPOINT_KEYS, _visible),
    "keypoint_texts": _as_stored("image/object/keypoint/text", _STRINGS),
    "keypoint_depths": Feature({"image/object/keypoint/z": _FLOATS}, _keypoint_depths),
    "keypoint_depth_weights": _as_stored("image/object/keypoint/z/weights", _FLOATS),
    "context_features": Feature(_CONTEXT_KEYS, _context_features),
    "context_image_ids": _as_stored("image/context_features_image_id_list", _STRINGS),
    "densepose_counts": _as_stored(_DENSEPOSE + "num", _INTS),
    "densepose_parts": _as_stored(_DENSEPOSE + "part_index", _INTS),
    "densepose_y": _as_stored(_DENSEPOSE + "y", _FLOATS),
    "densepose_x": _as_stored(_DENSEPOSE + "x", _FLOATS),
    "densepose_v": _as_stored(_DENSEPOSE + "v", _FLOATS),
    "densepose_u": _as_stored(_DENSEPOSE + "u", _FLOATS),
}
