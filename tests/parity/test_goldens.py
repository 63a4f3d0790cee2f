"""The numbers of TFOD 2.8 on small configs of our own: parity that every clone can test.

How the goldens were made: make_goldens.py.
"""

import shutil
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from made_inputs import VARIANTS, ground_truth, image, weight
from make_goldens import FEATURES, FOLDER, scales_of
from undrawn import undrawn

from object_detection.builders import image_resizer_builder, model_builder
from object_detection.checkpoints.names.tfod_tf1 import tf1_names
from object_detection.checkpoints.names.tfod_tf2 import tfod_keys
from object_detection.checkpoints.restore import restore
from object_detection.checkpoints.variables import variables_by_path
from object_detection.compat.outputs import named_losses, serving_outputs
from object_detection.config import pipeline_file
from object_detection.modeling.faster_rcnn import FasterRCNN
from object_detection.protos import pipeline_pb2
from object_detection.structures.batch import CroppedMasks, GroundTruth, Images

QUICK = ("resnet50", "resnet50_keras")
NAMES = sorted(path.stem for path in (FOLDER / "goldens").glob("*.npz"))


def _golden(name):
    slow = () if name in QUICK else (pytest.mark.slow,)
    return pytest.param(name, marks=slow, id=name)


class Golden(NamedTuple):
    """A golden's network with the made weights, read from a checkpoint of TFOD's form."""

    config: pipeline_pb2.TrainEvalPipelineConfig
    network: FasterRCNN  # built for training, where its inference is the same
    variables: dict  # {key in the checkpoint: variable}
    expected: dict  # {name: array}


@pytest.fixture(scope="module", params=[_golden(name) for name in NAMES])
def golden(request, tmp_path_factory):
    name = request.param
    base, _, variant = name.partition("+")
    config = pipeline_file.load(FOLDER / "goldens" / f"{base}.config")
    text_format.Merge(VARIANTS.get(variant, ""), config.model.faster_rcnn)
    with np.load(FOLDER / "goldens" / f"{name}.npz") as arrays:
        expected = dict(arrays)
    with undrawn():
        network = model_builder.build_network(config.model, is_training=True)
    variables = variables_by_path(network)
    names = tf1_names(list(variables))
    if "_keras" in name:
        dropout, upsample = name.endswith("+dropout"), name.endswith("+upsampled_masks")
        names = tfod_keys(list(variables), dropout=dropout, upsample=upsample)
    assert names.keys() == variables.keys()
    scales = scales_of(name)
    tensors = {key: weight(key, variables[p].shape, **scales) for p, key in names.items()}
    folder = tmp_path_factory.mktemp("golden")
    tf.raw_ops.SaveV2(
        prefix=str(folder / "made"),
        tensor_names=list(tensors),
        shape_and_slices=[""] * len(tensors),
        tensors=[tf.constant(tensor) for tensor in tensors.values()],
    )
    report = restore(network, str(folder / "made"))
    assert len(report.restored) == len(variables)
    shutil.rmtree(folder)
    keyed = {key: variables[path] for path, key in names.items()}
    return Golden(config, network, keyed, expected)


def _images(config):
    resize = image_resizer_builder.build(config.model.faster_rcnn.image_resizer)
    pixels, shape = resize(tf.constant(image(), tf.float32))
    return Images(pixels[tf.newaxis], shape[tf.newaxis, :2])


def test_detections(golden):
    config, network, _, expected = golden
    images = _images(config)
    outputs = serving_outputs(network(images, all_masks=True), images, raw=True)

    for key in ("rpn_box_encodings", "rpn_objectness_predictions_with_background"):
        want = expected[f"predict/{key}"]
        np.testing.assert_allclose(outputs[key][:, ::7], want, atol=1e-4 * want.std())
    assert outputs["num_detections"] == expected["post/num_detections"]
    for key in ("boxes", "scores", "multiclass_scores"):
        want = expected[f"post/detection_{key}"]
        np.testing.assert_allclose(outputs[f"detection_{key}"], want, atol=1e-4, err_msg=key)
    real = outputs["detection_scores"] > 0  # padding is of class 1 in exports
    classes = np.where(real, outputs["detection_classes"] - 1, 0)
    np.testing.assert_array_equal(classes, expected["post/detection_classes"])
    if "post/detection_masks" in expected:
        want = expected["post/detection_masks"]
        got = outputs["detection_masks"].numpy()
        np.testing.assert_allclose(got[real], want[real], atol=1e-3)
    for key in FEATURES:
        if f"post/{key}" in expected:
            want = expected[f"post/{key}"]
            got = outputs[key].numpy().reshape(-1)[::501]
            np.testing.assert_allclose(got, want, atol=1e-4 * want.std(), err_msg=key)


def _truth(images):
    boxes, classes, masks = ground_truth()
    scale = np.tile(images.true_shape.numpy()[0], 2).astype(np.float32)
    flat = [1, len(boxes)]
    return GroundTruth(
        boxes=tf.constant(boxes[np.newaxis] * scale),
        classes=tf.constant(classes[np.newaxis] + 1, tf.int32),
        valid=tf.ones(flat, tf.bool),
        weights=tf.ones(flat),
        crowd=tf.zeros(flat, tf.bool),
        difficult=tf.zeros(flat, tf.bool),
        area=tf.zeros(flat),
        masks=CroppedMasks(
            tf.constant(masks[np.newaxis]), tf.constant([masks.shape[1:]], tf.int32)
        ),
    )


def test_losses_and_gradients(golden):
    config, network, variables, expected = golden
    if not len(expected["gradient/keys"]):
        pytest.skip("has no losses to compare: see make_goldens.py")
    images, seed = _images(config), tf.constant([0, 0])
    with tf.GradientTape() as tape:
        outputs = network(images, _truth(images), training=True, seed=seed)
        losses = network.losses_of(images, _truth(images), outputs, seed=seed)
        total = tf.add_n([loss for loss in losses if loss is not None])

    for key, value in named_losses(losses).items():
        if key != "Loss/total_loss":
            np.testing.assert_allclose(value, expected[f"loss/{key}"], rtol=1e-4, err_msg=key)
    regularization = network.regularization_loss()
    np.testing.assert_allclose(regularization, expected["loss/regularization"], rtol=1e-4)
    keys = expected["gradient/keys"].tolist()
    gradients = tape.gradient(total, [variables[key] for key in keys])
    norms = np.array([float(tf.norm(tf.convert_to_tensor(g))) for g in gradients])
    np.testing.assert_allclose(norms, expected["gradient/norms"], rtol=1e-3, atol=1e-4)
