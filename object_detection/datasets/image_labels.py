"""What is said of an image as a whole, as features of its record under TFOD's keys."""

import numpy as np


def features_of(image, class_ids):
    """The features of an image's labels; none where the format knows nothing of them.

    Args:
        image: the `AnnotatedImage`.
        class_ids: name -> id in the records. Labels of other classes are left out.

    Returns:
        key -> list of bytes, or array of int64 or float32. `image/class/*` hold one entry a label,
        of which TFOD writes text and label; the confidence tells a class that is there (1) from
        one that is sure not to be (0). The two lists of ids are LVIS'.
    """
    features = {}
    labels = [label for label in image.labels if label.class_name in class_ids]
    if labels:
        features["image/class/text"] = [label.class_name.encode() for label in labels]
        features["image/class/label"] = _ids([label.class_name for label in labels], class_ids)
        features["image/class/confidence"] = np.array(
            [label.confidence for label in labels], np.float32
        )
    if image.negative_classes:
        features["image/neg_category_ids"] = _ids(image.negative_classes, class_ids)
    if image.not_exhaustive_classes:
        features["image/not_exhaustive_category_ids"] = _ids(
            image.not_exhaustive_classes, class_ids
        )
    return features


def _ids(names, class_ids):
    return np.array([class_ids[name] for name in names if name in class_ids], np.int64)
