"""TFOD's export for TensorFlow Lite, which does not support Faster R-CNN: prints its successor."""

import os
import sys

if not __package__:  # run as a file: Python then looks in this folder, not in the one above
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from object_detection.cli import runner  # noqa: E402
from object_detection.legacy import successor  # noqa: E402


def main():
    """Print the command to run; return the exit code."""
    return successor.print_successor(
        "export_tflite_graph_tf2.py",
        "TFOD exports SSD and CenterNet so, never Faster or Mask R-CNN.",
        "python -m object_detection.export_tflite --pipeline_config_path={pipeline_config_path} "
        "--trained_checkpoint_dir={trained_checkpoint_dir} "
        "--output={output_directory}/model.tflite",
        pipeline_config_path="PIPELINE_CONFIG",
        trained_checkpoint_dir="CHECKPOINT_DIR",
        output_directory="OUTPUT_DIR",
    )


if __name__ == "__main__":
    runner.run(lambda _: main())
