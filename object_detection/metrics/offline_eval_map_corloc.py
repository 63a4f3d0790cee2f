"""TFOD's evaluation of detections in records, which is not here: names its successor."""

import os
import sys

if not __package__:  # run as a file: Python then looks in this folder, not in the one two above
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from object_detection.legacy import successor  # noqa: E402


def main():
    """Says what to run; the exit code."""
    return successor.tell(
        "metrics/offline_eval_map_corloc.py",
        "Detections are not read from records; a checkpoint is evaluated straight away.",
        "python -m object_detection.model_main_tf2 --pipeline_config_path=PIPELINE_CONFIG "
        "--model_dir={eval_dir} --checkpoint_dir=CHECKPOINT_DIR --run_once",
        eval_dir="EVAL_DIR",
    )


if __name__ == "__main__":
    sys.exit(main())
