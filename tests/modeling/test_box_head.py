"""The heads for class and box: shared boxes, dropout, norms."""

import numpy as np
import pytest
import tensorflow as tf

from object_detection.modeling.box_head import BoxHead
from object_detection.modeling.conv_block import Hyperparams, Norm

FEATURES = tf.random.stateless_normal([2, 3, 4, 4, 50], [1, 2])


def built(**kwargs):
    head = BoxHead(5, **{"share_box": False, **kwargs})
    head.build((None, 50))
    return head


@pytest.mark.parametrize(("share_box", "boxes"), [(False, 5), (True, 1)])
def test_boxes_are_of_each_class_or_of_all(share_box, boxes):
    output = built(share_box=share_box)(FEATURES)
    assert output.class_logits.shape == (2, 3, 6)
    assert output.deltas.shape == (2, 3, boxes, 4)


def test_heads_are_lines_over_the_mean_of_the_features():
    head = built()
    mean = tf.reduce_mean(FEATURES, [2, 3])
    expected = mean @ tf.convert_to_tensor(head.boxes.kernel)  # classes outer, coordinates inner
    np.testing.assert_allclose(
        head(FEATURES).deltas, tf.reshape(expected, [2, 3, 5, 4]), rtol=1e-4, atol=1e-5
    )


def test_dropout_is_for_training_and_draws_for_each_head():
    head, plain = built(dropout=0.5), built()
    plain.set_weights(head.get_weights())
    seed = tf.constant([1, 2])

    np.testing.assert_array_equal(head(FEATURES).class_logits, plain(FEATURES).class_logits)
    dropped = head(FEATURES, training=True, seed=seed)
    again = head(FEATURES, training=True, seed=seed)
    other = head(FEATURES, training=True, seed=seed + 1)

    np.testing.assert_array_equal(dropped.class_logits, again.class_logits)
    assert not np.allclose(dropped.class_logits, other.class_logits)
    # A head of ones counts what is kept, each twice as large: of 50 ones 100 times a half.
    for dense in (head.classes, head.boxes):
        dense.kernel.assign(tf.ones_like(dense.kernel))
    kept = head(tf.ones([1, 400, 1, 1, 50]), training=True, seed=seed)
    classes, boxes = kept.class_logits[0, :, 0], kept.deltas[0, :, 0, 0]
    assert abs(float(tf.reduce_mean(classes)) - 50) < 2
    assert not np.array_equal(classes, boxes)  # each head drops for itself


def test_a_norm_comes_after_the_line_and_takes_its_bias_away():
    head = built(hyperparams=Hyperparams(norm=Norm(epsilon=0.0)))
    assert head.classes.bias is None and head.boxes.bias is None
    plain = head(FEATURES).class_logits

    head.classes.norm_layer.moving_mean.assign(tf.ones([6]))
    head.classes.norm_layer.moving_variance.assign(tf.fill([6], 4.0))

    np.testing.assert_allclose(head(FEATURES).class_logits, (plain - 1) / 2, atol=1e-6)


def test_a_head_has_no_groups_to_normalize():
    with pytest.raises(ValueError, match="group_norm is for convolutions"):
        built(hyperparams=Hyperparams(norm=Norm(kind="group")))
