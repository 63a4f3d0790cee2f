"""Ctrl-C and SIGTERM end every command in one line, also while TensorFlow is imported."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# In place of a library: tells that its import has begun, and takes its time.
SLOW_IMPORT = "import os, time\nopen(os.environ['READY'], 'w').close()\ntime.sleep(60)\n"
CONFIG = ROOT / "samples/configs/mask_rcnn_resnet18_fpn_shapes.config"
SERVED = ("--pipeline_config_path=pipeline.config", "--trained_checkpoint_dir=model")
# Command -> flags with which it comes to its slow library, in the folder that `folder` makes.
COMMANDS = {
    "predict": ("--saved_model=model", "--images=a.jpg", "--output=out"),
    "dataset_tools.create_coco_tf_record": (
        *("--train_image_dir=.", "--train_annotations_file=pipe.json", "--output_dir=out"),
    ),
    "data_service": ("--port=0",),
    "model_main_tf2": ("--pipeline_config_path=pipeline.config", "--model_dir=out"),
    "model_main": ("--pipeline_config_path=pipeline.config", "--model_dir=out"),
    "legacy.train": ("--pipeline_config_path=pipeline.config", "--train_dir=out"),
    "legacy.eval": (
        *("--pipeline_config_path=pipeline.config", "--checkpoint_dir=model", "--eval_dir=out"),
    ),
    "metrics.offline_eval_map_corloc": (
        *("--eval_dir=out", "--eval_config_path=eval.config", "--input_config_path=input.config"),
    ),
    "evaluate": ("--annotations_file=a.json", "--results=a.json", "--output_dir=out"),
    "browse_data": ("--records=a.record", "--output=out/data.html"),
    "init": ("--data=a.record", "--output_dir=out"),
    "augmentation_sheet": ("--output=out/sheet.png",),
    "serve": ("--model=model", "--port=0"),
    "exporter_main_v2": (*SERVED, "--output_directory=out"),
    "export_inference_graph": (
        *("--pipeline_config_path=pipeline.config", "--trained_checkpoint_prefix=model"),
        "--output_directory=out",
    ),
    "export_onnx": (*SERVED, "--output=out/model.onnx"),
    "export_tflite": (*SERVED, "--output=out/model.tflite"),
    "inference.infer_detections": (
        *("--input_tfrecord_paths=a.record", "--output_tfrecord_path=out/b.record"),
        "--inference_graph=model",
    ),
    "integrations.webcam": ("--config-file=model", "--video=a.mp4", "--output=out/b.mp4"),
    "integrations.azoda": ("train", "--exp_config=pipe.json", "--data_dir=."),
    "integrations.supervisely": (
        *("train", "--config=pipe.json", "--project=model", "--model=model", "--output=out"),
    ),
    "dataset_tools.create_via_tf_record": (
        *("--annotations_file=pipe.json", "--image_dir=.", "--output_dir=out"),
    ),
    "dataset_tools.oid_hierarchical_labels_expansion": (
        *("--json_hierarchy_file=pipe.json", "--input_annotations=a.json"),
        *("--output_annotations=out/b.csv", "--annotation_type=1"),
    ),
    "dataset_tools.make_shapes": ("--output_dir=out", "--num_train=100000"),
    "tour": ("--image=a.jpg", "--annotations_file=pipe.json", "--output=out"),
    "doctor": (),
}
SAMPLE = ("predict", "dataset_tools.create_coco_tf_record", "legacy.train")


@pytest.fixture
def folder(tmp_path):
    """What the flags above name, a TensorFlow that never comes, and a pipe that nobody fills."""
    (tmp_path / "tensorflow").mkdir()
    (tmp_path / "tensorflow" / "__init__.py").write_text(SLOW_IMPORT)
    (tmp_path / "model").mkdir()
    config = re.sub(r'input_path: ".*"', 'input_path: "a.record"', CONFIG.read_text())
    config = re.sub(r'label_map_path: ".*"', 'label_map_path: "map.pbtxt"', config)
    (tmp_path / "pipeline.config").write_text(config)
    items = [f"item {{ id: {number} name: 'class {number}' }}\n" for number in range(1, 5)]
    (tmp_path / "map.pbtxt").write_text("".join(items))
    (tmp_path / "eval.config").write_text("metrics_set: 'coco_detection_metrics'\n")
    (tmp_path / "input.config").write_text(
        "label_map_path: 'map.pbtxt' tf_record_input_reader { input_path: 'a.record' }\n"
    )
    for name in ("a.jpg", "a.json", "a.record", "a.mp4"):
        (tmp_path / name).write_bytes(b"")
    os.mkfifo(tmp_path / "pipe.json")
    return tmp_path


def interrupted(folder, command, flags, number=signal.SIGINT):
    """(exit code, standard error) of a command that got a signal while it was busy."""
    environment = os.environ | {
        "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}",
        "READY": str(folder / "ready"),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", f"object_detection.{command}", *flags],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        writer = wait_until_busy(process, folder, command)
        os.killpg(process.pid, number)  # as a terminal does: to all its processes
        said = process.communicate(timeout=60)[1]
        if writer is not None:
            os.close(writer)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    return process.returncode, said


def wait_until_busy(process, folder, command):
    """Returns once the command imports TensorFlow, reads the pipe (its end is returned) or draws.

    A command that ends before has missed the point of this test: its messages are shown.
    """
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if process.poll() is not None:
            raise AssertionError(f"{command} ended: {process.communicate()[1][-2000:]}")
        try:
            return os.open(folder / "pipe.json", os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody reads it
            pass
        drawn = folder / "out" / "train"
        if (folder / "ready").exists() or (drawn.is_dir() and any(drawn.iterdir())):
            return None
        time.sleep(0.02)
    raise AssertionError(f"{command} came to nothing")


def check_end(folder, code, said, expected):
    """One line at the end, no traceback, nothing half written."""
    number, line = expected
    assert code == number, said
    assert said.splitlines()[-1] == line
    assert said.count(line) == 1
    assert "Traceback" not in said and "KeyboardInterrupt" not in said, said
    left = [path.name for path in folder.rglob("*") if "partial" in path.name]
    assert not left


@pytest.mark.parametrize("command", SAMPLE)
def test_an_interrupt_is_one_line(folder, command):
    code, said = interrupted(folder, command, COMMANDS[command])
    check_end(folder, code, said, (130, "Interrupted."))


def test_sigterm_is_one_line(folder):
    code, said = interrupted(folder, "predict", COMMANDS["predict"], signal.SIGTERM)
    check_end(folder, code, said, (143, "Terminated (SIGTERM)."))


@pytest.mark.slow
@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - set(SAMPLE)))
def test_an_interrupt_of_every_command_is_one_line(folder, command):
    code, said = interrupted(folder, command, COMMANDS[command])
    check_end(folder, code, said, (130, "Interrupted."))
