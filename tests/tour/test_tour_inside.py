"""What the tour shows is what the network computes."""

import types

import made_tour
import numpy as np
import pytest
import tensorflow as tf
import tiny_models

from object_detection.compat import outputs
from object_detection.ops import boxes
from object_detection.tour import inside
from object_detection.training import train_step


@pytest.fixture(scope="module")
def looked():
    return made_tour.network_and_look()


def test_anchors_of_a_level_are_its_cells_times_its_shapes(looked):
    _, _, seen = looked
    # 64 x 96 pixels: 16 x 24 cells of 4 pixels, 8 x 12, 4 x 6, 2 x 3; three shapes at each.
    assert seen.counts == {2: 1152, 3: 288, 4: 72, 5: 18}
    assert len(seen.proposed.anchors) == 1152 + 288 + 72 + 18


def test_values_of_a_level_are_those_of_its_anchors(looked):
    _, _, seen = looked
    heads = seen.of_level(np.arange(1530))
    assert {level: (own[0], own[-1]) for level, own in heads.items()} == {
        2: (0, 1151),
        3: (1152, 1439),
        4: (1440, 1511),
        5: (1512, 1529),
    }


@pytest.mark.parametrize(
    ("side", "level"),
    # 4 + log2(side / 224), rounded down: 224 is one step of k0, its half one less.
    [(224, 4), (223, 3), (112, 3), (111, 2), (448, 5), (447, 4), (32, 1)],
)
def test_level_of_a_square_with_k0_of_4(side, level):
    assert inside.paper_level(side) == level


def test_proposals_after_suppression_are_among_those_before(looked):
    network, _, seen = looked
    proposed = seen.proposed
    assert 0 < len(proposed.kept) < len(proposed.boxes)
    differences = np.abs(proposed.boxes[np.newaxis] - proposed.kept[:, np.newaxis]).max(-1)
    own = differences.argmin(1)
    assert differences.min(1).max() < 1e-3
    assert len(set(own)) == len(own)
    np.testing.assert_allclose(proposed.scores[own], proposed.kept_scores, rtol=1e-6)


def test_proposals_after_suppression_overlap_little(looked):
    network, _, seen = looked
    # Before they are clipped, which is why a few may overlap more in the picture.
    inner = seen.proposed.kept[(seen.proposed.kept > 1).all(1)]
    inner = inner[(inner[:, 2] < made_tour.HEIGHT - 1) & (inner[:, 3] < made_tour.WIDTH - 1)]
    overlap = boxes.iou(tf.constant(inner[None]), tf.constant(inner[None]))[0].numpy()
    assert (overlap - np.eye(len(inner))).max() <= network.rpn.settings.nms_iou_threshold + 1e-6


def test_levels_are_those_of_the_rule(looked):
    _, _, seen = looked
    sides = np.sqrt(
        (seen.proposed.kept[:, 2] - seen.proposed.kept[:, 0])
        * (seen.proposed.kept[:, 3] - seen.proposed.kept[:, 1])
    )
    by_hand = np.clip(np.floor(4 + np.log2(sides / 224)), 2, 5)
    np.testing.assert_array_equal(seen.proposed.kept_levels, by_hand)


def test_a_crop_reads_its_level_between_cells(looked):
    _, _, seen = looked
    crops, level = seen.crops, seen.levels[seen.crops.level]
    row, column = crops.readings[2, 3]
    y, x = int(row), int(column)
    top = (1 - column % 1) * level[y, x] + column % 1 * level[y, min(x + 1, level.shape[1] - 1)]
    below = min(y + 1, level.shape[0] - 1)
    bottom = (1 - column % 1) * level[below, x] + column % 1 * level[
        below, min(x + 1, level.shape[1] - 1)
    ]
    by_hand = (1 - row % 1) * top + row % 1 * bottom
    np.testing.assert_allclose(crops.features[2, 3], by_hand, rtol=1e-3, atol=1e-4)


def test_detections_are_those_of_the_network(looked):
    network, batch, seen = looked
    detections = network(batch.images).detections
    count = len(seen.heads.boxes)
    assert count == int(tf.reduce_sum(tf.cast(detections.valid, tf.int32)))
    np.testing.assert_array_equal(seen.heads.boxes, detections.boxes[0, :count])
    np.testing.assert_array_equal(seen.heads.masks, detections.masks[0, :count])


class _NoOptimizer:
    """Stands for an optimizer that changes nothing."""

    def __init__(self, network):
        self.weights = {each.path: each.value for each in network.trainable_variables}

    def apply(self, gradients, step, only_if=None):
        return tf.zeros([])


def test_losses_are_those_of_a_training_step(looked):
    network, batch, seen = looked
    settings = train_step.StepSettings(seed=0)
    step = train_step.build_train_step(
        network, _NoOptimizer(network), settings, tf.distribute.get_strategy()
    )
    result = step(iter([batch, batch]), tf.constant(inside.STEP, tf.int64))
    assert seen.trained.losses.keys() == result.losses.keys()
    for name, value in result.losses.items():
        np.testing.assert_allclose(seen.trained.losses[name], value, rtol=1e-4, err_msg=name)
    total = seen.trained.losses[outputs.TOTAL_LOSS]
    assert total == pytest.approx(sum(seen.trained.losses.values()) - total, rel=1e-5)


def test_looking_changes_nothing():
    network = tiny_models.network_of(made_tour.LIVE_NORMS)
    before = [variable.numpy() for variable in network.variables]
    inside.train_step_values(network, made_tour.batch_of_noise())
    for variable, value in zip(network.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value, err_msg=variable.path)


def test_without_objects_there_are_no_losses():
    _, _, seen = made_tour.network_and_look(with_objects=False)
    assert seen.trained is None
    assert len(seen.truth[0]) == 0


def test_a_network_without_a_pyramid_is_refused():
    with pytest.raises(ValueError, match="feature pyramid: feature_extractor.type must be"):
        inside.check(types.SimpleNamespace(backbone=None, has_masks=True))
