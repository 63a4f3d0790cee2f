"""Check of TensorFlow's start, in a separate process that may crash."""

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
print("RESULT " + json.dumps({
    "tensorflow": tf.__version__,
    "keras": keras.__version__,
    "backend": keras.backend.backend(),
    "gpus": [device.name for device in tf.config.list_physical_devices("GPU")],
    "cuda": tf.test.is_built_with_cuda(),
    "sum": float(tf.reduce_sum(tf.ones([2, 3]))),
}))
"""
# Pattern of the error output, cause, cure. The first match is used.
CAUSES = (
    (
        r"No module named '(tensorflow|keras|numpy|google)[.\w]*'",
        "it is not installed for this Python",
        f"{install_command()} (in the checkout), with the pip of this environment",
    ),
    (
        r"incompatible Protobuf Gencode/Runtime|Descriptors cannot be created directly",
        "the protobuf library is older than the generated code",
        'pip install "protobuf>=6.31,<8"',
    ),
    (
        r"compiled using NumPy 1\.x|numpy\.core\.multiarray failed|_ARRAY_API not found",
        "a package requires NumPy 1, but NumPy 2 is installed",
        "upgrade the package that the traceback names",
    ),
    (
        r"GLIBC_[\d.]+' not found|GLIBCXX_[\d.]+' not found",
        "the system's C library is older than TensorFlow's packages require",
        "use a newer system (manylinux2014 or later), or a container with one",
    ),
    (
        r"undefined symbol|_pywrap_tensorflow_internal|DSO|DLL load failed",
        "files of two versions or builds of TensorFlow are in one folder",
        "pip uninstall -y tensorflow tensorflow-cpu tf-nightly, then pip install tensorflow",
    ),
    (
        r"cannot import name '\w+' from 'object_detection|No module named 'object_detection",
        "another package of the name object_detection was imported",
        "see its location above",
    ),
)


def examine(environment=os.environ, run=subprocess.run):
    """Yield remarks on TensorFlow's start, its GPUs and Keras' backend.

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
            f"`import tensorflow` did not finish within {_SECONDS} s",
            "the disk is very slow, or the GPU driver hangs: try nvidia-smi",
        )
        return
    output = next((line for line in done.stdout.splitlines() if line.startswith("RESULT ")), None)
    if output is None or done.returncode:
        yield fault(*_why(done))
        return
    result = json.loads(output.removeprefix("RESULT "))
    yield ok(f"TensorFlow {result['tensorflow']} and Keras {result['keras']} start")
    if result["backend"] != "tensorflow":
        yield fault(
            f"Keras' backend is {result['backend']}",
            "unset KERAS_BACKEND, or set it to tensorflow (also in ~/.keras/keras.json)",
        )
    yield from _gpus(result, environment, done.stderr)


def _why(done):
    """Return (what happened, what to do) of a failed process."""
    text = done.stderr.strip()
    if done.returncode == -signal.SIGILL:
        return (
            "TensorFlow fails with `Illegal instruction`",
            "the processor has no AVX, or it is hidden: see above",
        )
    if done.returncode < 0:
        return (
            f"TensorFlow's start is killed by signal {-done.returncode}",
            "signal 9: too little memory; signal 11: files of two builds in one folder",
        )
    lines = [line for line in text.splitlines() if line.strip()]
    last = lines[-1].strip() if lines else "no output"
    for pattern, cause, cure in CAUSES:
        if re.search(pattern, text):
            return f"TensorFlow does not start: {cause} ({last[:300]})", cure
    return f"TensorFlow does not start: {last[:300]}", (
        f'for the full message: {sys.executable} -c "import tensorflow"'
    )


def _gpus(result, environment, messages):
    if result["gpus"]:
        yield ok(f"TensorFlow finds {len(result['gpus'])} GPU(s)")
        return
    if not Path("/dev/nvidia0").exists() and not Path("/dev/nvidiactl").exists():
        yield ok("no NVIDIA GPU: everything runs on the processor")
        return
    hidden = environment.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None and hidden.strip() in ("", "-1"):
        yield note(f"CUDA_VISIBLE_DEVICES={hidden!r} hides the GPU", "unset it to use the GPU")
    elif not result["cuda"]:
        yield note(
            "there is an NVIDIA GPU, but this TensorFlow is built without CUDA",
            f"pip uninstall -y tensorflow-cpu; {install_command('gpu')} (in the checkout)",
        )
    else:
        lines = [line for line in messages.splitlines() if re.search("cuda|gpu|dso", line, re.I)]
        reason = re.sub(r"^.*?\] ", "", lines[-1])[:300] if lines else "no reason given"
        yield note(
            f"there is an NVIDIA GPU that TensorFlow does not find: {reason}",
            f"CUDA's libraries: {install_command('gpu')} (in the checkout); the driver: nvidia-smi",
        )
