"""Properties of the whole detector on a small network."""

import gc

import numpy as np
import pytest
import tensorflow as tf
from tiny_models import images_of_shapes, network_of, truth_of

from object_detection.checkpoints.variables import checkpoint_of, variables_by_path
from object_detection.modeling.faster_rcnn import trim

SEED = tf.constant([1, 2])
ONE_BOX = [[[8.0, 8.0, 40.0, 48.0]]]


@pytest.fixture(scope="module")
def network():
    return network_of()


def _losses(network, images, truth, training=True):
    outputs = network(images, truth, training=training, seed=SEED)
    return network.losses_of(images, truth, outputs, seed=SEED)


def test_a_batch_of_two_is_two_batches_of_one(network):
    both = images_of_shapes([(64, 80), (64, 80)])
    together = network(both).detections
    assert int(tf.reduce_sum(tf.cast(together.valid, tf.int32))) > 4

    for i in range(2):
        alone = network(tf.nest.map_structure(lambda x, i=i: x[i : i + 1], both)).detections
        np.testing.assert_array_equal(alone.classes[0], together.classes[i])
        np.testing.assert_allclose(alone.boxes[0], together.boxes[i], atol=1e-3)
        np.testing.assert_allclose(alone.scores[0], together.scores[i], atol=1e-5)
        np.testing.assert_allclose(alone.masks[0], together.masks[i], atol=1e-4)


def test_detections_stay_in_the_true_image_and_padding_is_empty(network):
    detections = network(images_of_shapes([(64, 80), (50, 60)])).detections
    boxes, valid = detections.boxes.numpy(), detections.valid.numpy()

    for i, (height, width) in enumerate([(64, 80), (50, 60)]):
        assert boxes[i, :, 2].max() <= height and boxes[i, :, 3].max() <= width
    assert boxes.min() >= 0
    assert not boxes[~valid].any() and not detections.masks.numpy()[~valid].any()
    assert np.all((detections.classes.numpy() > 0) == valid)


def test_padded_ground_truth_changes_no_loss(network):
    images = images_of_shapes([(64, 80)])
    padded = [[ONE_BOX[0][0], [0.0, 0.0, 64.0, 80.0]]]

    plain = _losses(network, images, truth_of(ONE_BOX))
    with_padding = _losses(network, images, truth_of(padded, valid=[[True, False]]))

    np.testing.assert_allclose(plain, with_padding, rtol=1e-6)


def test_an_image_without_objects_trains(network):
    images = images_of_shapes([(64, 80)])
    truth = truth_of([[[0.0] * 4]], valid=[[False]])
    with tf.GradientTape() as tape:
        losses = _losses(network, images, truth)
        total = tf.add_n(list(losses))
    gradients = tape.gradient(total, network.trainable_variables)

    assert float(losses.mask) == 0.0 and float(losses.box_localization) == 0.0
    assert float(losses.rpn_objectness) > 0.0
    assert all(np.all(np.isfinite(tf.convert_to_tensor(g))) for g in gradients if g is not None)


def test_every_trainable_variable_has_a_gradient(network):
    images = images_of_shapes([(64, 80)])
    truth = truth_of([[[8, 8, 24, 24], [20, 20, 60, 70]]])
    with tf.GradientTape() as tape:
        total = tf.add_n(list(_losses(network, images, truth)))
    variables = network.trainable_variables
    missing = [
        v.path for v, g in zip(variables, tape.gradient(total, variables), strict=True) if g is None
    ]
    assert not missing


def test_sampling_hangs_on_the_seed_alone(network):
    images, truth = images_of_shapes([(64, 80)]), truth_of(ONE_BOX)
    first, again, other = (
        network(images, truth, training=True, seed=tf.constant(seed)).rois.boxes
        for seed in ([3, 4], [3, 4], [3, 5])
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("shape", [(64, 80), (61, 83), (33, 97)])
def test_sizes_that_are_no_multiple_of_32(network, shape):
    images = images_of_shapes([shape])
    detections = tf.function(network)(images).detections
    assert detections.boxes.shape == (1, 12, 4)
    assert all(np.isfinite(_losses(network, images, truth_of([[[4, 4, 28, 30]]]))))


def test_one_and_two_stages():
    images, truth = images_of_shapes([(64, 80)]), truth_of(ONE_BOX)

    proposals_only = network_of("faster_rcnn { number_of_stages: 1 }")
    losses = _losses(proposals_only, images, truth)
    assert losses.box_localization is None and losses.mask is None
    assert proposals_only(images).detections.boxes.shape == (1, 20, 4)

    boxes_only = network_of("faster_rcnn { number_of_stages: 2 }")
    losses = _losses(boxes_only, images, truth)
    assert losses.box_localization is not None and losses.mask is None
    assert boxes_only(images).detections.masks is None


def test_ground_truth_among_the_proposals_makes_positives():
    # The weights are random, so no proposal overlaps the object by half but the object itself.
    network = network_of("faster_rcnn { add_groundtruth_to_proposals: true }")
    rois = network(images_of_shapes([(64, 80)]), truth_of(ONE_BOX), training=True, seed=SEED).rois

    distance = np.abs(rois.boxes[0].numpy() - np.asarray(ONE_BOX[0])).max(1)
    assert rois.target_class.numpy()[0][distance < 1e-4].tolist() == [1]


def test_evaluation_gives_the_losses_and_detections_of_separate_calls(network):
    images, truth = images_of_shapes([(64, 80)]), truth_of(ONE_BOX)
    detections, losses = network.evaluate_batch(images, truth, seed=SEED)

    np.testing.assert_allclose(losses, _losses(network, images, truth, training=False), rtol=1e-5)
    np.testing.assert_allclose(detections.boxes, network(images).detections.boxes, atol=1e-4)


def test_trim_keeps_the_longest_image():
    truth = truth_of(np.zeros([2, 3, 4]), valid=[[True, False, False], [True, True, False]])
    trimmed = trim(truth)
    assert trimmed.boxes.shape == (2, 2, 4)
    assert trimmed.valid.numpy().tolist() == [[True, False], [True, True]]


def test_every_variable_comes_back(tmp_path):
    saved, fresh = network_of(), network_of("faster_rcnn { number_of_stages: 3 }")
    for i, variable in enumerate(saved.variables):
        variable.assign(tf.fill(variable.shape, float(i)))
    path = checkpoint_of(saved).save(tmp_path / "ckpt")
    checkpoint_of(fresh).restore(path).assert_consumed()

    assert len(variables_by_path(saved)) == len(saved.variables)
    for want, got in zip(saved.variables, fresh.variables, strict=True):
        assert want.path == got.path
        np.testing.assert_array_equal(want, got, err_msg=want.path)


def test_live_norms_move_only_where_the_config_says():
    images, truth = images_of_shapes([(64, 80)]), truth_of(ONE_BOX)
    for live in (False, True):
        network = network_of(
            f"faster_rcnn {{ feature_extractor {{ batch_norm_trainable: {str(live).lower()} }} }}"
        )
        mean = variables_by_path(network)["backbone/resnet/conv1/moving_mean"]
        network(images, truth, training=True, seed=SEED)
        assert bool(np.any(mean.numpy())) is live


def test_crops_by_matrix_products_give_the_same_detections(network):
    images = images_of_shapes([(64, 80)])
    other = network_of("faster_rcnn { use_matmul_crop_and_resize: true }")
    for ours, theirs in zip(other.variables, network.variables, strict=True):
        ours.assign(theirs)

    want, got = network(images).detections, other(images).detections
    # Boxes that end on the border may read one row of zeros more or less.
    near = np.abs(want.boxes.numpy() - got.boxes.numpy()).max(-1) < 1.0
    assert near.mean() > 0.7


def test_a_training_graph_that_is_gone_leaves_nothing_behind():
    """TensorFlow keeps graphs with a custom gradient for ever, and with them their weights."""

    def graphs():
        gc.collect()
        return {id(x): x for x in gc.get_objects() if isinstance(x, tf.Graph)}

    def train():
        network = network_of()
        images, truth = images_of_shapes([(64, 80)]), truth_of([[[4, 4, 40, 40]]])

        @tf.function
        def gradients():
            with tf.GradientTape() as tape:
                outputs = network(images, truth, training=True)
                loss = tf.add_n(list(network.losses_of(images, truth, outputs)))
            return tape.gradient(loss, network.trainable_variables)

        assert gradients()

    train()  # small graphs that all networks share are made here
    before = graphs()
    train()
    assert not [graph.name for key, graph in graphs().items() if key not in before]
