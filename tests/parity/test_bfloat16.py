"""What bfloat16 makes of the detections of a whole Mask R-CNN."""

import numpy as np
import pytest
from parity_case import ParityCase
from reference import needs_reference

from object_detection.modeling.precision import BFLOAT16, compute_in
from object_detection.ops import boxes


@needs_reference
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.slow
def test_the_best_detections_of_float32_are_found_again(tmp_path_factory):
    """At least 17 of the 20 best have a partner of their class with an IoU of 0.9 or more."""
    case = ParityCase("a_tf2_mask_resnet50", tmp_path_factory)
    images = [case.images(number) for number in range(2)]
    wanted = [case.inference(number).detections for number in range(2)]
    compute_in(case.network, BFLOAT16)

    for number in range(2):
        expected, found = wanted[number], case.network(images[number]).detections
        best = np.argsort(-expected.scores[0])[:20]
        iou = boxes.iou(expected.boxes, found.boxes)[0].numpy()[best]
        same = expected.classes[0].numpy()[best, np.newaxis] == found.classes[0].numpy()
        partners = np.where(same & found.valid[0].numpy(), iou, 0.0).max(axis=1)
        assert np.sum(partners >= 0.9) >= 17, number
