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
    stem = module.removesuffix(".__main__").rpartition(".")[2]
    assert name == "od-" + stem.replace("_", "-")


def test_every_command_has_one():
    package = ROOT / "object_detection"
    commands = {
        ".".join(path.relative_to(package).with_suffix("").parts)
        for path in package.rglob("*.py")
        if re.search(r'^if __name__ == "__main__":', path.read_text(), re.MULTILINE)
    }
    named = {module.split(":")[0].removeprefix("object_detection.") for module in SCRIPTS.values()}
    assert commands - named - WITHOUT == set()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["od-predict", "od-create-coco-tf-record", "od-webcam", "od-init"])
def test_help_comes_without_tensorflow(name):
    module, _, function = SCRIPTS[name].partition(":")
    program = (
        f"import sys; sys.argv = ['{name}', '--help']\n"
        f"from {module} import {function} as run\n"
        "try:\n    run()\n"
        "finally:\n    print('TF', 'tensorflow' in sys.modules)"
    )
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)

    assert "TF False" in done.stdout and "--" in done.stdout, (done.stdout + done.stderr)[-2000:]
    assert time.perf_counter() - start < 30  # of a busy machine
