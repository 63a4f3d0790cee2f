"""Decodes tf.Example records in TFOD's format (its TfExampleDecoder's keys, types and fallbacks).

An unusable record raises an error: inside a graph an `InvalidArgumentError`, eagerly a `BadRecord`
with the reason. Unusable objects are dropped and counted.
"""

import functools
from typing import NamedTuple

import tensorflow as tf

from object_detection.data import ignore_regions, image_headers, mask_decoder, report
from object_detection.data.example import Example
from object_detection.structures.batch import CroppedMasks, ImageLabels

# Boxes may reach this far out of the image (in image sizes) and are clipped; beyond it they are
# taken for pixels. (TFOD stops at 0.1.)
_FARTHEST = 1.0
# Clipping by less than this is not reported: 32-bit rounding of the writer.
_ROUNDING = 1e-4
# Masks may differ from the image's shape by this share, as resized ones do.
_SHAPE_TOLERANCE = 0.02

_STRINGS = tf.io.FixedLenSequenceFeature([], tf.string, allow_missing=True)
_FLOATS = tf.io.FixedLenSequenceFeature([], tf.float32, allow_missing=True)
_INTS = tf.io.FixedLenSequenceFeature([], tf.int64, allow_missing=True)

_FEATURES = {
    "image/encoded": _STRINGS,
    "image/format": _STRINGS,
    "image/source_id": _STRINGS,
    "image/filename": _STRINGS,
    "image/height": _INTS,
    "image/width": _INTS,
    "image/object/bbox/ymin": _FLOATS,
    "image/object/bbox/xmin": _FLOATS,
    "image/object/bbox/ymax": _FLOATS,
    "image/object/bbox/xmax": _FLOATS,
    "image/object/class/label": _INTS,
    "image/object/class/text": _STRINGS,
    "image/object/area": _FLOATS,
    "image/object/is_crowd": _INTS,
    "image/object/difficult": _INTS,
    "image/object/weight": _FLOATS,
}
_IMAGE_LABELS = {
    "image/class/label": _INTS,
    "image/class/text": _STRINGS,
    "image/neg_category_ids": _INTS,
    "image/not_exhaustive_category_ids": _INTS,
}
# Masks cropped to their objects; a record that has them needs no others.
_BOX_MASKS = {
    "image/object/mask/box_png": _STRINGS,
    "image/object/mask/box_top": _INTS,
    "image/object/mask/box_left": _INTS,
}


class DecoderOptions(NamedTuple):
    """What to decode.

    `class_ids` maps class texts (names and display names of the label map) to ids; without it
    objects must have ids. `max_boxes` cuts longer lists; 0 keeps all. `load_image_labels` and
    `load_group_of` are for evaluation: LVIS' and Open Images' metrics need them.
    Objects with a text of `ignore_texts` are ignore regions.
    """

    num_classes: int
    class_ids: dict[str, int]
    load_masks: bool = False
    png_masks: bool = True
    max_boxes: int = 0
    load_image_labels: bool = False
    load_group_of: bool = False
    mask_options: mask_decoder.MaskDecodeOptions = mask_decoder.MaskDecodeOptions()
    ignore_texts: tuple[str, ...] = ()


class Decoded(NamedTuple):
    """An example with what decoding dropped or changed."""

    example: Example
    counts: tf.Tensor  # [len(report.OBJECT_REASONS)] int32
    unknown_texts: tf.Tensor  # string scalar: class texts missing in the label map, with commas


class BadRecord(Exception):
    """A record that cannot be used: one of the report's reasons, and the values."""

    def __init__(self, reason, detail):
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


class Decoder:
    """Callable: serialized record (string scalar) -> `Decoded`."""

    def __init__(self, options):
        self.options = options
        self.features = dict(_FEATURES)
        if options.load_masks:
            self.features["image/object/mask"] = _STRINGS if options.png_masks else _FLOATS
            self.features.update(_BOX_MASKS)
        if options.load_group_of:
            self.features["image/object/group_of"] = _INTS
        if options.load_image_labels:
            self.features.update(_IMAGE_LABELS)
        self._class_ids = _lookup_table(options.class_ids) if options.class_ids else None

    def __call__(self, serialized):
        parsed = self.parse(serialized)
        image = self.decode_image(parsed)
        boxes = _boxes(parsed)
        count = tf.shape(boxes)[0]
        classes, texts, ignored = self._classes(parsed, count)
        weights, lost_weights = _list_or(1.0, parsed["image/object/weight"], count)
        crowd, lost_crowd = _list_or(0, parsed["image/object/is_crowd"], count)
        difficult, lost_difficult = _list_or(0, parsed["image/object/difficult"], count)
        area, lost_area = _list_or(0.0, parsed["image/object/area"], count)
        source_id = _first(parsed["image/source_id"], "")
        example = Example(
            id=tf.where(source_id != "", source_id, _first(parsed["image/filename"], "")),
            image=image,
            boxes_normalized=boxes,
            classes=classes,
            weights=weights,
            crowd=crowd != 0,
            difficult=difficult != 0,
            area=area,
            labels=self._image_labels(parsed) if self.options.load_image_labels else None,
        )
        if self.options.load_masks:
            example = example._replace(masks=self._masks(parsed, count, image))
        if self.options.ignore_texts:
            example = self._with_ignore(example, parsed, count)
        ignored += lost_weights + lost_crowd + lost_difficult + lost_area
        if self.options.load_group_of:
            group_of, lost = _list_or(0, parsed["image/object/group_of"], count)
            example, ignored = example._replace(group_of=group_of != 0), ignored + lost
        return self._sort_out(example, texts, ignored)

    @functools.cached_property
    def in_graph(self):
        """The decoder as one step of a graph: free in the branch of a condition not taken."""
        return tf.function(
            self,
            input_signature=[tf.TensorSpec([], tf.string)],
            autograph=False,
            experimental_attributes={"_noinline": True},
        )

    def parse(self, serialized):
        """Parse to feature key -> its list of values, empty if the record lacks the key."""
        return tf.io.parse_single_example(serialized, self.features)

    def decode_image(self, parsed):
        """Decode the image, [h, w, 3] uint8."""
        encoded = _first(parsed["image/encoded"], "")
        require(encoded != "", report.NO_IMAGE, "image/encoded is missing or empty")
        size = tf.stack([_first(parsed["image/height"], 1), _first(parsed["image/width"], 1)])
        stored_shape = tf.concat([tf.maximum(size, 0), [3]], axis=0)
        is_raw = tf.strings.lower(_first(parsed["image/format"], "jpeg")) == "raw"
        image = tf.cond(
            is_raw,
            lambda: tf.reshape(tf.io.decode_raw(encoded, tf.uint8), stored_shape),
            lambda: _decoded_file(encoded),
        )
        return tf.ensure_shape(image, [None, None, 3])

    def _classes(self, parsed, count):
        """Class ids [g] int32, class texts [g] ('' if none), and the number of ignored lists.

        As in TFOD a text takes precedence over an id, and the id does not replace a text that the
        label map lacks. Unlike TFOD an empty text is no text: such an object's id is used.
        """
        labels, texts = parsed["image/object/class/label"], parsed["image/object/class/text"]
        if self._class_ids is None:
            require(
                (tf.size(labels) > 0) | (count == 0),
                report.NO_CLASSES,
                "image/object/class/label is empty, and class texts ({}) need a label_map_path",
                tf.size(texts),
            )
            texts = texts[:0]
        fits = (tf.size(labels) == count) | (tf.size(texts) == count)
        require(
            fits | (tf.size(labels) + tf.size(texts) > 0),
            report.NO_CLASSES,
            "{} boxes, but neither class labels nor class texts",
            count,
        )
        require(
            fits,
            report.UNEQUAL_LENGTHS,
            "{} boxes, {} class labels, {} class texts",
            count,
            tf.size(labels),
            tf.size(texts),
        )
        labels, ignored_labels = _list_or(-1, labels, count)  # an id that was stored may be 0
        texts, ignored_texts = _list_or("", texts, count)
        classes = tf.cast(tf.clip_by_value(labels, -1, tf.int32.max), tf.int32)
        if self._class_ids is not None:
            classes = tf.where(texts != "", self._class_ids.lookup(texts), classes)
        return classes, texts, ignored_labels + ignored_texts

    def _with_ignore(self, example, parsed, count):
        """The example with its ignore regions marked."""
        texts = _list_or("", parsed["image/object/class/text"], count)[0]
        names = tf.constant(self.options.ignore_texts)
        ignore = tf.reduce_any(texts[:, tf.newaxis] == names, axis=1)
        return example._replace(ignore=ignore, classes=tf.where(ignore, 0, example.classes))

    def _image_labels(self, parsed):
        """`ImageLabels`; verified classes are looked up by their texts, as objects' are."""
        texts, verified = parsed["image/class/text"], parsed["image/class/label"]
        if self._class_ids is not None:
            verified = tf.cond(
                tf.size(texts) > 0,
                lambda: tf.cast(self._class_ids.lookup(texts), verified.dtype),
                lambda: verified,
            )
        absent = parsed["image/neg_category_ids"], parsed["image/not_exhaustive_category_ids"]
        return ImageLabels(*(tf.cast(ids, tf.int32) for ids in (verified, *absent)))

    def _masks(self, parsed, count, image):
        """`CroppedMasks` of the objects."""
        image_size = tf.unstack(tf.shape(image)[:2])
        whole = self._png_masks if self.options.png_masks else self._numerical_masks
        stored = tf.size(parsed["image/object/mask"])
        cut = tf.size(parsed["image/object/mask/box_png"])
        has_masks = (stored + cut > 0) | (count == 0)
        masks = tf.cond(
            cut > 0,
            lambda: self._box_masks(parsed, count, image_size),
            lambda: tf.cond(
                has_masks,
                lambda: whole(parsed, count, image_size),
                lambda: mask_decoder.empty_masks(count, image_size, self.options.mask_options),
            ),
        )
        _require_same_shape(masks.shape, image_size)
        return masks._replace(present=tf.fill([count], has_masks))

    def _png_masks(self, parsed, count, image_size):
        stored = parsed["image/object/mask"]
        _require_masks(tf.size(stored), count)
        stored = _of_sane_size(stored, image_size)
        return mask_decoder.decode_png_masks(stored, image_size, self.options.mask_options)

    def _numerical_masks(self, parsed, count, image_size):
        stored = parsed["image/object/mask"]
        sizes = [_first(parsed[f"image/{side}"], 1) for side in ("height", "width")]
        sizes = [tf.cast(tf.clip_by_value(side, 0, tf.int32.max), tf.int32) for side in sizes]
        values = tf.size(stored)
        fits = mask_decoder.is_product(values, count, sizes) | mask_decoder.is_product(
            values, count, image_size
        )
        require(
            fits,
            report.MASK_COUNT,
            "{} mask values do not make {} masks of {} x {}",
            values,
            count,
            *sizes,
        )
        masks = mask_decoder.decode_numerical_masks(stored, count, sizes, image_size)
        crop = self.options.mask_options.crop
        return mask_decoder.crop_masks(masks) if crop else CroppedMasks.from_whole(masks)

    def _box_masks(self, parsed, count, image_size):
        """Masks that are stored cropped."""
        encoded = parsed["image/object/mask/box_png"]
        _require_masks(tf.size(encoded), count)
        corner = [parsed[f"image/object/mask/box_{side}"] for side in ("top", "left")]
        require(
            (tf.size(corner[0]) == count) & (tf.size(corner[1]) == count),
            report.UNEQUAL_LENGTHS,
            "image/object/mask/box_top has {} and box_left {} values for {} masks",
            tf.size(corner[0]),
            tf.size(corner[1]),
            count,
        )
        encoded = _of_sane_size(encoded, image_size)
        size = image_headers.stated_sizes(encoded)
        first = tf.stack(corner, axis=1)
        require(
            tf.reduce_all((first >= 0) & (first + size <= tf.cast(tf.stack(image_size), tf.int64))),
            report.MASK_SIZE,
            "a cropped mask reaches out of the image of {} x {} (height x width)",
            *image_size,
        )
        top, left = (tf.cast(tf.clip_by_value(axis, -1, tf.int32.max), tf.int32) for axis in corner)
        return mask_decoder.decode_box_masks(
            encoded, top, left, image_size, self.options.mask_options
        )

    def _sort_out(self, example, texts, ignored):
        """Clip the boxes, drop the unusable objects, and count both."""
        boxes = example.boxes_normalized
        finite = tf.reduce_all(tf.math.is_finite(boxes), axis=1)
        boxes = tf.where(finite[:, tf.newaxis], boxes, 0.0)
        outside = tf.reduce_any((boxes < -_ROUNDING) | (boxes > 1.0 + _ROUNDING), axis=1)
        boxes = tf.clip_by_value(boxes, 0.0, 1.0)
        has_area = tf.reduce_all(boxes[:, 2:] > boxes[:, :2], axis=1)
        swapped = tf.reduce_any(_is_swapped(example.boxes_normalized), axis=1)
        in_range = (example.classes >= 1) & (example.classes <= self.options.num_classes)
        in_range = example.ignore_or(in_range)
        unknown = (example.classes == -1) & (texts != "")
        usable = finite & has_area
        keep = usable & in_range

        index = tf.where(keep)[:, 0]
        kept = tf.size(index)
        if self.options.max_boxes:
            index = ignore_regions.select_first(index, example.ignore, self.options.max_boxes)
        mask_scaled = without_mask = False
        if example.masks is not None:
            without_mask = keep & ~example.masks.present
            image_size = tf.shape(example.image)[:2]
            mask_scaled = tf.reduce_any(example.masks.shape != image_size) & (kept > 0)
        counts = {
            report.BOX_NOT_FINITE: ~finite,
            report.BOX_WITHOUT_AREA: finite & ~has_area & ~swapped,
            report.BOX_SWAPPED: finite & ~has_area & swapped,
            report.UNKNOWN_CLASS_TEXT: usable & unknown,
            report.CLASS_ZERO: usable & ~in_range & (example.classes == 0),
            report.CLASS_OUT_OF_RANGE: usable & ~unknown & ~in_range & (example.classes != 0),
            report.LIST_IGNORED: ignored,
            report.BOX_CLIPPED: keep & outside,
            report.MASK_SCALED: mask_scaled,
            report.NO_MASK: without_mask,
            report.TOO_MANY_BOXES: kept - tf.size(index),
        }
        unknown_texts = tf.unique(tf.boolean_mask(texts, unknown))[0]
        return Decoded(
            example=example._replace(boxes_normalized=boxes).select(index),
            counts=tf.stack(
                [tf.reduce_sum(tf.cast(counts[r], tf.int32)) for r in report.OBJECT_REASONS]
            ),
            unknown_texts=tf.strings.reduce_join(unknown_texts, separator=", "),
        )


def require(condition, reason, detail, *values):
    """Raise unless `condition`: eagerly a `BadRecord`, in a graph an `InvalidArgumentError`."""
    if not tf.executing_eagerly():
        tf.debugging.Assert(condition, [reason, *values])
    elif not condition:
        raise BadRecord(reason, detail.format(*(int(value) for value in values)))


def _boxes(parsed):
    """[g, 4] float32 normalized boxes; NaN may be among them."""
    sides = [parsed[f"image/object/bbox/{side}"] for side in ("ymin", "xmin", "ymax", "xmax")]
    lengths = [tf.size(side) for side in sides]
    require(
        tf.reduce_all(tf.stack(lengths[1:]) == lengths[0]),
        report.UNEQUAL_LENGTHS,
        "image/object/bbox has {} ymin, {} xmin, {} ymax and {} xmax",
        *lengths,
    )
    boxes = tf.stack(sides, axis=1)
    finite = tf.where(tf.math.is_finite(boxes), boxes, 0.0)
    require(
        tf.reduce_all((finite >= -_FARTHEST) & (finite <= 1.0 + _FARTHEST)),
        report.PIXEL_BOXES,
        "coordinates reach {}; divide y by the image's height and x by its width",
        tf.reduce_max(tf.abs(finite)),
    )
    return boxes


def _is_swapped(boxes):
    """Of boxes [g, 4] which axes [g, 2] end before they begin."""
    return boxes[:, :2] > boxes[:, 2:] + _ROUNDING


def _decoded_file(encoded):
    """[h, w, 3] uint8 of an image file that states no more pixels than are read."""
    is_jpeg_xl = image_headers.is_jpeg_xl(encoded)
    require(~is_jpeg_xl, report.BAD_IMAGE, image_headers.JPEG_XL)
    size = image_headers.stated_size(encoded)
    is_sane = ~image_headers.has_too_many_pixels(size)
    require(is_sane, report.BAD_IMAGE, image_headers.TOO_MANY_PIXELS, *tf.unstack(size))
    # A graph may decode before it asserts: then it gets an empty string, which fails.
    encoded = tf.where(is_sane & ~is_jpeg_xl, encoded, "")
    return tf.io.decode_image(encoded, channels=3, expand_animations=False)


def _of_sane_size(encoded, image_size):
    """Mask files [g], checked for too many stated pixels; nothing is decoded.

    All together they may be as large as the image once for each, or as two of the largest files.
    """
    sizes = image_headers.stated_sizes(encoded)
    is_sane = ~tf.reduce_any(image_headers.has_too_many_pixels(sizes))
    is_sane &= ~tf.reduce_any(image_headers.is_jpeg_xl(encoded))
    require(is_sane, report.BAD_MASK, "a mask states too many pixels")
    pixels = tf.reduce_sum(tf.reduce_prod(sizes, axis=1))
    size = tf.cast(tf.stack([tf.size(encoded), *image_size]), tf.int64)
    two = tf.constant(2 * image_headers.MAX_PIXELS, tf.int64)
    fit = pixels <= tf.maximum(two, tf.reduce_prod(size))
    require(
        fit,
        report.BAD_MASK,
        "{} masks state {} pixels together, in an image of {} x {} (height x width)",
        *(tf.size(encoded), pixels, *image_size),
    )
    # A graph may decode before it asserts: then it gets an empty string, which fails.
    return tf.where(is_sane & fit, encoded, "")


def _require_masks(masks, boxes):
    require(masks == boxes, report.MASK_COUNT, "{} boxes and {} masks", boxes, masks)


def _require_same_shape(mask_size, image_size):
    ratios = tf.cast(mask_size, tf.float32) / tf.cast(tf.stack(image_size), tf.float32)
    require(
        tf.abs(ratios[0] / ratios[1] - 1.0) <= _SHAPE_TOLERANCE,
        report.MASK_SIZE,
        "masks of {} x {} in an image of {} x {} (height x width)",
        *tf.unstack(mask_size),
        *image_size,
    )


def _first(values, default):
    """The first of a list, or the default where it is empty."""
    return tf.concat([values, tf.cast(default, values.dtype)[tf.newaxis]], axis=0)[0]


def _list_or(default, values, count):
    """`values` if there are `count`, else defaults; and 1 if that loses a list."""
    size = tf.size(values)
    filled = tf.concat([values, tf.fill([count], tf.cast(default, values.dtype))], axis=0)[:count]
    ignored = tf.cast((size != count) & (size > 0), tf.int32)
    return tf.where(size == count, filled, tf.cast(default, values.dtype)), ignored


def _lookup_table(class_ids):
    texts, ids = list(class_ids), list(class_ids.values())
    content = tf.lookup.KeyValueTensorInitializer(
        tf.constant(texts, tf.string), tf.constant(ids, tf.int32)
    )
    return tf.lookup.StaticHashTable(content, default_value=-1)
