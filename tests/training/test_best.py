"""The best checkpoint by a metric, and patience."""

import json
import math

import pytest
import tensorflow as tf
import tiny_run

from object_detection.errors import TrainingError
from object_detection.training.best import BestCheckpoint

METRIC = "DetectionMasks_Precision/mAP"


@pytest.fixture
def saved(tmp_path):
    """Prefixes of three checkpoints, by step 5, 10, 15."""
    tiny_run.run(tmp_path / "run", 15)
    return {
        step: tmp_path / "run" / f"ckpt-{number}" for step, number in ((5, 2), (10, 3), (15, 4))
    }


def test_the_best_is_kept_as_a_checkpoint_of_its_own(tmp_path, saved):
    best = BestCheckpoint(tmp_path / "best", METRIC)
    for step, value in ((5, 0.2), (10, 0.3), (15, 0.25)):
        best.take(step, {METRIC: value}, saved[step])

    assert best.best == {"step": 10, "value": 0.3, "checkpoint": "ckpt-3"}
    newest = tf.train.latest_checkpoint(str(tmp_path / "best"))
    assert newest == str(tmp_path / "best/ckpt-3")
    assert tf.train.load_variable(newest, "step/.ATTRIBUTES/VARIABLE_VALUE") == 10
    names = sorted(path.name for path in (tmp_path / "best").iterdir())
    assert names == ["best.json", "checkpoint", "ckpt-3.data-00000-of-00001", "ckpt-3.index"]


def test_it_outlives_the_checkpoint_it_is_a_copy_of(tmp_path, saved):
    best = BestCheckpoint(tmp_path / "best", METRIC)
    best.take(5, {METRIC: 0.2}, saved[5])
    for path in saved[5].parent.glob("ckpt-2.*"):
        path.unlink()

    prefix = tf.train.latest_checkpoint(str(tmp_path / "best"))
    assert tf.train.load_variable(prefix, "step/.ATTRIBUTES/VARIABLE_VALUE") == 5


def test_the_lowest_loss_is_the_best(tmp_path, saved):
    best = BestCheckpoint(tmp_path / "best", "Loss/total_loss")
    for step, value in ((5, 2.0), (10, 1.0), (15, 3.0)):
        best.take(step, {"Loss/total_loss": value}, saved[step])
    assert best.best["step"] == 10


def test_patience_counts_evaluations_that_are_no_better_over_a_restart(tmp_path, saved):
    best = BestCheckpoint(tmp_path / "best", METRIC, patience=2)
    best.take(5, {METRIC: 0.3}, saved[5])
    best.take(10, {METRIC: 0.3}, saved[10])  # as good is no better
    assert not best.is_over

    resumed = BestCheckpoint(tmp_path / "best", METRIC, patience=2)
    resumed.take(10, {METRIC: 0.1}, saved[10])  # seen before the restart
    assert not resumed.is_over
    resumed.take(15, {METRIC: 0.2}, saved[15])
    assert resumed.is_over
    assert "0.30000 at step 5" in resumed.why_over()
    assert BestCheckpoint(tmp_path / "best", METRIC, patience=3).is_over is False


@pytest.mark.parametrize("absent", [-1.0, math.nan])
def test_a_metric_without_a_value_is_never_the_best(tmp_path, saved, absent, caplog):
    best = BestCheckpoint(tmp_path / "best", METRIC, patience=1)
    best.take(5, {METRIC: absent}, saved[5])
    assert best.best is None
    assert best.is_over
    assert "has no value at step 5" in caplog.text
    assert "never had a value" in best.why_over()


def test_an_unknown_metric_shows_the_names_like_it(tmp_path, saved):
    best = BestCheckpoint(tmp_path / "best", "DetectionMask/mAP")
    with pytest.raises(TrainingError, match="Did you mean DetectionMasks_Precision/mAP"):
        best.take(5, {METRIC: 0.1, "Loss/total_loss": 1.0}, saved[5])


def test_another_metric_begins_anew(tmp_path, saved, caplog):
    BestCheckpoint(tmp_path / "best", METRIC).take(5, {METRIC: 0.9}, saved[5])
    other = BestCheckpoint(tmp_path / "best", "Loss/total_loss")
    assert other.best is None
    assert "begins anew" in caplog.text
    other.take(10, {"Loss/total_loss": 4.0}, saved[10])
    assert json.loads((tmp_path / "best/best.json").read_text())["best"]["step"] == 10
