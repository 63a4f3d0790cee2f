"""Which checkpoint a path means, what is restored from it, what is said where it does not fit."""

import made_networks
import made_weights
import numpy as np
import pytest
import tensorflow as tf
from tiny_models import network_of

from object_detection.checkpoints import location
from object_detection.checkpoints.restore import restore
from object_detection.checkpoints.variables import checkpoint_of, names_of, variables_by_path
from object_detection.errors import CheckpointError


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A network with its own number in each variable, and the prefix it was saved under."""
    network = network_of()
    for i, variable in enumerate(network.variables):
        variable.assign(tf.fill(variable.shape, float(i)))
    folder = tmp_path_factory.mktemp("saved")
    manager = tf.train.CheckpointManager(checkpoint_of(network), str(folder), max_to_keep=2)
    return network, manager.save()


@pytest.mark.parametrize("form", ["prefix", "index", "folder", "export"])
def test_forms_of_a_path(saved, form, tmp_path):
    _, prefix = saved
    folder = prefix.rsplit("/", 1)[0]
    (tmp_path / "checkpoint").symlink_to(folder)
    forms = {"prefix": prefix, "index": prefix + ".index", "folder": folder, "export": tmp_path}
    assert location.find(forms[form]).path.rsplit("/", 1)[1] == prefix.rsplit("/", 1)[1]


def test_full_restores_every_variable(saved):
    network, prefix = saved
    fresh = network_of()
    report = restore(fresh, prefix)

    assert len(report.restored) == len(fresh.variables) and report.family == "ours"
    for want, got in zip(network.variables, fresh.variables, strict=True):
        np.testing.assert_array_equal(want, got, err_msg=got.path)


@pytest.mark.parametrize(
    "kind, restored, kept",
    [
        ("detection", "roi_stage/box_trunk/fc1/kernel", "rpn/head/conv/kernel"),
        ("classification", "backbone/resnet/conv1/kernel", "backbone/lateral2/kernel"),
    ],
)
def test_parts_of_the_model(saved, kind, restored, kept):
    network, prefix = saved
    fresh = network_of()
    before = variables_by_path(fresh)[kept].numpy()
    report = restore(fresh, prefix, checkpoint_type=kind)

    ours, theirs = variables_by_path(fresh), variables_by_path(network)
    np.testing.assert_array_equal(ours[restored], theirs[restored])
    np.testing.assert_array_equal(ours[kept], before)
    assert kept in report.not_requested


def test_another_number_of_classes(saved):
    _, prefix = saved
    other = network_of("faster_rcnn { num_classes: 7 }")

    with pytest.raises(CheckpointError, match=r"classes/kernel: model \[512, 8\], file \[512, 4\]"):
        restore(other, prefix)
    report = restore(other, prefix, partial=True)
    assert {line.split("/")[2] for line in report.mismatched} == {"classes", "boxes", "masks"}
    assert "of another shape" in report.summary()


def test_a_model_with_more_than_the_file(saved, tmp_path):
    smaller = network_of("faster_rcnn { number_of_stages: 1 }")
    prefix = checkpoint_of(smaller).save(tmp_path / "ckpt")

    with pytest.raises(CheckpointError, match="does not fit this model"):
        restore(network_of(), prefix)
    report = restore(network_of(), prefix, partial=True)
    assert "masks/head/masks/kernel" in report.missing


def test_unknown_type(saved):
    with pytest.raises(CheckpointError, match="'fine_tune'; allowed: full, detection, class"):
        restore(saved[0], saved[1], checkpoint_type="fine_tune")


AVERAGED = "FirstStageFeatureExtractor/resnet_v1_50/conv1/weights"


def slim_with(tmp_path, *, graph=False, **extra):
    """A TF1 detector's network and file; extra entries by their ending beside conv1's weights."""
    paths = made_networks.slim_resnet()
    network = made_networks.network_of_paths(paths)
    scopes = names_of(network).scopes
    values = made_weights.values_of({scopes[path]: shape for path, shape in paths.items()})
    values |= {f"{AVERAGED}/{end}": values[AVERAGED] + value for end, value in extra.items()}
    if graph:
        made_weights.write_frozen_graph(tmp_path / "graph.pb", values)
    else:
        made_weights.write_checkpoint(tmp_path / "model.ckpt", values)
    return network, tmp_path / ("graph.pb" if graph else "model.ckpt"), values


def test_averages_stand_in_where_they_are_asked_for(tmp_path):
    network, path, values = slim_with(tmp_path, ExponentialMovingAverage=1, Momentum=2)
    report = restore(network, path)
    conv1, beta = "backbone/resnet_v1_50/conv1/kernel", "backbone/resnet_v1_50/conv1/beta"
    np.testing.assert_array_equal(made_networks.values_in(network)[conv1], values[AVERAGED])
    reasons = {why.split(" ")[0]: names for why, names in report.unused_by_reason().items()}
    assert reasons["moving"] == [f"{AVERAGED}/ExponentialMovingAverage"]
    assert reasons["state"] == [f"{AVERAGED}/Momentum"]

    restore(network, path, moving_averages=True)
    np.testing.assert_array_equal(made_networks.values_in(network)[conv1], values[AVERAGED] + 1)
    # Statistics have no average and come as they are.
    name = AVERAGED.replace("weights", "BatchNorm/beta")
    np.testing.assert_array_equal(made_networks.values_in(network)[beta], values[name])


def test_a_training_without_averages_has_none_to_give(tmp_path):
    network, path, _ = slim_with(tmp_path, Momentum=2)
    with pytest.raises(CheckpointError, match="use_moving_averages is true, but .* no averages"):
        restore(network, path, moving_averages=True)
    assert not any(value.any() for value in made_networks.values_in(network).values())


@pytest.mark.parametrize("graph, words", [(False, 1), (True, 0)])
def test_what_was_exported_is_taken_as_it_is(tmp_path, caplog, graph, words):
    """An exporter has put the averages in the weights' place, or has not: the file can't tell."""
    network, path, _ = slim_with(tmp_path, graph=graph)
    assert len(restore(network, path, moving_averages=True).restored) == len(network.variables)
    assert len(caplog.records) == words


def test_the_report_is_a_few_lines(tmp_path):
    network, path, _ = slim_with(tmp_path, Momentum=2)
    lines = restore(network, path, checkpoint_type="detection").summary().splitlines()
    assert lines == [
        f"restored 15 variables from {path} (TFOD, TF1); 3 not requested, 0 not in the file, 0 of "
        "another shape",
        "  restored: backbone/resnet_v1_50 10, roi_stage/resnet_v1_50 5",
        "  not requested: rpn/head 2, roi_stage/head 1",
        "  unused in the file, state of the optimizer: FirstStageFeatureExtractor/resnet_v1_50 1",
    ]


def test_our_saved_model_is_read_by_its_full_names(saved, tmp_path):
    network, _ = saved
    module = tf.Module()
    module.weights = [variable.value for variable in network.variables]
    tf.saved_model.save(module, str(tmp_path / "saved_model"))
    fresh = network_of()
    report = restore(fresh, tmp_path)
    assert report.family == "ours" and len(report.restored) == len(fresh.variables)
    for want, got in zip(network.variables, fresh.variables, strict=True):
        np.testing.assert_array_equal(want, got, err_msg=got.path)
