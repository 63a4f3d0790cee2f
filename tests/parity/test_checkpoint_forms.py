"""The reference's weights are the same in every form in which TFOD gives them out."""

import made_weights
import numpy as np
import pytest
from parity_case import ParityCase
from reference import needs_reference
from undrawn import undrawn

from object_detection.builders import model_builder
from object_detection.checkpoints.names import SUFFIX
from object_detection.checkpoints.restore import restore
from object_detection.checkpoints.variables import variables_by_path
from object_detection.compat.outputs import serving_outputs

# The script that writes the reference's weights leaves its files for the collector to close.
pytestmark = [
    needs_reference,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


RESNET, INCEPTION = "c_tf1_mask_resnet50_atrous", "d_tf1_mask_inception_v2"


@pytest.fixture(scope="module")
def tf1(request, tmp_path_factory):
    return ParityCase(request.param, tmp_path_factory)


@pytest.fixture(scope="module")
def tf2(tmp_path_factory):
    return ParityCase("a_tf2_mask_resnet50", tmp_path_factory)


def assert_same_weights(case, path):
    """Restores another network from `path` and gives it back."""
    with undrawn():
        network = model_builder.build_network(case.config.model, False)
    report = restore(network, path)
    assert len(report.restored) == len(case.report.restored) and not report.missing
    got = variables_by_path(network)
    for name, want in variables_by_path(case.network).items():
        np.testing.assert_array_equal(want, got[name], err_msg=name)
    return network


@pytest.mark.parametrize(
    "tf1, form",
    [
        (RESNET, "frozen"),
        (INCEPTION, "frozen"),
        (INCEPTION, "folded"),
        (INCEPTION, "saved_model"),
    ],
    indirect=["tf1"],
)
def test_constants_of_a_tf1_graph(tf1, tmp_path, form):
    weights = tf1.weights()
    if form == "saved_model":
        made_weights.write_tf1_saved_model(tmp_path / "saved_model", weights)
        path = tmp_path
    else:
        path = tmp_path / "frozen_inference_graph.pb"
        made_weights.write_frozen_graph(path, weights, folded=form == "folded")
    network = assert_same_weights(tf1, path)
    if form == "frozen":
        images = tf1.images(0)
        want = serving_outputs(tf1.inference(0), images)
        got = serving_outputs(network(images), images)
        for name, value in got.items():
            np.testing.assert_array_equal(value, want[name], err_msg=name)


def test_a_zoo_archive(tf2, tmp_path):
    folder = tmp_path / "model" / "checkpoint"
    folder.mkdir(parents=True)
    made_weights.write_checkpoint(folder / "ckpt-0", tf2.weights())
    made_weights.write_archive(tmp_path / "model.tar.gz", tmp_path / "model")
    assert_same_weights(tf2, tmp_path / "model.tar.gz")


def test_a_saved_model_of_tf2(tf2, tmp_path):
    """TFOD's exported module holds the detection model as `_model`."""
    values = {
        key.replace("model/", "_model/", 1): value
        for key, value in tf2.weights().items()
        if key.startswith("model/") and key.endswith(SUFFIX)
    }
    made_weights.write_tf2_saved_model(tmp_path / "saved_model", values)
    assert_same_weights(tf2, tmp_path)
