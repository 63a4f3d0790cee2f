"""TFOD's training on TPUs, which is not here: names its successor."""

import os
import sys

if not __package__:  # run as a file: Python then looks in this folder, not in the one above
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from object_detection.cli import runner  # noqa: E402
from object_detection.legacy import successor  # noqa: E402


def main():
    """Says what to run; the exit code."""
    return successor.print_successor(
        "model_tpu_main.py",
        "TPUs are not supported; the same training runs on GPUs and CPUs.",
        "python -m object_detection.model_main_tf2 --pipeline_config_path={pipeline_config_path} "
        "--model_dir={model_dir}",
        pipeline_config_path="PIPELINE_CONFIG",
        model_dir="MODEL_DIR",
    )


if __name__ == "__main__":
    runner.run(lambda _: main())
