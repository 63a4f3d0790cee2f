"""TFOD's own checkpoints, exported by us, answer as TFOD did: every parity case, end to end."""

import numpy as np
import pytest
import tensorflow as tf
from reference import needs_reference
from reference_models import PARITY, checkpoint_of, export_of
from undrawn import undrawn

from object_detection.config import pipeline_file
from object_detection.export import batching, fresh_run, frozen_graph, preparation, serving
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
    name = request.param
    export = export_of(name, tmp_path_factory)
    with np.load(PARITY / name / "expected.npz") as arrays:
        expected = dict(arrays)
    model = tf.saved_model.load(str(export / "saved_model"))
    return name, model, expected, export


def _image(number):
    with np.load(PARITY / "images.npz") as images:
        return images[f"image{number}"]


def _beside_tfods(case, number, outputs, row=0):
    """Outputs for an image and what TFOD's `postprocess` gave for it, both without padding."""
    name, _, expected, _ = case
    outputs = {k: np.asarray(v) for k, v in outputs.items()}
    prefix = f"image{number}/post/"
    wanted = {k.removeprefix(prefix): v for k, v in expected.items() if k.startswith(prefix)}
    count = int(wanted["num_detections"][0])
    assert int(outputs["num_detections"][row]) == count, name
    rows = [k for k in wanted if k.startswith("detection_") and k != "detection_anchor_indices"]
    assert set(rows) - {"detection_classes"} <= set(outputs)
    return {k: outputs[k][row, :count] for k in rows if k in outputs}, {
        k: wanted[k][0, :count] for k in rows
    }


def _pairs(got, wanted, excused=0):
    """For each expected detection the number of ours with its class, its box and its score.

    None stands for one that is another; there are at most `excused`.
    """
    pairs = []
    for k, box in enumerate(wanted["detection_boxes"]):
        off = np.abs(got["detection_boxes"] - box).max(1)
        off = np.maximum(off, np.abs(got["detection_scores"] - wanted["detection_scores"][k]))
        if "detection_classes" in wanted:  # TFOD's are 0-based there
            other = got["detection_classes"] != wanted["detection_classes"][k] + 1
            off = np.where(other, np.inf, off)
        if off.min() <= 1e-4 or not excused:
            assert off.min() <= 1e-4, f"no detection of ours is number {k}: off by {off.min()}"
            pairs.append(off.argmin())
        else:
            excused -= 1
            pairs.append(None)
    return pairs


def _read_otherwise(case, number, raw, other_raw):
    """Number of proposals that end on the image's border and got other scores or boxes there.

    Every other proposal has to have the same ones, and these may be `AT_THE_BORDER` at most. Which
    they are depends on the processor: one of case a on some with AVX-512, on others none.
    """
    off = [
        np.abs(raw[name] - other_raw[name]).reshape(len(raw[name]), -1).max(1)
        for name in ("raw_detection_boxes", "raw_detection_scores")
        if name in other_raw
    ]
    unlike = (np.array(off) > 1e-4).any(axis=0)
    if unlike.any():
        boxes = case[2][f"image{number}/predict/proposal_boxes_normalized"][0][unlike]
        assert ((boxes < 1e-5) | (boxes > 1 - 1e-5)).any(axis=1).all(), boxes
        assert len(boxes) <= AT_THE_BORDER, boxes
    return unlike.sum()


@needs_reference
@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 1])
def test_detections_of_the_exported_model(case, number):
    outputs = case[1](tf.constant(_image(number))[tf.newaxis])
    raw = {k: v[0].numpy() for k, v in outputs.items() if k.startswith("raw_")}
    prefix = f"image{number}/post/"
    tfods = {k: case[2][prefix + k][0] for k in raw if prefix + k in case[2]}
    excused = _read_otherwise(case, number, raw, tfods) if tfods else 0
    _compare(case, *_beside_tfods(case, number, outputs), excused=excused)


def _compare(case, got, wanted, excused=0):
    if case[0].startswith("i_"):
        got.pop("detection_classes", None)
    pairs = _pairs(got, wanted, excused)
    wanted = {k: v[[pair is not None for pair in pairs]] for k, v in wanted.items()}
    pairs = [pair for pair in pairs if pair is not None]

    assert len(set(pairs)) == len(pairs)
    assert ("detection_masks" in got) == ("detection_masks" in wanted)
    if "detection_multiclass_scores" in wanted:
        scores = got["detection_multiclass_scores"][pairs]
        np.testing.assert_allclose(scores, wanted["detection_multiclass_scores"], atol=1e-4)
    if "detection_masks" in wanted:
        off = np.abs(got["detection_masks"][pairs] - wanted["detection_masks"]).max((1, 2))
        if excused:  # as many as there are boxes that end on the border
            boxes = wanted["detection_boxes"]
            off = off[((boxes > 1e-5) & (boxes < 1 - 1e-5)).all(axis=1)]
            assert off.size > 0 and off.max() <= 1e-3, np.sort(off)[-5:]
        else:
            assert (off > 1e-3).sum() <= AT_THE_BORDER, np.sort(off)[-5:]


def _files(input_type, images):
    """Strings for the kinds of input that take them."""
    encoded = [tf.io.encode_png(image).numpy() for image in images]
    if input_type == "encoded_image_string_tensor":
        return np.array(encoded, object)
    examples = []
    for one in encoded:
        value = tf.train.Feature(bytes_list=tf.train.BytesList(value=[one]))
        features = tf.train.Features(feature={"image/encoded": value})
        examples.append(tf.train.Example(features=features).SerializeToString())
    return np.array(examples, object)


def _kinds(name, *kinds):
    return pytest.param(name, kinds, id=name)


@needs_reference
@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "kinds"),
    [
        _kinds("a_tf2_mask_resnet50", "image_tensor"),
        _kinds("c_tf1_mask_resnet50_atrous", "image_tensor"),
        # The fastest one.
        _kinds("d_tf1_mask_inception_v2", *(serving.INPUT_TYPES.keys() - {"image_tensor"})),
    ],
    indirect=["case"],
)
def test_every_kind_of_input_of_both_exporters_optimized(case, kinds, tmp_path, tmp_path_factory):
    """Norms folded, TFOD's numbers stay within the same tolerances.

    The two images differ in size; as files they make one request.
    """
    config = pipeline_file.load(PARITY / case[0] / "pipeline.config")
    checkpoint = checkpoint_of(case[0], tmp_path_factory)
    with undrawn():
        model = preparation.restore(config, checkpoint, ExportOptions())
    assert preparation.fold_norms(model.network) > 50
    detector = batching.Detector(model.network)
    images = [_image(0), _image(1)]
    for input_type in kinds:
        module_class = serving.INPUT_TYPES[input_type]
        module = module_class(detector, model.resizer)
        serving.save(module, tmp_path / input_type)
        signature = tf.saved_model.load(str(tmp_path / input_type)).signatures["serving_default"]
        spec = frozen_graph._input_spec(module.spec, input_type, ())
        traced = frozen_graph._trace(module, spec, ExportOptions(), ())
        frozen_graph._write_frozen(traced, tmp_path / f"{input_type}.pb")
        if module.spec.dtype == tf.string:
            requests = [(_files(input_type, images), [0, 1])]
        else:
            requests = [(image[np.newaxis], [k]) for k, image in enumerate(images)]
        for request, numbers in requests:
            request = (
                request
                if request.dtype == object
                else request.astype(module.spec.dtype.as_numpy_dtype)
            )
            answers = [
                signature(input_tensor=tf.constant(request)),
                fresh_run.run_frozen(str(tmp_path / f"{input_type}.pb"), request),
            ]
            for row, number in enumerate(numbers):
                for outputs in answers:
                    answer = _beside_tfods(case, number, outputs, row)
                    # Rounding is another: a proposal on the border may read another row.
                    _compare(case, *answer, excused=AT_THE_BORDER)


@needs_reference
@pytest.mark.slow
def test_an_image_is_answered_the_same_in_a_batch(case):
    image = _image(0)
    single = case[1](tf.constant(image)[tf.newaxis])
    batch = case[1](np.stack([image, image[:, ::-1]]))

    single, batch = ({k: v[0].numpy() for k, v in outputs.items()} for outputs in (single, batch))
    excused = _read_otherwise(case, 0, single, batch) if "raw_detection_boxes" in single else 0
    count = int(single["num_detections"])
    if not excused:
        for name in ("detection_boxes", "detection_scores"):
            np.testing.assert_allclose(
                batch[name][:count], single[name][:count], atol=1e-4, err_msg=name
            )
        return
    names = ("detection_boxes", "detection_scores", "detection_classes")
    single, batch = ({k: outputs[k][:count] for k in names} for outputs in (single, batch))
    single["detection_classes"] -= 1  # `_pairs` expects TFOD's
    pairs = [pair for pair in _pairs(batch, single, excused) if pair is not None]
    assert len(set(pairs)) == len(pairs)


@needs_reference
@pytest.mark.slow
def test_the_exported_checkpoint_of_a_tf2_model_has_tfods_keys(case):
    name, export = case[0], case[3]
    reader = tf.train.load_checkpoint(str(export / "checkpoint" / "ckpt-0"))
    keys = set(reader.get_variable_to_shape_map())

    lines = (PARITY / name / "variables.tsv").read_text().splitlines()
    if "_tf2_" in name:
        stored = {line.split("\t")[0] for line in lines[1:]}
        assert keys - {"_CHECKPOINTABLE_OBJECT_GRAPH"} == stored
    else:  # nobody could load a TF1 model's from there: it is in our own form
        assert all(key.startswith(("model/", "save_counter", "_CHECK")) for key in keys)
