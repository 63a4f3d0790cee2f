"""Faster R-CNN and Mask R-CNN for TensorFlow: the successor of the TF Object Detection API."""

import os

__version__ = "0.1.0"

# TensorFlow's own start-up messages are noise to our users; a user's own setting wins.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def __getattr__(name):
    """Loads `object_detection.Predictor` on first use, so that importing the package is cheap."""
    if name == "Predictor":
        from object_detection.prediction.predictor import Predictor

        return Predictor
    raise AttributeError(f"module 'object_detection' has no attribute '{name}'")
