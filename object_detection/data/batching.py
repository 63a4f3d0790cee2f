"""From examples to padded batches: the last place where boxes are fractions of the image."""

import numpy as np
import tensorflow as tf

from object_detection.data import ignore_regions, native_resize, report
from object_detection.data.mask_decoder import crop_masks
from object_detection.structures.batch import (
    Batch,
    CroppedMasks,
    GroundTruth,
    IgnoreRegions,
    Images,
)

_PER_BOX = ("boxes", "classes", "valid", "weights", "crowd", "difficult", "area")


def to_element(example, options):
    """Resizes an example's image and pads its lists of boxes.

    Args:
        example: `Example`.
        options: `PipelineOptions`.

    Returns:
        dict of tensors, one row of a batch; uint8 "pixels" are still to be resized. Training gives
        exactly `max_boxes` boxes, evaluation at least as many. Masks are never padded here, nor
        resized in training; in evaluation they get the size of the stored image, which they are
        compared in.
    """
    ignore = {}
    if example.ignore is not None:
        example, area = ignore_regions.split(example)
        ignore = {"ignore": area, "ignore_shape": tf.shape(area)}
    if native_resize.can_replace(options.resizer, example.image.dtype):
        size = tf.unstack(tf.shape(example.image)[:2])
        pixels, true_shape = example.image, tf.stack(options.resizer.true_shape(*size))
    else:
        pixels, true_shape = options.resizer(example.image)
    scale = tf.cast(tf.tile(true_shape, [2]), tf.float32)
    count = tf.shape(example.boxes_normalized)[0]
    element = {
        "pixels": pixels,
        "true_shape": true_shape,
        "boxes": example.boxes_normalized * scale,
        "classes": example.classes,
        "valid": tf.ones([count], tf.bool),
        "weights": example.weights,
        "crowd": example.crowd,
        "difficult": example.difficult,
        "area": example.area,
    }
    if example.group_of is not None:
        element["group_of"] = example.group_of
    for name in [*_PER_BOX, "group_of"]:
        if name in element:
            element[name] = _pad_boxes(element[name], count, options)
    element["image_id"] = example.id
    element["source_shape"] = tf.shape(example.image)[:2]
    element |= ignore
    if example.masks is not None:
        masks = _masks_to_batch(example, options)._asdict()
        element["masks"] = {name: value for name, value in masks.items() if value is not None}
    if not options.training and example.labels is not None:
        element["labels"] = example.labels
    if options.keep_source_pixels:
        element["source_pixels"] = example.image
    return element


def _masks_to_batch(example, options):
    """The example's masks in the form that the batch has them in."""
    masks = example.masks
    if not options.training:
        return masks.with_whole(_at_size(masks.pixels, tf.shape(example.image)[:2]))
    if options.crop_masks and masks.origin is None:
        return crop_masks(masks.pixels)._replace(present=masks.present)
    return masks


def batch_examples(elements, options, input_report):
    """Batches rows, padded to the largest of each batch.

    Returns:
        tf.data.Dataset of `Batch`.
    """
    seen = set()

    def count_and_name(ids, is_first):
        """Counts the examples; in evaluation makes their ids unique, which COCO's rules need."""
        input_report.examples += len(ids)
        if options.training:
            return ids
        if is_first:
            seen.clear()
        return _unique(ids, seen, input_report)

    late = elements.element_spec["pixels"].dtype == tf.uint8

    def to_batch(number, rows):
        if options.batch_size == 1:  # without a copy
            rows = tf.nest.map_structure(lambda value: value[tf.newaxis], rows)
        if late:
            shapes = rows["source_shape"], rows["true_shape"]
            resized = native_resize.resize_batch(options.resizer, rows["pixels"], *shapes)
            rows = {**rows, "pixels": resized}
        ids = tf.numpy_function(count_and_name, [rows["image_id"], number == 0], tf.string)
        ids.set_shape(rows["image_id"].shape)
        return _to_batch({**rows, "image_id": ids})

    if options.batch_size > 1:
        elements = elements.padded_batch(options.batch_size, drop_remainder=options.drop_remainder)
    return elements.enumerate().map(to_batch)


def _to_batch(rows):
    truth = GroundTruth(
        **{name: rows[name] for name in _PER_BOX},
        masks=CroppedMasks(**rows["masks"]) if "masks" in rows else None,
        group_of=rows.get("group_of"),
        ignore=(
            IgnoreRegions(rows["ignore"], rows["ignore_shape"], rows["true_shape"])
            if "ignore" in rows
            else None
        ),
    )
    return Batch(
        images=Images(rows["pixels"], rows["true_shape"]),
        truth=truth,
        image_id=rows["image_id"],
        source_shape=rows["source_shape"],
        source_pixels=rows.get("source_pixels"),
        labels=rows.get("labels"),
    )


def _pad_boxes(values, count, options):
    rest = [[0, 0]] * (values.shape.rank - 1)
    padded = tf.pad(values, [[0, tf.maximum(options.max_boxes - count, 0)], *rest])
    if options.training:
        padded = tf.ensure_shape(padded, [options.max_boxes, *values.shape[1:]])
    return padded


def _at_size(masks, size):
    """[g, h, w] masks at another size, by nearest neighbors as TFOD resizes them."""

    def resized():
        return tf.raw_ops.ResizeNearestNeighbor(images=masks[..., tf.newaxis], size=size)[..., 0]

    same = tf.reduce_all(tf.shape(masks)[1:] == size)
    return tf.cond(same | (tf.shape(masks)[0] == 0), lambda: masks, resized)


def _unique(ids, seen, input_report):
    """The ids, with a number added to those in `seen` (which is extended)."""
    named = []
    for identity in ids:
        fresh, times = identity, 1
        while fresh in seen:
            times += 1
            fresh = identity + b"#%d" % times
        if times > 1:
            input_report.note(report.DUPLICATE_ID, fresh.decode("utf-8", "replace"))
        seen.add(fresh)
        named.append(fresh)
    return np.array(named, dtype=object)
