"""The programs that an installation brings: each leads to a command, and every command has one."""

import importlib
import re
import runpy
import subprocess
import sys
import time
from pathlib import Path

import pytest
import setuptools

from object_detection import programs
from object_detection.cli import runner

ROOT = Path(__file__).resolve().parents[2]

# Commands that only say which one took their place, and TFOD's older ones, keep to python -m.
WITHOUT = {
    *("model_tpu_main", "export_tflite_graph_tf2", "export_inference_graph", "legacy.eval"),
    *("legacy.train", "inference.infer_detections", "metrics.offline_eval_map_corloc"),
    "export.fresh_run",  # a part of the exporters, in a process of its own
}


def scripts():
    """{name: "module:function"} by setup.py."""
    taken = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setuptools, "setup", lambda **given: taken.update(given))
        runpy.run_path(str(ROOT / "setup.py"))
    lines = taken["entry_points"]["console_scripts"]
    return dict(line.split(" = ") for line in lines)


SCRIPTS = scripts()


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_each_leads_to_a_function(name):
    module, _, function = SCRIPTS[name].partition(":")

    assert callable(getattr(importlib.import_module(module), function))
    assert name == "od-" + function.replace("_", "-")


def test_every_command_has_one():
    package = ROOT / "object_detection"
    commands = {
        ".".join(path.relative_to(package).with_suffix("").parts).removesuffix(".__main__")
        for path in package.rglob("*.py")
        if re.search(r'^if __name__ == "__main__":', path.read_text(), re.MULTILINE)
    }
    assert commands - WITHOUT == set(programs.MODULES)
    assert len(SCRIPTS) == len(programs.MODULES)  # no two of one name


def test_a_program_is_its_module(monkeypatch):
    seen = []
    monkeypatch.setattr(runner, "guard_start", lambda: seen.append("guarded"))
    monkeypatch.setattr(programs.runpy, "run_module", lambda *given, **how: seen.append(given[0]))
    programs.webcam()
    programs.create_coco_tf_record()
    assert seen == [
        "guarded",
        "object_detection.integrations.webcam",
        "guarded",
        "object_detection.dataset_tools.create_coco_tf_record",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "flag"),
    [
        ("od-predict", "--saved_model"),
        ("od-init", "--extractor"),
        ("od-create-coco-tf-record", "--train_image_dir"),
        ("od-webcam", "--config-file"),
        ("od-azoda", "--help"),
    ],
)
def test_help_lists_the_flags_and_needs_no_tensorflow(name, flag):
    program = (
        f"import sys; sys.argv = ['{name}', '--help']\n"
        "from object_detection import programs\n"
        "try:\n"
        f"    programs.{SCRIPTS[name].partition(':')[2]}()\n"
        "finally:\n"
        "    print('TF', 'tensorflow' in sys.modules)"
    )
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)

    assert flag in done.stdout and "TF False" in done.stdout, (done.stdout + done.stderr)[-2000:]
    assert time.perf_counter() - start < 30  # of a busy machine
