"""Moving averages from the optimizer to the best checkpoint, the export and the Predictor.

That evaluations go by them stands in `training/test_jobs.py`.
"""

import numpy as np
import pytest
import tensorflow as tf
from fake_detector import bright_rectangle

from object_detection.builders import model_builder
from object_detection.builders.optimizer_builder import Momentum, OptimizerPlan
from object_detection.checkpoints import manager
from object_detection.checkpoints.manager import CheckpointDirectory
from object_detection.checkpoints.variables import variables_by_path
from object_detection.config import pipeline_file
from object_detection.export import exporter
from object_detection.export.options import ExportOptions
from object_detection.ops import schedules
from object_detection.prediction.predictor import Predictor
from object_detection.training.best import BestCheckpoint
from object_detection.training.optimizer import Optimizer

CONFIG = """
model { faster_rcnn { image_resizer { identity_resizer { } } } }
eval_config { use_moving_averages: %s }
"""
# One step of rate 0.5 takes the score from 0.75 to 0.25. The average begins at 0 and then keeps
# (1 + 1) / (10 + 1) of itself: 0.25 * 9 / 11.
RAW, AVERAGED = 0.25, 0.25 * 9 / 11


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A training folder after one step, whose only checkpoint is also the best."""
    network = bright_rectangle()
    weights = {path: variable.value for path, variable in variables_by_path(network).items()}
    plan = OptimizerPlan(Momentum(0.0), schedules.constant(0.5), average_decay=0.99)
    optimizer = Optimizer(plan, weights)
    state = manager.fresh_state(network, optimizer)
    optimizer.apply([tf.ones_like(weight) for weight in weights.values()], state.step)
    state.step.assign_add(1)
    prefix = CheckpointDirectory(tmp_path).save(state)
    BestCheckpoint(tmp_path / "best", "mAP").take(1, {"mAP": 0.5}, prefix)
    monkeypatch.setattr(model_builder, "build_network", lambda config, **_: bright_rectangle())
    return tmp_path


def picture():
    image = np.zeros([40, 60, 3], np.uint8)
    image[10:30, 12:42] = 255
    return image


@pytest.mark.parametrize(("asked", "score"), [("true", AVERAGED), ("false", RAW)])
@pytest.mark.parametrize("folder", [".", "best"])
def test_what_is_evaluated_is_predicted_and_exported(run, folder, asked, score):
    source = run / folder
    (source / "pipeline.config").write_text(CONFIG % asked)

    found = Predictor(source, min_score=0.0).predict(picture())
    assert found.scores[0] == pytest.approx(score)

    config = pipeline_file.load(source / "pipeline.config")
    exporter.export(config, source, run / "export", ExportOptions(verify=False))
    exported = tf.saved_model.load(str(run / "export" / "saved_model"))
    found = exported(tf.constant(picture()[np.newaxis]))
    assert float(found["detection_scores"][0, 0]) == pytest.approx(score)
    # Its checkpoint holds what was exported, under the weights' own names.
    again = Predictor(run / "export" / "checkpoint" / "ckpt-0", min_score=0.0)
    assert again.predict(picture()).scores[0] == pytest.approx(score)
