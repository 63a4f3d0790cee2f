"""Commands of TFOD that people still type: each works, or names its successor in one line."""

import os
import subprocess
import sys
from pathlib import Path

import made_records
import pytest
import tensorflow as tf
from tiny_models import PYRAMID

ROOT = Path(__file__).parents[2]
SUCCESSORS = [
    (
        "model_tpu_main",
        ["--pipeline_config_path=a.config", "--model_dir", "my run"],
        "object_detection.model_main_tf2 --pipeline_config_path=a.config --model_dir='my run'",
    ),
    (
        "export_tflite_graph_tf2",
        ["--trained_checkpoint_dir=run"],
        "object_detection.export_tflite --pipeline_config_path=PIPELINE_CONFIG "
        "--trained_checkpoint_dir=run --output=OUTPUT_DIR/model.tflite",
    ),
]
WORKING = [
    "legacy/train",
    "legacy/eval",
    "export_inference_graph",
    "inference/infer_detections",
    "metrics/offline_eval_map_corloc",
]


def run(script, *flags, cwd, as_module=False):
    """Runs a command, as a file or as a module."""
    command = [str(ROOT / "object_detection" / f"{script}.py")]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    environment.pop("PYTHONPATH", None)
    if as_module:
        command = ["-m", f"object_detection.{script.replace('/', '.')}"]
        environment["PYTHONPATH"] = str(ROOT)
    return subprocess.run(
        [sys.executable, *command, *flags],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment,
        check=False,
    )


@pytest.mark.parametrize("as_module", [False, True])
@pytest.mark.parametrize(("script", "flags", "successor"), SUCCESSORS)
def test_a_command_that_is_gone_names_the_one_to_use(tmp_path, script, flags, successor, as_module):
    done = run(script, *flags, cwd=tmp_path, as_module=as_module)

    assert done.returncode == 1 and not done.stdout
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"{script}.py: ") and successor in done.stderr


@pytest.mark.parametrize("script", [*WORKING, *(row[0] for row in SUCCESSORS)])
def test_help_comes_before_tensorflow_is_loaded(tmp_path, script):
    command = [sys.executable, "-X", "importtime", ROOT / "object_detection" / f"{script}.py"]
    done = subprocess.run([*command, "--help"], capture_output=True, text=True, cwd=tmp_path)

    assert done.returncode == (1 if script in WORKING else 0)  # absl's own, for --help
    assert done.stdout
    assert "object_detection" in done.stderr and "tensorflow" not in done.stderr


@pytest.mark.parametrize(
    ("script", "flags", "message"),
    [
        ("legacy/train", ["--train_dir=run"], "Set --pipeline_config_path, or all of"),
        ("legacy/train", ["--pipeline_config_path=a"], "--train_dir: say where"),
        ("legacy/train", ["--ps_tasks=1"], "object_detection.model_main_tf2"),
        ("legacy/eval", ["--eval_dir=a", "--checkpoint_dir=b"], "Set --pipeline_config_path, or"),
        ("legacy/eval", ["--eval_dir=metrics"], "--checkpoint_dir: say where"),
        ("metrics/offline_eval_map_corloc", ["--eval_dir=a"], "--eval_config_path: set it"),
        (
            "metrics/offline_eval_map_corloc",
            ["--eval_dir=a", "--eval_config_path=b", "--input_config_path=c"],
            "b cannot be read (No such file",
        ),
        ("inference/infer_detections", ["--inference_graph=a"], "--input_tfrecord_paths: set"),
        (
            "inference/infer_detections",
            ["--inference_graph=a", "--input_tfrecord_paths=b", "--output_tfrecord_path=c"],
            "--input_tfrecord_paths: no file matches 'b'",
        ),
        (
            "export_inference_graph",
            [
                *("--pipeline_config_path=a", "--trained_checkpoint_prefix=b"),
                *("--output_directory=c", "--side_input_names=d"),
            ],
            "--side_input_names: side inputs (use_side_inputs is not supported)",
        ),
    ],
)
def test_refusals_are_plain(tmp_path, script, flags, message):
    done = run(script, *flags, cwd=tmp_path)

    assert done.returncode == 1
    assert message in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
def test_the_way_of_the_old_tutorials(tmp_path):
    """Three files instead of one config; then train, evaluate, export."""
    (tmp_path / "map").write_text("item { id: 1 name: 'a' }")
    record = made_records.write(
        tmp_path / "a.record", [made_records.record([(0.1, 0.1, 0.9, 0.9)], size=(64, 80))]
    )
    parts = {
        "model.config": PYRAMID.replace("num_classes: 3", "num_classes: 1")
        .replace("number_of_stages: 3", "number_of_stages: 2")
        .replace("predict_instance_masks: true", ""),
        "train.config": "batch_size: 1 num_steps: 2 optimizer { momentum_optimizer { "
        "learning_rate { constant_learning_rate { learning_rate: 1e-5 } } } "
        "use_moving_average: false }",
        "input.config": 'label_map_path: "map" '
        f'tf_record_input_reader {{ input_path: "{record}" }}',
        "eval.config": "num_examples: 1",
    }
    for name, text in parts.items():
        (tmp_path / name).write_text(text)
    files = ["--model_config_path=model.config", "--input_config_path=input.config"]

    flags = ["--logtostderr", "--train_dir=run", "--train_config_path=train.config", *files]
    done = run("legacy/train", *flags, "--num_clones=2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "--num_clones has no effect" in done.stderr
    assert "step 2/2" in done.stderr
    flags = ["--checkpoint_dir=run", "--eval_dir=metrics", "--eval_config_path=eval.config"]
    done = run("legacy/eval", *flags, "--run_once", *files, cwd=tmp_path, as_module=True)
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "metrics" / "eval").glob("metrics-2.json"))
    flags = ["--pipeline_config_path=run/pipeline.config", "--trained_checkpoint_prefix=run"]
    flags += ["--output_directory=out", "--input_shape=1,64,80,3"]
    done = run("export_inference_graph", *flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "frozen_inference_graph.pb" in done.stdout
    assert (tmp_path / "out/saved_model/saved_model.pb").is_file()
    graph = tf.compat.v1.GraphDef.FromString(
        (tmp_path / "out/frozen_inference_graph.pb").read_bytes()
    )
    (source,) = (node for node in graph.node if node.name == "image_tensor")
    assert [side.size for side in source.attr["shape"].shape.dim] == [1, 64, 80, 3]
