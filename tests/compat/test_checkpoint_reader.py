"""Which checkpoint a path means, what is restored from it, what is said where it does not fit."""

import numpy as np
import pytest
import tensorflow as tf
from tiny_models import network_of

from object_detection.compat import checkpoint_paths
from object_detection.compat.checkpoint_map import checkpoint_of, variables_by_path
from object_detection.compat.checkpoint_reader import CheckpointError, restore


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
    assert checkpoint_paths.find(forms[form]).path.rsplit("/", 1)[1] == prefix.rsplit("/", 1)[1]


def test_full_restores_every_variable(saved):
    network, prefix = saved
    fresh = network_of()
    report = restore(fresh, prefix)

    assert len(report.restored) == len(fresh.variables) and report.kind == "ours"
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
    assert kept in report.not_asked


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
