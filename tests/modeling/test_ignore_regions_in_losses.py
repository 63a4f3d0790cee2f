"""Ignore regions from the record to the gradient: nothing is learnt from it."""

import numpy as np
import pytest
import tensorflow as tf
from made_records import record, write
from tiny_models import network_of

from object_detection.data import pipeline, reading
from object_detection.data.decoder import DecoderOptions
from object_detection.data.report import InputReport
from object_detection.ops import ignore_regions, image

SIZE = 64
OBJECT = (0.125, 0.125, 0.625, 0.625)
IGNORE = (0.0, 0.375, 0.75, 1.0)  # covers the right half of the object, and background
OVERRIDES = """
faster_rcnn {
  first_stage_minibatch_size: 100000 first_stage_positive_balance_fraction: 1.0
  second_stage_batch_size: 64 second_stage_balance_fraction: 1.0
  add_groundtruth_to_proposals: true
}
"""


@pytest.fixture(scope="module")
def network():
    return network_of(OVERRIDES)


def batch_of(folder, *, crop_masks, names=("ignore",)):
    """The one batch of a record with an object and ignore regions."""
    made = record(
        [OBJECT, IGNORE], size=(SIZE, SIZE), masks=True, label=None, text=["cat", "ignore"]
    )
    read = reading.ReadOptions(False, 1, False, 1, 1, 1)
    decode = DecoderOptions(3, {"cat": 1}, load_masks=True, ignore_texts=names)
    options = pipeline.PipelineOptions(1, 4, image.Identity(), crop_masks=crop_masks)
    sources = reading.Sources([[write(folder / "one.record", [made])]], [], read)
    return next(iter(pipeline.build(sources, decode, options, InputReport())))


def gradients(network, batch):
    """(loss, gradient of objectness logits, of mask logits) of one batch, and the outputs."""
    seed = tf.constant([1, 2])
    outputs = network.sample_and_predict(
        network.extract(batch.images), batch.images, batch.truth, training=False, seed=seed
    )
    objectness, masks = outputs.rpn.objectness, outputs.mask_logits
    with tf.GradientTape() as tape:
        tape.watch([objectness, masks])
        watched = outputs._replace(
            rpn=outputs.rpn._replace(objectness=objectness), mask_logits=masks
        )
        losses = network.losses_of(batch.images, batch.truth, watched, seed=seed)
        total = tf.add_n(list(losses))
    return total, *tape.gradient(total, [objectness, masks]), outputs


def inside_of(batch, outputs, ground):
    """[N] anchors that are mostly ignored and would count; [n, M, M] mask points, likewise."""
    anchors = ignore_regions.mostly_ignored(outputs.rpn.anchors, ground)[0] & outputs.valid_anchors
    rows = outputs.mask_rows
    points = ignore_regions.touched_points(
        ground, (SIZE, SIZE), tf.gather_nd(outputs.rois.boxes, rows), rows[:, 0], (14, 14)
    )
    return anchors.numpy(), points.numpy()


@pytest.mark.parametrize("crop_masks", [False, True])
def test_no_gradient_inside_ignore_regions(tmp_path, network, crop_masks):
    batch = batch_of(tmp_path, crop_masks=crop_masks)
    ground = batch.truth.ignore
    expected = np.zeros([SIZE, SIZE])
    expected[:48, 24:] = 1
    np.testing.assert_array_equal(ground.area[0], expected)
    _, of_objectness, of_masks, outputs = gradients(network, batch)
    anchors, points = inside_of(batch, outputs, ground)
    assert anchors.sum() > 10
    assert points.any()
    assert not np.abs(of_objectness[0].numpy()[anchors]).any()
    assert not np.abs(of_masks.numpy()[points]).any()
    # And it is all there elsewhere.
    outside = np.abs(of_objectness[0].numpy()[~anchors & outputs.valid_anchors.numpy()])
    assert (outside.sum(-1) > 0).mean() > 0.5
    assert np.abs(of_masks.numpy()[~points]).any()


def test_without_the_field_the_same_places_have_gradients(tmp_path, network):
    ground = batch_of(tmp_path, crop_masks=True).truth.ignore
    batch = batch_of(tmp_path, crop_masks=True, names=())
    assert batch.truth.ignore is None
    _, of_objectness, of_masks, outputs = gradients(network, batch)
    anchors, points = inside_of(batch, outputs, ground)
    assert np.abs(of_objectness[0].numpy()[anchors]).any()
    assert np.abs(of_masks.numpy()[points]).any()


def test_cropped_masks_give_the_same_losses(tmp_path, network):
    losses = [
        float(gradients(network, batch_of(tmp_path, crop_masks=crop))[0]) for crop in (False, True)
    ]
    assert losses[0] == losses[1]


def test_proposals_on_ignore_regions_are_no_rois(tmp_path, network):
    batch = batch_of(tmp_path, crop_masks=True)
    rois = gradients(network, batch)[-1].rois
    inside = ignore_regions.mostly_ignored(rois.boxes, batch.truth.ignore) & rois.valid
    assert not inside.numpy().any()
    assert rois.valid.numpy().any()
