"""azoda's CSVs and JSON files: training and serving.

    python -m object_detection.integrations.azoda train --exp_config=exp_config.json --data_dir=data
    python -m object_detection.integrations.azoda score --deploy_config=deploy_config.json

For its clients, in place of the functions in its notebook: `unmold_mask` and `mask_to_polygons`.
"""

from object_detection.integrations.azoda.polygons import mask_to_polygons
from object_detection.prediction.prediction import unmold_mask

__all__ = ["mask_to_polygons", "unmold_mask"]
