"""TFOD's detection over records by a frozen graph, which is not here: names its successor."""

import os
import sys

if not __package__:  # run as a file: Python then looks in this folder, not in the one two above
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from object_detection.legacy import successor  # noqa: E402


def main():
    """Says what to run; the exit code."""
    return successor.tell(
        "inference/infer_detections.py",
        "Records are not gone through with a frozen graph; an exported model takes image files.",
        "python -m object_detection.predict --saved_model=EXPORTED/saved_model --images=IMAGES "
        "--output=OUTPUT_DIR",
    )


if __name__ == "__main__":
    sys.exit(main())
