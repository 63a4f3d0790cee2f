"""Scores detections that `inference/infer_detections.py` wrote into records: see --help.

    --eval_dir=metrics --eval_config_path=eval.config --input_config_path=input.config

The first file contains an EvalConfig, whose `metrics_set` selects the metrics. The second file
contains an InputReader with the records and the label map. Writes `metrics.csv` to `--eval_dir`.
"""

import os
import sys

if not __package__:  # run as a file: Python then looks in this folder, not in the one two above
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from object_detection.legacy.offline_eval import (  # noqa: E402, F401
    main,
    read_data_and_evaluate,
    write_metrics,
)

if __name__ == "__main__":
    main()
