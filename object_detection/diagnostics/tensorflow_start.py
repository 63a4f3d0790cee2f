"""Whether TensorFlow starts: tried in a process of its own, which it may take down with it."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from object_detection.diagnostics.remarks import fault, note, ok
from object_detection.errors import install_command

_SECONDS = 180  # a cold disk makes the first import slow
_PROGRAM = """
import json, sys
import tensorflow as tf
import keras
from object_detection.protos import pipeline_pb2
print("FOUND " + json.dumps({
    "tensorflow": tf.__version__,
    "keras": keras.__version__,
    "backend": keras.backend.backend(),
    "gpus": [device.name for device in tf.config.list_physical_devices("GPU")],
    "cuda": tf.test.is_built_with_cuda(),
    "sum": float(tf.reduce_sum(tf.ones([2, 3]))),
}))
"""
# What TensorFlow's last words say, why, and what helps. The first that fits counts.
CAUSES = (
    (
        r"No module named '(tensorflow|keras|numpy|google)[.\w]*'",
        "it is not installed for this Python",
        f"{install_command()} (in the checkout), with the pip of this environment",
    ),
    (
        r"incompatible Protobuf Gencode/Runtime|Descriptors cannot be created directly",
        "the protobuf library is older than the code that was generated for it",
        'pip install "protobuf>=6.31,<8"',
    ),
    (
        r"compiled using NumPy 1\.x|numpy\.core\.multiarray failed|_ARRAY_API not found",
        "a package was made for NumPy 1, and NumPy 2 is installed",
        "upgrade the package that the traceback names",
    ),
    (
        r"GLIBC_[\d.]+' not found|GLIBCXX_[\d.]+' not found",
        "the system's C library is older than TensorFlow's packages ask for",
        "a newer system (manylinux2014 or later), or a container with one",
    ),
    (
        r"undefined symbol|_pywrap_tensorflow_internal|DSO|DLL load failed",
        "files of two versions or builds of TensorFlow lie in one folder",
        "pip uninstall -y tensorflow tensorflow-cpu tf-nightly, then pip install tensorflow",
    ),
    (
        r"cannot import name '\w+' from 'object_detection|No module named 'object_detection",
        "another package of the name object_detection was imported",
        "see above which one lies where",
    ),
)


def examine(environment=os.environ, run=subprocess.run):
    """Remarks on TensorFlow's start, its GPUs and Keras' backend.

    Args:
        environment: of the process.
        run: as `subprocess.run`.
    """
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, *filter(None, [environment.get("PYTHONPATH")])]
    try:
        done = run(
            [sys.executable, "-c", _PROGRAM],
            env={**environment, "PYTHONPATH": os.pathsep.join(paths)},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired:
        yield fault(
            f"`import tensorflow` was not done after {_SECONDS} s",
            "a very slow disk, or a GPU driver that hangs: try nvidia-smi",
        )
        return
    said = next((line for line in done.stdout.splitlines() if line.startswith("FOUND ")), None)
    if said is None or done.returncode:
        yield fault(*_why(done))
        return
    found = json.loads(said.removeprefix("FOUND "))
    yield ok(f"TensorFlow {found['tensorflow']} and Keras {found['keras']} start")
    if found["backend"] != "tensorflow":
        yield fault(
            f"Keras' backend is {found['backend']}",
            "unset KERAS_BACKEND, or write tensorflow for it (and in ~/.keras/keras.json)",
        )
    yield from _gpus(found, environment, done.stderr)


def _why(done):
    """(what happened, what to do) of a process that failed."""
    text = done.stderr.strip()
    if done.returncode == -signal.SIGILL:
        return (
            "TensorFlow ends with `Illegal instruction`",
            "the processor has no AVX, or hides it: see above",
        )
    if done.returncode < 0:
        return (
            f"TensorFlow's start is killed by signal {-done.returncode}",
            "killed by 9 is too little memory; by 11, files of two builds in one folder",
        )
    lines = [line for line in text.splitlines() if line.strip()]
    last = lines[-1].strip() if lines else "it said nothing"
    for pattern, cause, cure in CAUSES:
        if re.search(pattern, text):
            return f"TensorFlow does not start: {cause} ({last[:300]})", cure
    return f"TensorFlow does not start: {last[:300]}", (
        f'the whole message: {sys.executable} -c "import tensorflow"'
    )


def _gpus(found, environment, messages):
    if found["gpus"]:
        yield ok(f"TensorFlow sees {len(found['gpus'])} GPU(s)")
        return
    if not Path("/dev/nvidia0").exists() and not Path("/dev/nvidiactl").exists():
        yield ok("no NVIDIA GPU: everything runs on the processor")
        return
    hidden = environment.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None and hidden.strip() in ("", "-1"):
        yield note(f"CUDA_VISIBLE_DEVICES={hidden!r} hides the GPU", "unset it to use the GPU")
    elif not found["cuda"]:
        yield note(
            "there is an NVIDIA GPU, and this TensorFlow is built without CUDA",
            f"pip uninstall -y tensorflow-cpu; {install_command('gpu')} (in the checkout)",
        )
    else:
        lines = [line for line in messages.splitlines() if re.search("cuda|gpu|dso", line, re.I)]
        reason = re.sub(r"^.*?\] ", "", lines[-1])[:300] if lines else "it does not say why"
        yield note(
            f"there is an NVIDIA GPU that TensorFlow does not see: {reason}",
            f"CUDA's libraries: {install_command('gpu')} (in the checkout); the driver: nvidia-smi",
        )
