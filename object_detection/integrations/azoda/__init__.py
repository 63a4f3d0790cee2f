"""azoda's files, unchanged: its CSVs and experiment JSON trained, its deployment JSON served.

    python -m object_detection.integrations.azoda train --exp_config=exp_config.json --data_dir=data
    python -m object_detection.integrations.azoda score --deploy_config=deploy_config.json

For its clients, in place of the functions in its notebook: `unmold_mask` and `polygons_of`.
"""

from object_detection.integrations.azoda.polygons import polygons_of
from object_detection.prediction.prediction import unmold_mask

__all__ = ["polygons_of", "unmold_mask"]
