"""TFOD's own checkpoints, exported by us, answer as TFOD did: every parity case, end to end."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from reference import REFERENCE, needs_reference

from object_detection.config import pipeline_file
from object_detection.export import exporter
from object_detection.export.options import ExportOptions

CASES = (
    "a_tf2_mask_resnet50",
    "b_tf2_mask_inception_resnet_v2",
    "c_tf1_mask_resnet50_atrous",
    "d_tf1_mask_inception_v2",
    "e_tf1_mask_inception_resnet_v2_atrous",
    "f_tf1_mask_resnet101_atrous",
    "g_tf2_resnet50_fpn",
    "g2_tf2_mask_resnet50_fpn",
    "h_tf2_resnet101",
    "i_tf1_resnet50_rpn_only_stage1",
)
# Where a box ends on the image's border, noise of 1e-7 moves its last row of features in or out of
# the map (outside is 0), so what is computed from them may differ: at most this many detections.
AT_THE_BORDER = 2


@pytest.fixture(scope="module", params=CASES)
def case(request, tmp_path_factory):
    """(name, loaded SavedModel, expected arrays, folder of the export)."""
    name, folder = request.param, tmp_path_factory.mktemp("case")
    parity = REFERENCE / "reference" / "parity"
    subprocess.run(
        [sys.executable, str(parity / "make_weights.py"), name, str(folder / "ckpt")],
        cwd=parity,
        check=True,
        capture_output=True,
    )
    config = pipeline_file.load(parity / name / "pipeline.config")
    options = ExportOptions(verify=False)  # by these tests
    exporter.export(config, folder / "ckpt", folder / "export", options)
    with np.load(parity / name / "expected.npz") as arrays:
        expected = dict(arrays)
    model = tf.saved_model.load(str(folder / "export" / "saved_model"))
    yield name, model, expected, folder / "export"
    shutil.rmtree(folder)


def _answer(case, number):
    """Outputs for an image and what TFOD's `postprocess` gave for it, both without padding."""
    name, model, expected, _ = case
    with np.load(REFERENCE / "reference" / "parity" / "images.npz") as images:
        outputs = model(tf.constant(images[f"image{number}"])[tf.newaxis])
    prefix = f"image{number}/post/"
    wanted = {k.removeprefix(prefix): v for k, v in expected.items() if k.startswith(prefix)}
    count = int(wanted["num_detections"][0])
    assert int(outputs["num_detections"][0]) == count, name
    rows = [k for k in wanted if k.startswith("detection_") and k != "detection_anchor_indices"]
    assert set(rows) - {"detection_classes"} <= set(outputs)
    return {k: outputs[k].numpy()[0, :count] for k in rows if k in outputs}, {
        k: wanted[k][0, :count] for k in rows
    }


def _pairs(got, wanted):
    """For each expected detection the number of ours with its class, its box and its score."""
    pairs = []
    for k, box in enumerate(wanted["detection_boxes"]):
        off = np.abs(got["detection_boxes"] - box).max(1)
        off = np.maximum(off, np.abs(got["detection_scores"] - wanted["detection_scores"][k]))
        if "detection_classes" in wanted:  # TFOD's are 0-based there
            other = got["detection_classes"] != wanted["detection_classes"][k] + 1
            off = np.where(other, np.inf, off)
        assert off.min() <= 1e-4, f"no detection of ours is number {k}: off by {off.min()}"
        pairs.append(off.argmin())
    return pairs


@needs_reference
@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 1])
def test_detections_of_the_exported_model(case, number):
    got, wanted = _answer(case, number)
    if case[0].startswith("i_"):
        got.pop("detection_classes", None)
    pairs = _pairs(got, wanted)

    assert len(set(pairs)) == len(pairs)
    assert ("detection_masks" in got) == ("detection_masks" in wanted)
    if "detection_multiclass_scores" in wanted:
        scores = got["detection_multiclass_scores"][pairs]
        np.testing.assert_allclose(scores, wanted["detection_multiclass_scores"], atol=1e-4)
    if "detection_masks" in wanted:
        off = np.abs(got["detection_masks"][pairs] - wanted["detection_masks"]).max((1, 2))
        assert (off > 1e-3).sum() <= AT_THE_BORDER, np.sort(off)[-5:]


@needs_reference
@pytest.mark.slow
def test_an_image_is_answered_the_same_in_a_batch(case):
    with np.load(REFERENCE / "reference" / "parity" / "images.npz") as images:
        image = images["image0"]
    single = case[1](tf.constant(image)[tf.newaxis])
    batch = case[1](np.stack([image, image[:, ::-1]]))

    count = int(single["num_detections"][0])
    for name in ("detection_boxes", "detection_scores"):
        np.testing.assert_allclose(
            batch[name][0, :count], single[name][0, :count], atol=1e-4, err_msg=name
        )


@needs_reference
@pytest.mark.slow
def test_the_exported_checkpoint_of_a_tf2_model_has_tfods_keys(case):
    name, export = case[0], case[3]
    reader = tf.train.load_checkpoint(str(export / "checkpoint" / "ckpt-0"))
    keys = set(reader.get_variable_to_shape_map())

    lines = (REFERENCE / "reference" / "parity" / name / "variables.tsv").read_text().splitlines()
    if "_tf2_" in name:
        stored = {line.split("\t")[0] for line in lines[1:]}
        assert keys - {"_CHECKPOINTABLE_OBJECT_GRAPH"} == stored
    else:  # nobody could load a TF1 model's from there: it is in our own form
        assert all(key.startswith(("model/", "save_counter", "_CHECK")) for key in keys)
