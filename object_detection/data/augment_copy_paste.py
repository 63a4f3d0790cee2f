"""Copy-paste: objects of one example, by their masks, onto another.

The only augmentation that needs a second example. It takes the one before it in the (shuffled)
stream, as the steps before this one have left it; so a seed and a position in the stream decide
everything, and an interrupted run can go on exactly.
"""

from dataclasses import dataclass

import tensorflow as tf

from object_detection.data import augment_visible
from object_detection.data.augment_geometry import augment
from object_detection.data.augment_objects import joined
from object_detection.data.augment_scale import scaled_onto, shrunk
from object_detection.data.example import IGNORE


@dataclass(frozen=True)
class CopyPaste:
    """Pastes objects of another example, which both must have masks.

    What they cover is taken off the masks below. An object of which less than `min_visible` is
    left is dropped, the others' boxes are drawn around what is left.

    Attributes:
        probability: that anything is pasted.
        object_probability: of each object of the other example to be pasted; never of crowds and
            ignore regions.
        max_objects: that are pasted at most.
    """

    probability: float = 1.0
    object_probability: float = 0.5
    min_visible: float = 0.1
    max_objects: int = 100

    def __call__(self, example, other, seed):
        seeds = tf.unstack(tf.random.split(seed, 3))
        drawn = tf.random.stateless_uniform(tf.shape(other.classes), seeds[0])
        filled = tf.reduce_max(other.masks, axis=[1, 2]) > 0
        chosen = (drawn < self.object_probability) & ~other.crowd & filled
        chosen &= other.classes != IGNORE
        index = tf.where(chosen)[: self.max_objects, 0]
        anything = tf.random.stateless_uniform([], seeds[1]) < self.probability
        place = tf.random.stateless_uniform([2], seeds[2])
        return tf.cond(
            anything & (tf.size(index) > 0),
            lambda: self.pasted(example, other.select(index), place),
            lambda: example,
        )

    def pasted(self, example, other, place):
        """The example with all objects of another one on it.

        The other image is scaled to fit into the example's; `place` [2] of 0..1 is where it lies in
        what room that leaves.
        """
        other = _fitted(other, tf.shape(example.image)[:2], place)
        union = tf.reduce_max(other.masks, axis=0, keepdims=True)
        covered = shrunk(union, tf.shape(example.image)[:2])[0, :, :, tf.newaxis]
        image = tf.where(covered > 0, tf.cast(other.image, example.image.dtype), example.image)
        masks = shrunk(other.masks, tf.shape(example.masks)[1:])
        above = augment_visible.drop_vanished(other, other._replace(masks=masks))
        below = example._replace(masks=example.masks * (1 - tf.reduce_max(masks, 0)[tf.newaxis]))
        below = augment_visible.cut_to_seen(example, below, self.min_visible)
        return joined(below._replace(image=image), above)


def number_before(augmentations):
    """How many examples ahead of its own an example needs: 1 with copy-paste, else 0."""
    return int(any(isinstance(step, CopyPaste) for step in augmentations))


def augmented(stream, begin, augmentations, finish, *, lead=0):
    """A stream of records as augmented elements, in order.

    Args:
        stream: tf.data.Dataset of anything.
        begin: maps its elements to (`Example`, seed [2] int64).
        augmentations: in turn; at most one `CopyPaste`.
        finish: maps an augmented `Example` to the element wanted.
        lead: how many records at the start of the stream only serve those after them.

    Returns:
        tf.data.Dataset of `lead` elements less than `stream`.
    """

    def mapped(dataset, function):
        return dataset.map(function, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)

    kinds = [isinstance(step, CopyPaste) for step in augmentations]
    if not any(kinds):
        return mapped(stream, lambda row: finish(_started(begin, augmentations, row)[0]))
    at = kinds.index(True)

    def paste(example, other, seed):
        of_paste = tf.random.experimental.stateless_fold_in(seed, at)
        example = augmentations[at](example, other, of_paste)
        return finish(augment(example, augmentations[at + 1 :], seed, first=at + 1))

    started = mapped(stream, lambda row: _started(begin, augmentations[:at], row))
    return mapped(_with_the_one_before(started).skip(lead), paste)


def _started(begin, augmentations, row):
    example, seed = begin(row)
    return augment(example, augmentations, seed), seed


def _with_the_one_before(examples):
    """(example, the one before it, seed) of a dataset of (`Example`, seed); none before the first.

    Raises:
        ValueError: examples without masks.
    """
    spec, _ = examples.element_spec
    if not isinstance(spec.masks, tf.TensorSpec):
        raise ValueError(
            "copy_paste needs masks: set train_input_reader.load_instance_masks to true, or take "
            "the step out of train_config.data_augmentation_options."
        )
    # A state holds tensors alone; what an example may lack is lacking in all of them.
    kept = [k for k in spec._fields if isinstance(getattr(spec, k), tf.TensorSpec)]
    none = {name: _empty(getattr(spec, name)) for name in kept}

    def step(before, row):
        example, seed = row
        other = example._replace(**before)
        return {name: getattr(example, name) for name in kept}, (example, other, seed)

    return examples.scan(none, step)


def _empty(spec):
    """A tensor of a spec, 0 long where its length is open."""
    return tf.zeros([side or 0 for side in spec.shape], spec.dtype)


def _fitted(other, shape, place):
    """Another example set into an image of this shape ([2] int32), as large as it can be."""
    own = tf.shape(other.image)[:2]
    scale = tf.reduce_min(tf.cast(shape, tf.float32) / tf.cast(own, tf.float32))
    size = tf.cast(tf.round(scale * tf.cast(own, tf.float32)), tf.int32)
    size = tf.clip_by_value(size, 1, shape)
    offset = -tf.cast(place * tf.cast(shape - size + 1, tf.float32), tf.int32)
    # Masks become as large as the image, so that the place is the same pixel of both.
    return tf.cond(
        tf.reduce_all(own == shape),
        lambda: other,
        lambda: scaled_onto(other._replace(masks=shrunk(other.masks, size)), size, offset, shape),
    )
