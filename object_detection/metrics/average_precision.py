"""Precision, recall and the area under their curve as Pascal VOC defines them since 2010."""

import numpy as np


def precision_recall(scores, labels, total):
    """The curve of all detections of a class.

    Args:
        scores: [n]; equal ones are taken the last first.
        labels: [n], > 0 for what is right: by how much it counts.
        total: how much there was to find, > 0.

    Returns:
        (precision [n], recall [n]), the best detection first.
    """
    order = np.argsort(scores, kind="stable")[::-1]
    right = np.asarray(labels, np.float64)[order]
    found, wrong = np.cumsum(right), np.cumsum((right <= 0).astype(np.float64))
    return found / (found + wrong), found / total


def average_precision(precision, recall):
    """The area under the curve, whose precision is made to fall; 0 without a point."""
    recall = np.concatenate([[0.0], recall, [1.0]])
    falling = np.maximum.accumulate(np.concatenate([[0.0], precision, [0.0]])[::-1])[::-1]
    steps = np.flatnonzero(recall[1:] != recall[:-1]) + 1
    if len(recall) == 2:
        return 0.0
    return float(np.sum((recall[steps] - recall[steps - 1]) * falling[steps]))


def within(precision, recall, low, high):
    """The part of a curve whose recall lies in low..high."""
    inside = (recall >= low) & (recall <= high)
    return precision[inside], recall[inside]
