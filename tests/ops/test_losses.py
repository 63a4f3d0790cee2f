"""Losses: by hand, their gradients, and TFOD's."""

import numpy as np
import pytest
import tensorflow as tf
from reference import blocks, needs_reference

from object_detection.ops import losses
from object_detection.ops.losses import HardExampleMiner

GOLDEN = blocks("weighted_losses")
SCORES = blocks("score_converter")


def test_smooth_l1_by_hand():
    prediction = tf.constant([[0.5, 0.0, -3.0, 1.0]])
    # .5 * .5 ** 2, nothing, 3 - .5, and 1 - .5 (where the two pieces meet)
    np.testing.assert_allclose(losses.smooth_l1(prediction, tf.zeros([1, 4])), [0.125 + 2.5 + 0.5])
    # Below delta 2: .5 * 1 ** 2; above: 2 * (3 - 1)
    np.testing.assert_allclose(
        losses.smooth_l1(prediction, tf.zeros([1, 4]), delta=2.0), [0.125 + 4.0 + 0.5]
    )


def test_the_slope_of_smooth_l1_is_the_error_up_to_delta():
    prediction = tf.constant([[0.5, 0.0, -3.0, 9.0]])
    with tf.GradientTape() as tape:
        tape.watch(prediction)
        loss = losses.smooth_l1(prediction, tf.zeros([1, 4]))
    assert tape.gradient(loss, prediction).numpy().tolist() == [[0.5, 0.0, -1.0, 1.0]]


def test_softmax_by_hand():
    logits = tf.math.log([[1.0, 3.0]])  # probabilities 1 / 4 and 3 / 4
    onehot = tf.constant([[0.0, 1.0]])
    np.testing.assert_allclose(
        losses.softmax_cross_entropy(logits, onehot), [-np.log(0.75)], rtol=1e-6
    )
    np.testing.assert_allclose(
        losses.softmax_cross_entropy(logits * 2.0, onehot, logit_scale=2.0),
        [-np.log(0.75)],
        rtol=1e-6,
    )


def test_softmax_against_a_teacher_by_hand():
    logits, teacher = tf.math.log([[1.0, 3.0]]), tf.math.log([[1.0, 1.0]])
    # Both halved: the root of 3 to 1, against one half each.
    root = np.sqrt(3.0)
    expected = -0.5 * np.log(1 / (1 + root)) - 0.5 * np.log(root / (1 + root))
    found = losses.softmax_cross_entropy_against_logits(logits, teacher, logit_scale=2.0)
    np.testing.assert_allclose(found, [expected], rtol=1e-6)
    # A teacher's logits are divided too: 9 to 1 becomes 3 to 1.
    found = losses.softmax_cross_entropy_against_logits(logits, 2.0 * logits, logit_scale=2.0)
    expected = -0.25 * np.log(1 / (1 + root)) - 0.75 * np.log(root / (1 + root))
    np.testing.assert_allclose(found, [expected], rtol=1e-6)


def test_sigmoid_and_focal_by_hand():
    logit, one = tf.math.log([3.0]), tf.ones([1])  # probability 3 / 4
    np.testing.assert_allclose(losses.sigmoid_cross_entropy(logit, one), [-np.log(0.75)], rtol=1e-6)
    np.testing.assert_allclose(
        losses.sigmoid_focal(logit, one, gamma=2.0, alpha=0.3),
        [-0.3 * 0.25**2 * np.log(0.75)],
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        losses.sigmoid_focal(logit, 1.0 - one, gamma=2.0, alpha=0.3),
        [-0.7 * 0.75**2 * np.log(0.25)],
        rtol=1e-5,
    )


@pytest.mark.parametrize("logit", [-200.0, 0.0, 200.0])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_losses_and_gradients_stay_finite(logit, gamma):
    logits = tf.constant([[logit, -logit]])
    for target in (tf.constant([[1.0, 0.0]]), tf.constant([[0.0, 1.0]])):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(logits)
            found = [
                losses.sigmoid_focal(logits, target, gamma=gamma, alpha=0.25),
                losses.softmax_cross_entropy(logits, target),
                losses.sigmoid_cross_entropy(logits, target),
            ]
        for loss in found:
            assert np.isfinite(loss).all()
            assert np.isfinite(tape.gradient(loss, logits)).all()


def far_apart(count):
    return tf.constant([[[20.0 * i, 0.0, 20.0 * i + 10, 10.0] for i in range(count)]])


def miner(**settings):
    return HardExampleMiner(
        **{"num_hard_examples": 2, "iou_threshold": 0.7, "loss_type": "BOTH", **settings}
    )


def test_the_hardest_examples_are_chosen():
    localization, classification = (
        tf.constant([[0.0, 1.0, 0.0, 9.0]]),
        tf.constant([[5.0, 1, 3, 0]]),
    )
    valid = tf.constant([[True, True, True, False]])

    def chosen(**settings):
        found = miner(**settings).choose(localization, classification, far_apart(4), valid)
        return np.flatnonzero(found[0]).tolist()

    assert chosen(loss_type="CLASSIFICATION") == [0, 2]
    assert chosen(loss_type="LOCALIZATION") == [0, 1]  # 0 and 2 tie: the first
    assert chosen(loss_type="BOTH", localization_weight=9.0) == [0, 1]
    assert chosen(loss_type="BOTH", classification_weight=0.1) == [0, 1]
    assert chosen(num_hard_examples=0) == [0, 1, 2]
    with pytest.raises(ValueError, match="loss_type is 'ALL'; supported: CLASSIFICATION"):
        chosen(loss_type="ALL")


def test_an_easier_example_at_the_same_place_is_left_out():
    boxes = tf.concat([far_apart(1), far_apart(1) + 0.5, far_apart(2)[:, 1:]], axis=1)
    loss = tf.constant([[1.0, 2.0, 0.5]])
    found = miner().choose(loss, loss, boxes, tf.ones([1, 3], tf.bool))
    assert found.numpy().tolist() == [[False, True, True]]


def test_score_converters():
    logits = tf.math.log([[1.0, 3.0]]) * 2.0
    assert losses.score_converter("IDENTITY", 2.0)(logits).shape == (1, 2)
    np.testing.assert_allclose(losses.score_converter("SOFTMAX", 2.0)(logits), [[0.25, 0.75]])
    np.testing.assert_allclose(losses.score_converter("SIGMOID", 2.0)(logits), [[0.5, 0.75]])
    with pytest.raises(ValueError, match="score_converter is 'LOGIT'; supported: IDENTITY"):
        losses.score_converter("LOGIT")


@needs_reference
def test_localization_losses_as_in_tfod():
    prediction, target, weights = (GOLDEN[name] for name in ("pred", "target", "weights"))
    for delta in (1.0, 0.5):
        np.testing.assert_allclose(
            losses.smooth_l1(prediction, target, delta) * weights,
            GOLDEN[f"smooth_l1_delta{delta:g}"],
            rtol=1e-5,
            atol=1e-6,
        )
    mask = tf.cast(GOLDEN["losses_mask"], tf.float32)[:, tf.newaxis]
    np.testing.assert_allclose(
        losses.smooth_l1(prediction, target) * weights * mask,
        GOLDEN["smooth_l1_masked"],
        rtol=1e-5,
        atol=1e-6,
    )


@needs_reference
def test_classification_losses_as_in_tfod():
    logits, onehot, soft = (GOLDEN[name] for name in ("logits", "onehot", "soft_targets"))
    weights = GOLDEN["class_weights"]
    of_box = weights[..., 0]
    found = {
        "softmax_scale1": losses.softmax_cross_entropy(logits, onehot) * of_box,
        "softmax_scale2": losses.softmax_cross_entropy(logits, onehot, 2.0) * of_box,
        "softmax_soft_targets": losses.softmax_cross_entropy(logits, soft) * of_box,
        "softmax_against_logits": losses.softmax_cross_entropy_against_logits(logits, logits[::-1])
        * of_box,
        "sigmoid": losses.sigmoid_cross_entropy(logits, onehot) * weights,
        "focal_g2_a0.25": losses.sigmoid_focal(logits, onehot, 2.0, 0.25) * weights,
        "focal_g1.5_aNone": losses.sigmoid_focal(logits, onehot, 1.5) * weights,
        "focal_g0_a0.5": losses.sigmoid_focal(logits, onehot, 0.0, 0.5) * weights,
    }
    for name, value in found.items():
        np.testing.assert_allclose(value, GOLDEN[name], rtol=1e-5, atol=1e-6, err_msg=name)


@needs_reference
def test_hard_examples_as_in_tfod():
    localization, classification = GOLDEN["hem_loc"], GOLDEN["hem_cls"]
    chosen = HardExampleMiner(
        num_hard_examples=5,
        iou_threshold=0.7,
        loss_type="BOTH",
        localization_weight=2.0,
        classification_weight=0.3,
    ).choose(
        tf.constant(localization),
        tf.constant(classification),
        GOLDEN["hem_boxes"][np.newaxis],
        tf.ones([1, 30], tf.bool),
    )
    sums = [localization[chosen].sum(), classification[chosen].sum()]
    np.testing.assert_allclose(sums, GOLDEN["hem_out"], rtol=1e-5)


@needs_reference
@pytest.mark.parametrize("kind", ["IDENTITY", "SIGMOID", "SOFTMAX"])
@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_score_converters_as_in_tfod(kind, scale):
    found = losses.score_converter(kind, scale)(SCORES["logits"])
    np.testing.assert_allclose(found, SCORES[f"{kind}_scale{scale:g}"], rtol=1e-5, atol=1e-6)
