"""model_main.py and model_main_tf2.py as people type them."""

import json
import os
import re
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from object_detection import model_main
from object_detection.protos import pipeline_pb2

ROOT = Path(__file__).parents[2]
QUIET = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": ""}

# TFOD 2.8's flags with their defaults.
TF2_FLAGS = {
    "pipeline_config_path": None,
    "num_train_steps": None,
    "eval_on_train_data": False,
    "sample_1_of_n_eval_examples": None,
    "sample_1_of_n_eval_on_train_examples": 5,
    "model_dir": None,
    "checkpoint_dir": None,
    "eval_timeout": 3600,
    "use_tpu": False,
    "tpu_name": None,
    "num_workers": 1,
    "checkpoint_every_n": 1000,
    "record_summaries": True,
}
TF1_FLAGS = {
    "model_dir": None,
    "pipeline_config_path": None,
    "num_train_steps": None,
    "eval_training_data": False,
    "sample_1_of_n_eval_examples": 1,
    "sample_1_of_n_eval_on_train_examples": 5,
    "hparams_overrides": None,
    "checkpoint_dir": None,
    "run_once": False,
    "max_eval_retries": 0,
}


def run(*command, cwd, **environment):
    return subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=cwd,
        env={**QUIET, **environment},
        capture_output=True,
        text=True,
        timeout=500,
    )


@pytest.mark.parametrize(
    ("command", "wanted"), [("model_main_tf2", TF2_FLAGS), ("model_main", TF1_FLAGS)]
)
def test_every_flag_of_tfod_is_there_with_its_default(command, wanted):
    code = f"""
import json
from absl import flags
from object_detection import {command}
{command}.define_flags()
print(json.dumps({{name: flags.FLAGS[name].default for name in flags.FLAGS}}, default=str))
"""
    done = run("-c", code, cwd=ROOT)
    defaults = json.loads(done.stdout)
    assert {name: defaults[name] for name in wanted} == wanted


@pytest.mark.parametrize("flag", ["--use_tpu", "--tpu_name=mine"])
def test_a_tpu_is_refused_by_name_from_a_file_anywhere(tmp_path, flag):
    script = ROOT / "object_detection" / "model_main_tf2.py"
    done = run(script, flag, "--model_dir=x", "--pipeline_config_path=y", cwd=tmp_path)
    assert done.returncode == 1
    name = flag.split("=")[0]
    assert f"{name}: TPUs are not supported" in done.stderr
    # Who speaks, and nothing of TensorFlow's own.
    assert re.search(rf"object_detection \d.* from {ROOT}/object_detection", done.stderr)
    assert len(done.stderr.splitlines()) == 2, done.stderr


@pytest.mark.parametrize(
    ("command", "flag"),
    [("model_main_tf2", "eval_on_train_data"), ("model_main", "eval_training_data")],
)
def test_flags_of_evaluation_need_checkpoint_dir(tmp_path, command, flag):
    script = ROOT / "object_detection" / f"{command}.py"
    done = run(script, f"--{flag}", "--model_dir=x", "--pipeline_config_path=y", cwd=tmp_path)
    assert done.returncode == 1
    assert f"--{flag}: it applies to evaluation" in done.stderr


def test_all_faults_come_at_once_without_a_traceback(tmp_path):
    config = tmp_path / "pipeline.config"
    config.write_text("""
        model { faster_rcnn { num_classes: 2
          image_resizer { fixed_shape_resizer { height: 64 width: 64 } }
          feature_extractor { type: 'faster_rcnn_nas' } } }
        train_config { batch_size: 1 optimizer { momentum_optimizer { learning_rate {
          constant_learning_rate { learning_rate: 0.1 } } } } }
        train_input_reader { label_map_path: 'PATH_TO_BE_CONFIGURED/map.pbtxt'
          tf_record_input_reader { input_path: 'nowhere/*.record' } }""")
    done = run(
        *("-m", "object_detection.model_main_tf2", "--model_dir=run", "--num_train_steps=1"),
        f"--pipeline_config_path={config}",
        cwd=tmp_path,
        PYTHONPATH=str(ROOT),
    )
    assert done.returncode == 1
    for part in ("faster_rcnn_nas", "PATH_TO_BE_CONFIGURED", "nowhere/*.record"):
        assert part in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--early_stopping_patience=3"], "name the metric with --best_metric"),
        (["--best_metric=a/b"], "nothing is evaluated here; give --eval_every_n_steps"),
        (
            ["--best_metric=a/b", "--early_stopping_patience=3", "--checkpoint_dir=x"],
            "applies to the command that trains",
        ),
    ],
)
def test_flags_that_need_others_say_so(tmp_path, flags, said):
    done = run(
        ROOT / "object_detection/model_main_tf2.py",
        "--pipeline_config_path=none.config",
        f"--model_dir={tmp_path}",
        *flags,
        cwd=tmp_path,
        PYTHONPATH=str(ROOT),
    )
    assert done.returncode == 1
    assert said in done.stderr


def test_an_override_that_does_not_fit_is_named(tmp_path):
    config = tmp_path / "pipeline.config"
    config.write_text("model { faster_rcnn { num_classes: 2 } }")
    done = run(
        *("-m", "object_detection.model_main", "--model_dir=run"),
        f"--pipeline_config_path={config}",
        "--config_override=train_config.batch_sise=2",
        cwd=tmp_path,
        PYTHONPATH=str(ROOT),
    )
    assert done.returncode == 1
    assert "batch_sise" in done.stderr and "batch_size" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("text", [None, ""])
def test_no_hparams_change_nothing(monkeypatch, text):
    monkeypatch.setattr(model_main, "FLAGS", types.SimpleNamespace(hparams_overrides=text))
    config = pipeline_pb2.TrainEvalPipelineConfig()
    model_main.apply_hparams(config)
    assert config == pipeline_pb2.TrainEvalPipelineConfig()


def test_hparams_take_tfods_short_names_and_dotted_paths(monkeypatch):
    text = "learning_rate=0.25, batch_size=3,model.faster_rcnn.first_stage_max_proposals=7"
    monkeypatch.setattr(model_main, "FLAGS", types.SimpleNamespace(hparams_overrides=text))
    config = pipeline_pb2.TrainEvalPipelineConfig()
    rate = config.train_config.optimizer.momentum_optimizer.learning_rate
    rate.constant_learning_rate.learning_rate = 0.5
    config.model.faster_rcnn.num_classes = 2
    model_main.apply_hparams(config)
    assert rate.constant_learning_rate.learning_rate == 0.25
    assert config.train_config.batch_size == 3
    assert config.model.faster_rcnn.first_stage_max_proposals == 7


@pytest.mark.slow
def test_from_images_to_metrics_and_on(tmp_path):
    """A few steps of the quickstart's own detector: train with evaluation, resume, evaluate."""

    def do(*command):
        done = run(*command, cwd=tmp_path, PYTHONPATH=str(ROOT))
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stderr

    do(
        ROOT / "dataset_tools" / "make_shapes.py",
        *("--output_dir=quickstart_run/shapes", "--num_train=6", "--num_val=3", "--size=64"),
    )
    shapes = "quickstart_run/shapes"
    do(
        ROOT / "dataset_tools" / "create_coco_tf_record.py",
        *("--include_masks", "--num_shards=1", "--output_dir=quickstart_run/data"),
        *(f"--train_image_dir={shapes}/train", f"--train_annotations_file={shapes}/train.json"),
        *(f"--val_image_dir={shapes}/val", f"--val_annotations_file={shapes}/val.json"),
    )
    small = "model.faster_rcnn.image_resizer={fixed_shape_resizer {height: 64 width: 64}}"
    common = (
        *("--model_dir=run", "--log_every_n_steps=1", f"--config_override={small}"),
        "--deterministic",
        f"--pipeline_config_path={ROOT}/samples/configs/mask_rcnn_resnet18_fpn_shapes.config",
    )
    command = ("-m", "object_detection.model_main")
    log = do(*command, *common, "--num_train_steps=2", "--checkpoint_every_n=1")
    assert "step 2/2 | loss" in log and "mask" in log
    run_dir = tmp_path / "run"
    metrics = json.loads((run_dir / "eval" / "metrics-2.json").read_text())["metrics"]
    assert -1 <= metrics["DetectionMasks_Precision/mAP"] <= 1
    assert "Loss/BoxClassifierLoss/mask_loss" in metrics
    assert len(list((run_dir / "eval" / "images-2").iterdir())) == 3
    log = do(*command, *common, "--num_train_steps=3", "--eval_every_n_steps=0")
    assert "resuming from run/ckpt-3 at step 2" in log and "step 3/3" in log
    do(*command, *common, "--checkpoint_dir=run", "--run_once")
    assert (run_dir / "eval" / "metrics-3.json").exists()
    # The same run without a stop: every weight, slot and average to the last bit.
    whole = [part.replace("=run", "=whole") for part in common]
    flags = ("--num_train_steps=3", "--eval_every_n_steps=0")
    do(*command, *whole, *flags)
    stopped, straight = (
        tf.train.load_checkpoint(tf.train.latest_checkpoint(str(tmp_path / name)))
        for name in ("run", "whole")
    )
    names = straight.get_variable_to_shape_map()
    assert len(names) > 200 and names == stopped.get_variable_to_shape_map()
    for name in names:
        np.testing.assert_array_equal(
            stopped.get_tensor(name), straight.get_tensor(name), err_msg=name
        )
