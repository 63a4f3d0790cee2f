"""--help and faults of a config are told before TensorFlow starts, which takes seconds."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from object_detection.modeling.backbones import BACKBONES
from object_detection.modeling.extractor_names import EXTRACTORS

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "object_detection"
MINIMAL = """
model { faster_rcnn { num_classes: 2 feature_extractor { type: "TYPE" }
  image_resizer { fixed_shape_resizer { height: 64 width: 64 } } } }
train_config { batch_size: 1 num_steps: 1 }
train_input_reader { label_map_path: "nowhere.pbtxt"
  tf_record_input_reader { input_path: "nowhere-*.record" } }
"""


def commands():
    """The package's commands, dotted; of each folder of alike ones one."""
    files = [*sorted(PACKAGE.glob("*.py")), PACKAGE / "dataset_tools/create_coco_tf_record.py"]
    files += [PACKAGE / "legacy/train.py", PACKAGE / "inference/infer_detections.py"]
    guarded = [file for file in files if '\nif __name__ == "__main__":' in file.read_text()]
    return [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in guarded]


def start(*command):
    """A command of Python's that tells on standard error which modules it imports."""
    return subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", *map(str, command)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def imported(expected_text):
    """The modules of `-X importtime`'s lines, and the other lines."""
    lines = expected_text.splitlines()
    names = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
    return names, "\n".join(line for line in lines if not line.startswith("import time:"))


def test_help_of_every_command_needs_no_tensorflow():
    result = commands()
    assert {"object_detection.model_main", "object_detection.export_onnx"} <= set(result)
    for first in range(0, len(result), 2):  # two at a time
        started = [(name, start(name, "--help")) for name in result[first : first + 2]]
        for name, process in started:
            expected_text, errors = process.communicate(timeout=120)
            modules, said = imported(errors)
            assert "site" in modules or "encodings" in modules, said
            assert not {"tensorflow", "keras"} & modules, name
            assert process.returncode in (0, 1), (name, said)  # absl says 1 after --help
            assert expected_text, (name, said)


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ("model_main", "nowhere.pbtxt"),
        ("model_main_tf2", "feature_extractor.type"),
        ("exporter_main_v2", "feature_extractor.type"),
        ("model_main_tf2", "broken syntax"),
    ],
)
def test_a_broken_config_is_reported_before_tensorflow_starts(tmp_path, command, fault):
    kind = "no_such_net" if "extractor" in fault else "faster_rcnn_resnet50_keras"
    text = "model { faster_rcnn {" if "syntax" in fault else MINIMAL.replace("TYPE", kind)
    path = tmp_path / "pipeline.config"
    path.write_text(text)
    flags = [f"--pipeline_config_path={path}", f"--model_dir={tmp_path}/run"]
    if command.startswith("exporter"):
        flags[1:] = [f"--trained_checkpoint_dir={tmp_path}", f"--output_directory={tmp_path}/e"]
    process = start(f"object_detection.{command}", *flags)
    modules, said = imported(process.communicate(timeout=120)[1])
    assert process.returncode == 1, said
    assert ("pipeline.config" if "syntax" in fault else fault) in said
    assert "tensorflow" not in modules and "keras" not in modules


def test_the_names_of_the_extractors_are_those_of_the_table():
    assert tuple(BACKBONES) == EXTRACTORS


def test_importing_the_classes_for_python_writes_nothing():
    code = (
        "from object_detection import Predictor\nfrom object_detection.integrations import COCODemo"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout + run.stderr == ""
