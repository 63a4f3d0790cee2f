"""Runs in bfloat16, which the flag asks for; checkpoints are the same in either precision."""

import numpy as np
import pytest
import tensorflow as tf
import tiny_models
from google.protobuf import text_format

from object_detection.builders import optimizer_builder
from object_detection.checkpoints import manager
from object_detection.checkpoints.variables import variables_by_path
from object_detection.config import preflight
from object_detection.errors import ConfigError
from object_detection.modeling.precision import BFLOAT16, FLOAT32, compute_in
from object_detection.protos import optimizer_pb2, pipeline_pb2
from object_detection.training import jobs
from object_detection.training.optimizer import Optimizer

OPTIMIZER = """
momentum_optimizer { learning_rate { constant_learning_rate { learning_rate: 0.02 } } }
moving_average_decay: 0.9
"""


def _state_of(network):
    weights = {
        path: variable.value
        for path, variable in variables_by_path(network).items()
        if variable.trainable
    }
    plan = optimizer_builder.build(text_format.Parse(OPTIMIZER, optimizer_pb2.Optimizer()))
    return manager.fresh_state(network, Optimizer(plan, weights))


def _config(text):
    return text_format.Parse(text, pipeline_pb2.TrainEvalPipelineConfig())


@pytest.mark.parametrize("command", ["train", "evaluate"])
@pytest.mark.parametrize(
    ("field", "flag", "expected"),
    [(False, "", FLOAT32), (True, "", FLOAT32), (False, BFLOAT16, BFLOAT16)]
    + [(True, BFLOAT16, BFLOAT16), (True, FLOAT32, FLOAT32)],
)
def test_the_flag_alone_asks_for_bfloat16(
    tmp_path, monkeypatch, caplog, command, field, flag, expected
):
    asked = []

    def build_network(model, is_training, precision):
        asked.append((is_training, precision))
        raise ConfigError("enough")

    monkeypatch.setattr(jobs.model_builder, "build_network", build_network)
    options = jobs.TrainOptions(str(tmp_path), precision=flag)
    if command == "evaluate":
        options = jobs.EvalOptions(str(tmp_path), str(tmp_path), precision=flag)
    caplog.set_level("INFO", logger="absl")
    with pytest.raises(ConfigError, match="enough"):
        config = _config(f"train_config {{ use_bfloat16: {str(field).lower()} }}")
        getattr(jobs, command)(config, options)

    assert asked == [(command == "train", expected)]
    said = [r for r in caplog.records if "use_bfloat16 is for TPUs, as in TFOD" in r.message]
    assert [r.levelname for r in said] == (["INFO"] if field and not flag else [])


def test_the_field_is_no_longer_warned_of():
    findings = preflight.check(
        _config("train_config { use_bfloat16: true }"),
        purpose="train",
        supported_extractors=("any",),
        reads=(),
    )
    assert not [text for text in (*findings.warnings, *findings.faults) if "bfloat16" in text]


def test_a_checkpoint_of_one_precision_is_one_of_the_other(tmp_path):
    networks = {precision: tiny_models.network_of() for precision in (FLOAT32, BFLOAT16)}
    states = {}
    for number, (precision, network) in enumerate(networks.items()):
        compute_in(network, precision)
        states[precision] = _state_of(network)
        generator = np.random.default_rng(number)
        for key, variable in manager.entries_of(states[precision]).items():
            if key not in ("step", "bad_records"):
                assert variable.dtype == tf.float32
                # Numbers with more digits than bfloat16 has.
                variable.assign(generator.normal(size=variable.shape))
        manager.write(tmp_path / precision, states[precision])
    written = {
        precision: {key: v.numpy() for key, v in manager.entries_of(state).items()}
        for precision, state in states.items()
    }
    assert any(key.startswith("optimizer/momentum/") for key in written[FLOAT32])

    manager.read(tmp_path / FLOAT32, states[BFLOAT16])
    manager.read(tmp_path / BFLOAT16, states[FLOAT32])

    for precision, other in ((FLOAT32, BFLOAT16), (BFLOAT16, FLOAT32)):
        for key, variable in manager.entries_of(states[precision]).items():
            np.testing.assert_array_equal(variable.numpy(), written[other][key], err_msg=key)
