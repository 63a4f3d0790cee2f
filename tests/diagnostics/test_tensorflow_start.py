"""What TensorFlow's last words mean."""

import json
import subprocess
from pathlib import Path

import pytest

from object_detection.diagnostics import tensorflow_start
from object_detection.diagnostics.remarks import FAULT, NOTE, OK

RESULT = {"tensorflow": "2.21", "keras": "3", "backend": "tensorflow", "gpus": [], "cuda": True}


def said(environment=None, *, code=0, error="", **changes):
    """The remarks where the process ends so."""
    lines = "noise\nRESULT " + json.dumps(RESULT | changes) if not error and not code else ""

    def run(command, env, **more):
        return subprocess.CompletedProcess(command, code, lines, error)

    return list(tensorflow_start.examine(environment or {}, run))


@pytest.mark.parametrize(
    ("error", "words", "cure"),
    [
        ("ModuleNotFoundError: No module named 'tensorflow'", "not installed", "pip install"),
        (
            "google.protobuf.runtime_version.VersionError: Detected incompatible Protobuf "
            "Gencode/Runtime versions when loading x.proto: gencode 6.31.1 runtime 5.29",
            "older than the generated code",
            '"protobuf>=6.31,<8"',
        ),
        (
            "ImportError: numpy.core.multiarray failed to import",
            "requires NumPy 1",
            "upgrade",
        ),
        ("ImportError: /lib/libm.so.6: version `GLIBC_2.29' not found", "C library", "newer"),
        ("ImportError: x.so: undefined symbol: _ZN", "two versions or builds", "pip uninstall"),
        ("SomethingElse: no", "SomethingElse: no", "import tensorflow"),
    ],
)
def test_why_it_does_not_start(error, words, cure):
    [remark] = said(code=1, error=f"Traceback\n{error}\n")
    assert remark.level == FAULT and words in remark.what and cure in remark.cure


@pytest.mark.parametrize(("code", "words"), [(-4, "Illegal instruction"), (-11, "signal 11")])
def test_a_start_that_is_killed(code, words):
    [remark] = said(code=code)
    assert remark.level == FAULT and words in remark.what


def test_a_start_that_hangs():
    def run(command, **more):
        raise subprocess.TimeoutExpired(command, 1)

    [remark] = tensorflow_start.examine({}, run)
    assert remark.level == FAULT and "not finish within" in remark.what


def test_backends_and_gpus(monkeypatch):
    assert [r.level for r in said(gpus=["/GPU:0"])] == [OK, OK]
    assert [r.level for r in said(backend="jax", gpus=["/GPU:0"])] == [OK, FAULT, OK]
    monkeypatch.setattr(Path, "exists", lambda path: True)  # /dev/nvidia0
    hidden = said({"CUDA_VISIBLE_DEVICES": "-1"})[1]
    assert hidden.level == NOTE and "hides the GPU" in hidden.what
    assert "without CUDA" in said(cuda=False)[1].what
    assert "does not find" in said()[1].what


def test_code_of_ours_is_what_is_imported():
    def run(command, env, **more):
        root = env["PYTHONPATH"].split(":")
        assert (Path(root[0]) / "object_detection" / "doctor.py").is_file() and root[1] == "mine"
        return subprocess.CompletedProcess(command, 1, "", "x")

    list(tensorflow_start.examine({"PYTHONPATH": "mine"}, run))
