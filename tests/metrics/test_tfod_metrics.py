"""Every metric of TFOD's that boxes and masks have, against TFOD's own evaluators' numbers."""

import json
import math
from pathlib import Path

import made_images
import make_metric_goldens
import pytest
from google.protobuf import text_format
from made_instances import add

from object_detection.builders import evaluator_builder
from object_detection.protos import eval_pb2

GOLDENS = json.loads((Path(__file__).parent / "goldens" / "tfod_metrics.json").read_text())
CATEGORIES = dict(enumerate(make_metric_goldens.NAMES, start=1))
FREQUENCIES = {1: "f", 2: "c", 3: "r"}


def built(*names, options=""):
    config = eval_pb2.EvalConfig(metrics_set=names)
    return evaluator_builder.build(text_format.Merge(options, config), CATEGORIES, FREQUENCIES)


def filled(evaluation, seed):
    for image in made_images.images(seed):
        add(evaluation, *image, made_images.HEIGHT, made_images.WIDTH)
    return evaluation


def assert_equal(numbers, golden):
    assert numbers.keys() == golden.keys()
    for name, want in golden.items():
        if want is None:
            assert math.isnan(numbers[name]), name
        else:
            assert numbers[name] == want, name


def bounds(name):
    if not name.startswith("precision_at_recall"):
        return ""
    return "recall_lower_bound: {} recall_upper_bound: {}".format(*make_metric_goldens.RECALL)


@pytest.mark.parametrize("seed", make_metric_goldens.SEEDS)
@pytest.mark.parametrize("name", evaluator_builder.SUPPORTED)
def test_the_numbers_are_tfods_to_the_last_digit(name, seed):
    numbers = filled(built(name, options=bounds(name)), seed).evaluate()

    assert_equal(numbers, GOLDENS[str(seed)][name])


def test_all_metrics_at_once_are_each_what_they_are_alone():
    names = [n for n in evaluator_builder.SUPPORTED if not n.startswith("precision_at_recall")]
    evaluation = filled(built(*names), 1)

    golden = {}
    for name in names:
        golden |= GOLDENS["1"][name]
    assert_equal(evaluation.evaluate(), golden)
    assert evaluation.kinds == ("boxes", "masks")
    assert all(text in evaluation.table() for text in ("AP  small", "oid_V2", "lvis_mask_metrics"))
