"""azoda's files, unchanged: its CSVs and experiment JSON trained, its deployment JSON served.

    python -m object_detection.front_doors.azoda train --exp_config=exp_config.json --data_dir=data
    python -m object_detection.front_doors.azoda score --deploy_config=deploy_config.json

For its clients, in place of the functions in its notebook: `unmold_mask` and `polygons_of`.
"""

from object_detection.ops import outlines
from object_detection.prediction.prediction import unmold_mask

__all__ = ["polygons_of", "unmold_mask"]


def polygons_of(mask, tolerance=0.0):
    """The polygons of a mask as azoda's CSVs have them: what `unmold_mask` gives, as text's source.

    Args:
        mask: bool [h, w].
        tolerance: pixels by which simpler polygons may miss the mask's border; 0 is exact.

    Returns:
        A list with one [x1, y1, x2, y2, ...] for each connected part. Holes are filled.
    """
    return [outlines.flat(part.exterior) for part in outlines.trace(mask, tolerance=tolerance)]
