"""Faster R-CNN and Mask R-CNN for TensorFlow: the successor of the TF Object Detection API."""

import os
import sys

__version__ = "0.1.0"

# TensorFlow's own start-up messages are noise to our users; a user's own setting wins.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def _runs_a_command():
    """Return whether this process runs a command of this package, by `python -m` or as a file."""
    started = (getattr(sys, "argv", None) or [""])[0]
    if started == "-m":  # Python searches the module to run
        ours = ("object_detection.", "-mobject_detection.")
        return any(argument.startswith(ours) for argument in sys.orig_argv[1:])
    package, folder = map(os.path.dirname, map(os.path.abspath, (__file__, started)))
    places = (package, os.path.join(os.path.dirname(package), "dataset_tools"))
    return bool(started) and (folder in places or folder.startswith(package + os.sep))


if _runs_a_command():
    from object_detection.cli import runner

    runner.guard_start()


def __getattr__(name):
    """Load `object_detection.Predictor` on first use, so that importing the package is fast."""
    if name == "Predictor":
        from object_detection.training.tensorflow_start import import_tensorflow_quietly

        import_tensorflow_quietly()  # importing TensorFlow writes a dozen lines to standard error
        from object_detection.prediction.predictor import Predictor

        return Predictor
    raise AttributeError(f"module 'object_detection' has no attribute '{name}'")
