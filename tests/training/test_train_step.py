"""One step: gradients, clipping, biases, replicas."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tiny_run

from object_detection.training import train_step

ROOT = Path(__file__).parents[2]


def one_step(step=0, **settings):
    """The weights' change and the result of one step on batch 0."""
    made = tiny_run.parts()
    before = tiny_run.values(made)
    result = tiny_run.step_of(made, **settings)(
        iter(tiny_run.dataset()), tf.constant(step, tf.int64)
    )
    after = tiny_run.values(made)
    return {key: after[key] - before[key] for key in after}, result


def test_the_total_is_the_sum_of_its_terms():
    _, result = one_step()
    terms = {name: float(value) for name, value in result.losses.items()}
    total = terms.pop("Loss/total_loss")
    assert set(terms) == {
        "Loss/RPNLoss/localization_loss",
        "Loss/RPNLoss/objectness_loss",
        "Loss/regularization_loss",
    }
    assert total == pytest.approx(sum(terms.values()))


def test_regularization_can_be_left_out():
    _, result = one_step(add_regularization_loss=False)
    assert "Loss/regularization_loss" not in result.losses


def test_clipping_shortens_the_whole_gradient_to_its_limit():
    plain, result = one_step()
    clipped, same = one_step(gradient_clipping_by_norm=0.01)
    norm = float(result.gradient_norm)
    assert norm == pytest.approx(float(same.gradient_norm)) and norm > 0.01
    # The first momentum update is -rate * gradient, so it shrinks as the gradient does.
    np.testing.assert_allclose(
        clipped["optimizer/momentum/first.kernel"],
        plain["optimizer/momentum/first.kernel"] * 0.01 / norm,
        rtol=1e-4,
    )


def test_a_gradient_below_the_limit_is_left_alone():
    plain, _ = one_step()
    clipped, _ = one_step(gradient_clipping_by_norm=1000.0)
    np.testing.assert_array_equal(clipped["model/first.kernel"], plain["model/first.kernel"])


def test_bias_gradients_are_multiplied():
    plain, _ = one_step(add_regularization_loss=False)
    doubled, _ = one_step(add_regularization_loss=False, bias_grad_multiplier=2.0)
    momentum = "optimizer/momentum"
    np.testing.assert_allclose(
        doubled[f"{momentum}/first.bias"], 2 * plain[f"{momentum}/first.bias"]
    )
    np.testing.assert_array_equal(
        doubled[f"{momentum}/first.kernel"], plain[f"{momentum}/first.kernel"]
    )


def test_the_randomness_is_that_of_seed_and_step():
    losses = [
        float(one_step(step, seed=seed)[1].losses["Loss/total_loss"])
        for seed, step in ((0, 0), (0, 0), (0, 1), (1, 0))
    ]
    assert losses[0] == losses[1]
    assert len(set(losses)) == 3


def test_images_come_back_as_bytes_of_at_most_so_many():
    _, result = one_step(images_for_summary=1)
    assert result.shown.images.pixels.dtype == tf.uint8
    assert result.shown.images.pixels.shape == (1, 6, 8, 3)
    assert result.shown.truth.masks.pixels.shape == (1, 3, 12, 16)
    assert result.shown.image_id.numpy().tolist() == [b"image0_0"]
    assert one_step()[1].shown is None


@pytest.mark.parametrize(("step", "rows"), [(0, 1), (1, 0), (3, 1)])
def test_images_and_gradients_come_back_at_steps_that_are_due(step, rows):
    _, result = one_step(step, images_for_summary=1, images_every=3, gradients_every=3)
    assert result.shown.image_id.shape == (rows,)
    assert result.shown.images.pixels.shape[0] == result.shown.truth.boxes.shape[0] == rows
    assert result.gradients.norms.shape == (4 * rows,)
    assert result.gradients.histograms.shape == (4 * rows, 32)


def test_the_summary_of_gradients_is_of_those_used():
    _, plain = one_step(gradients_every=1)
    norm = float(plain.gradient_norm)
    assert float(tf.linalg.norm(plain.gradients.norms)) == pytest.approx(norm, rel=1e-5)
    assert float(plain.gradients.clipped_norm) == pytest.approx(norm, rel=1e-5)

    _, clipped = one_step(gradients_every=1, gradient_clipping_by_norm=norm / 2)
    assert float(clipped.gradients.clipped_norm) == pytest.approx(norm / 2, rel=1e-5)
    half = plain.gradients.norms.numpy() / 2
    np.testing.assert_allclose(clipped.gradients.norms.numpy(), half, rtol=1e-5)
    least, largest, *counts = clipped.gradients.histograms.numpy()[0]
    assert least < largest and sum(counts) == 9  # the kernel's weights


def test_a_histogram_holds_every_value_once():
    for values in ([-1.0, 0.0, 0.5, 2.0], [3.0, 3.0], [0.0], [-1e-12, -1e-12]):
        least, largest, *counts = train_step._histogram(tf.constant(values)).numpy()
        assert (least, largest) == pytest.approx((min(values), max(values)), rel=1e-5, abs=1e-20)
        assert sum(counts) == len(values)


def without_noise(monkeypatch):
    """Leaves noise and norm statistics out, which each batch has of its own."""

    def call(self, images, truth=None, training=False, seed=None):
        mean = tf.reduce_mean(images.pixels, axis=[1, 2]) / 255.0
        return self.parts[1](self.parts[0](mean), training=False)

    monkeypatch.setattr(tiny_run.TinyNetwork, "call", call)


def test_the_gradients_of_three_batches_are_those_of_all_their_images(monkeypatch):
    without_noise(monkeypatch)
    whole = tiny_run.dataset(batch_size=6).take(4)
    thirds = whole.map(lambda batch: tiny_run.split(batch, 3)).unbatch()
    results, values = [], []
    for data, parts in ((whole, 1), (thirds, 3)):
        made = tiny_run.parts()
        step = tiny_run.step_of(
            made, accumulate_steps=parts, gradient_clipping_by_norm=0.5, images_for_summary=1
        )
        iterator = iter(data)
        for number in range(4):
            result = step(iterator, tf.constant(number, tf.int64))
        results.append(result)
        values.append(tiny_run.values(made))
    for name, value in results[0].losses.items():
        np.testing.assert_allclose(results[1].losses[name], value, rtol=1e-5)
    assert results[1].image_ids.numpy().tolist() == results[0].image_ids.numpy().tolist()
    assert results[1].shown.images.pixels.shape == (0, 6, 8, 3)
    for key, value in values[0].items():
        np.testing.assert_allclose(values[1][key], value, rtol=1e-4, atol=1e-6, err_msg=key)


def test_each_batch_of_a_step_has_a_randomness_of_its_own():
    def loss(parts):
        made = tiny_run.parts()
        same = iter(tiny_run.dataset(count=1).repeat())
        result = tiny_run.step_of(made, accumulate_steps=parts)(same, tf.constant(0, tf.int64))
        return float(result.losses["Loss/total_loss"])

    assert loss(2) != loss(1)


def test_a_step_without_a_finite_gradient_changes_nothing_where_it_is_skipped(monkeypatch):
    def losses_of(self, images, truth, outputs, seed=None):
        return tiny_run.Losses(tf.reduce_mean(outputs) * float("nan"), tf.constant(0.0))

    monkeypatch.setattr(tiny_run.TinyNetwork, "losses_of", losses_of)
    changes, result = one_step(skip_non_finite=True)
    assert not np.isfinite(float(result.gradient_norm))
    statistics = [key for key in changes if "moving" in key]
    assert statistics
    for key in changes.keys() - {"step", *statistics}:
        np.testing.assert_array_equal(changes[key], 0, err_msg=key)
    ruined, _ = one_step()
    assert np.isnan(ruined["model/first.kernel"]).all()


def test_a_finite_step_is_the_same_whether_others_would_be_skipped():
    plain, skipping = one_step()[0], one_step(skip_non_finite=True)[0]
    for key, change in plain.items():
        np.testing.assert_array_equal(skipping[key], change, err_msg=key)


TWO_REPLICAS = """
import sys
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import tiny_run
from object_detection.training import distribution, train_step
from object_detection.checkpoints import manager

# Noise and norm statistics are each replica's own: without them two halves make one whole.
tiny_run.TinyNetwork.call = lambda self, images, truth=None, training=False, seed=None: self.parts[
    1
](self.parts[0](tf.reduce_mean(images.pixels, axis=[1, 2]) / 255.0), training=False)

def train(strategy, folder, clipping, parts=1):
    with strategy.scope():
        made = tiny_run.parts()
    dataset = tiny_run.dataset(batch_size=4)
    pieces = strategy.num_replicas_in_sync * parts
    dataset = dataset.map(lambda batch: tiny_run.split(batch, pieces)).unbatch()
    iterator = distribution.iterate(strategy, lambda shard_index, num_shards: dataset)
    settings = train_step.StepSettings(
        gradient_clipping_by_norm=clipping,
        images_for_summary=3,
        gradients_every=1,
        accumulate_steps=parts,
        skip_non_finite=parts > 1,
    )
    step = train_step.build_train_step(made.network, made.optimizer, settings, strategy)
    for number in range(3):
        result = step(iterator, tf.constant(number, tf.int64))
    assert result.image_ids.shape == (4,), result.image_ids
    assert result.shown.image_id.shape == (0,) and result.gradients.norms.shape == (4,)
    keeper = manager.CheckpointDirectory(folder)
    keeper.save(made.state)
    keeper.restore_newest(made.state)
    return tiny_run.values(made), float(result.losses["Loss/total_loss"])

mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert distribution.batches_taken(10, mirrored) == 20
for clipping in (0.0, 0.5):
    parts = 2 if clipping else 1
    two, loss_of_two = train(mirrored, f"{sys.argv[1]}/two{clipping}", clipping, parts)
    one, loss_of_one = train(tf.distribute.get_strategy(), f"{sys.argv[1]}/one{clipping}", clipping)
    np.testing.assert_allclose(loss_of_two, loss_of_one, rtol=1e-5)
    for key in one:
        np.testing.assert_allclose(two[key], one[key], rtol=1e-4, atol=1e-6, err_msg=key)
print("EQUAL")
"""


def test_two_replicas_with_half_the_batch_train_as_one_with_all_of_it(tmp_path):
    paths = os.pathsep.join([str(ROOT), str(Path(tiny_run.__file__).parent)])
    done = subprocess.run(
        [sys.executable, "-c", TWO_REPLICAS, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": paths, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert "EQUAL" in done.stdout, done.stderr[-3000:]
