"""Sampling of minibatches: counts, randomness, and TFOD's counts."""

import numpy as np
import pytest
import tensorflow as tf
from reference import blocks, needs_reference

from object_detection.ops.sampler import gather_selected, sample

GOLDEN = blocks("sampler")


def counts_of(selected, positive):
    selected, positive = selected.numpy(), np.asarray(positive)
    return (selected & positive).sum(-1).tolist(), (selected & ~positive).sum(-1).tolist()


def test_the_share_of_positives_is_bounded():
    positive = tf.constant([[True] * 50 + [False] * 50])
    selected = sample(positive, tf.ones_like(positive), 16, 0.25, [0, 0])
    assert counts_of(selected, positive) == ([4], [12])


def test_negatives_take_the_place_of_missing_positives():
    positive = tf.constant([[True] * 3 + [False] * 97])
    selected = sample(positive, tf.ones_like(positive), 16, 0.5, [0, 0])
    assert counts_of(selected, positive) == ([3], [13])


def test_positives_do_not_take_the_place_of_missing_negatives():
    positive = tf.constant([[True] * 97 + [False] * 3])
    selected = sample(positive, tf.ones_like(positive), 16, 0.5, [0, 0])
    assert counts_of(selected, positive) == ([8], [3])


def test_all_are_chosen_where_all_fit():
    positive = tf.constant([[True, False, True, False, False]])
    candidate = tf.constant([[True, True, True, True, False]])
    selected = sample(positive, candidate, 64, 0.25, [0, 0])
    np.testing.assert_array_equal(selected, candidate)


def test_images_are_drawn_apart_and_only_from_candidates():
    rng = np.random.default_rng(0)
    positive, candidate = tf.constant(rng.random((2, 2, 300)) < [[[0.3]], [[0.5]]])
    selected = sample(positive, candidate, 32, 0.5, [3, 4])
    assert counts_of(selected, positive) == ([16, 16], [16, 16])
    assert not np.any(selected & ~candidate)
    assert np.any(selected[0] != selected[1])


def test_the_seed_decides():
    positive = tf.constant([[True, False] * 100])

    def draw(seed):
        return sample(positive, tf.ones_like(positive), 20, 0.5, seed)

    np.testing.assert_array_equal(draw([1, 2]), draw([1, 2]))
    assert np.any(draw([1, 2]) != draw([1, 3]))


def test_every_box_has_the_same_chance():
    positive = tf.constant([[True] * 10 + [False] * 30])
    draw = tf.function(lambda seed: sample(positive, tf.ones_like(positive), 8, 0.5, seed)[0])
    times = sum(draw(tf.constant([0, step])).numpy().astype(int) for step in range(400))
    # 4 of 10 and 4 of 30; the standard deviations over 400 draws are about 10 and 7.
    np.testing.assert_allclose(times[:10], 160, atol=45)
    np.testing.assert_allclose(times[10:], 400 * 4 / 30, atol=32)


def test_the_chosen_stand_in_their_order_and_padding_after_them():
    selected = tf.constant([[False, True, False, True, True], [False] * 5])
    index, valid = gather_selected(selected, 4)
    assert index.numpy().tolist() == [[1, 3, 4, 0], [0, 0, 0, 0]]
    assert valid.numpy().tolist() == [[True, True, True, False], [False] * 4]


@pytest.mark.parametrize("size, expected", [(2, [1, 3]), (7, [1, 3, 4, 0, 0, 0, 0])])
def test_the_chosen_are_cut_or_padded(size, expected):
    selected = tf.constant([[False, True, False, True, True]])
    index, valid = gather_selected(selected, size)
    assert index.numpy().tolist() == [expected]
    assert int(tf.reduce_sum(tf.cast(valid, tf.int32))) == min(size, 3)


def test_unknown_shapes_and_sizes():
    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None], tf.bool),
            tf.TensorSpec([None, None], tf.bool),
            tf.TensorSpec([2], tf.int64),
        ]
    )
    def draw(positive, candidate, seed):
        selected = sample(positive, candidate, 8, 0.5, seed)
        return gather_selected(selected, tf.minimum(8, tf.shape(positive)[1]))

    for count in (3, 40):
        index, valid = draw(tf.ones([2, count], tf.bool), tf.ones([2, count], tf.bool), [0, 1])
        assert index.shape == valid.shape == (2, min(count, 8))
        assert tf.reduce_sum(tf.cast(valid, tf.int32), 1).numpy().tolist() == [min(count, 4)] * 2


@needs_reference
def test_counts_as_in_tfod():
    labels, indicator = GOLDEN["labels"], GOLDEN["indicator"]
    compared = 0
    for fraction, size, sampled, positives, negatives, *_ in np.concatenate(
        [GOLDEN["counts"][:, :6], GOLDEN["static_counts"]]
    ):
        if size < 0:  # no size at all: TFOD's way to take every negative, unused by Faster R-CNN
            continue
        selected = sample(labels[np.newaxis], indicator[np.newaxis], int(size), fraction, [0, 0])
        assert counts_of(selected, labels) == ([positives], [negatives])
        assert sampled == positives + negatives
        compared += 1
    assert compared == 18
