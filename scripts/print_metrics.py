"""Prints the newest evaluation of a model folder: `python scripts/print_metrics.py run`."""

import json
import sys
from pathlib import Path

SHOWN = (
    ("mask mAP (COCO AP@[.5:.95])", "DetectionMasks_Precision/mAP"),
    ("mask mAP@.50IOU", "DetectionMasks_Precision/mAP@.50IOU"),
    ("box mAP (COCO AP@[.5:.95])", "DetectionBoxes_Precision/mAP"),
    ("box mAP@.50IOU", "DetectionBoxes_Precision/mAP@.50IOU"),
)


def newest(model_dir):
    """The metrics of the highest step below a model folder, and that step."""
    contents = [
        json.loads(path.read_text()) for path in Path(model_dir).glob("eval*/**/metrics-*.json")
    ]
    if not contents:
        sys.exit(f"{model_dir} holds no evaluation (eval*/metrics-*.json)")
    last = max(contents, key=lambda content: content["step"])
    return last["metrics"], last["step"]


def main():
    metrics, step = newest(sys.argv[1])
    print(f"after {step} steps:")
    for title, name in SHOWN:
        if metrics.get(name) is not None:
            print(f"  {title}: {metrics[name]:.3f}")


if __name__ == "__main__":
    main()
