"""Each rewrite by itself leaves the numbers of a network and its gradients as they are."""

import functools

import numpy as np
import pytest
import tensorflow as tf
import tiny_models

from object_detection.modeling.rewrites import FAST, PLAIN, Rewrites, use_rewrites

EVERY = {
    "all": PLAIN,
    **{name: FAST._replace(**{name: False}) for name in Rewrites._fields},
}
BOXES = [[[8, 8, 40, 48], [20, 30, 60, 90]], [[10, 5, 50, 33], [0, 0, 0, 0]]]
VALID = [[True, True], [True, False]]


@functools.cache
def network():
    """The tiny detector, with norms that do something and logits that tell boxes apart."""
    network = tiny_models.network_of()
    generator = np.random.default_rng(3)
    for variable in network.variables:
        if variable.path.endswith(("gamma", "moving_variance")):
            factor = generator.uniform(0.5, 1.5, variable.shape)
            variable.assign(tf.convert_to_tensor(variable) * factor)
        if variable.path.endswith(("beta", "moving_mean", "bias")):
            variable.assign(generator.normal(0, 0.1, variable.shape))
        if "roi_stage/head" in variable.path and variable.path.endswith("kernel"):
            variable.assign(generator.normal(0, 0.02, variable.shape))
    return network


@functools.cache
def results(rewrites):
    """Detections, and losses with their gradients, of the tiny detector with these rewrites."""
    model = network()
    use_rewrites(model, rewrites)
    images = tiny_models.images_of_shapes([(64, 96), (50, 80)])
    truth = tiny_models.truth_of(BOXES, valid=VALID)
    masks = np.random.default_rng(0).integers(0, 2, truth.masks.pixels.shape)
    masks = truth.masks._replace(pixels=tf.constant(masks, tf.uint8))
    truth = truth._replace(masks=masks)

    with tf.GradientTape() as tape:
        outputs = model(images, truth, training=True, seed=tf.constant([1, 2]))
        losses = model.losses_of(images, truth, outputs, seed=tf.constant([1, 2]))
        total = tf.add_n(list(losses))
    gradients = tape.gradient(total, [v.value for v in model.trainable_variables])
    return model(images).detections, losses, gradients


@pytest.mark.parametrize("name", EVERY)
def test_network_without_a_rewrite_has_the_same_numbers(name):
    fast, fast_losses, fast_gradients = results(FAST)
    plain, plain_losses, plain_gradients = results(EVERY[name])

    assert fast.valid.numpy().any() and float(fast_losses.mask) > 0
    np.testing.assert_array_equal(plain.classes, fast.classes)
    np.testing.assert_allclose(plain.scores, fast.scores, atol=1e-4)
    np.testing.assert_allclose(plain.boxes, fast.boxes, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(plain.masks, fast.masks, atol=1e-3)
    np.testing.assert_allclose(plain_losses, fast_losses, rtol=1e-4)
    for got, want in zip(fast_gradients, plain_gradients, strict=True):
        got, want = tf.convert_to_tensor(got), tf.convert_to_tensor(want)
        np.testing.assert_allclose(got, want, atol=1e-3 * float(tf.reduce_max(tf.abs(want))))


def test_rewrites_reach_every_layer_that_has_them():
    model = network()
    use_rewrites(model, PLAIN)
    having = [layer for layer in model._flatten_layers() if hasattr(layer, "rewrites")]
    assert {type(layer).__name__ for layer in having} >= {
        "ConvBlock",
        "MaskHead",
        "MaskStage",
        "RoiStage",
    }
    assert all(layer.rewrites == PLAIN for layer in having)
