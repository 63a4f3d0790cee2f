"""Loads a parity case: config, a checkpoint with the reference's weights, inputs and outputs."""

import importlib.util

import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from reference import REFERENCE

from object_detection.builders import image_resizer_builder, model_builder
from object_detection.compat import checkpoint_reader
from object_detection.protos import pipeline_pb2
from object_detection.structures import Images


class ParityCase:
    """Network, inputs and expected arrays of one case.

    Args:
        name: folder of the case.
        folder: an empty folder for the checkpoint.
        is_training: as TFOD's model builder had it.
    """

    def __init__(self, name, folder, *, is_training=False):
        self.root = REFERENCE / "reference" / "parity"
        self.case = self.root / name
        self.config = text_format.Parse(
            (self.case / "pipeline.config").read_text(), pipeline_pb2.TrainEvalPipelineConfig()
        )
        self.network = model_builder.build_network(self.config.model, is_training)
        _make_weights(self.root).write(str(self.case), str(folder / "ckpt-0"))
        self.report = checkpoint_reader.restore(self.network, folder / "ckpt-0")
        self.resizer = image_resizer_builder.build(self.config.model.faster_rcnn.image_resizer)

    def images(self, number):
        """`Images` of the case's image `number`, resized as the config says."""
        with np.load(self.root / "images.npz") as arrays:
            image = arrays[f"image{number}"].astype(np.float32)
        pixels, shape = self.resizer(tf.constant(image))
        return Images(pixels[tf.newaxis], shape[tf.newaxis, :2])

    def expected(self, number):
        """{name: array} of image `number`."""
        prefix = f"image{number}/"
        with np.load(self.case / "expected.npz") as arrays:
            return {k.removeprefix(prefix): arrays[k] for k in arrays if k.startswith(prefix)}

    def losses(self):
        """{name: array} of the training pass."""
        with np.load(self.case / "losses.npz") as arrays:
            return dict(arrays)


def _make_weights(root):
    spec = importlib.util.spec_from_file_location("make_weights", root / "make_weights.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def assert_close(got, expected, name, tolerance):
    """Compares with a stored tensor, whole or sampled; `tolerance` is relative to its spread."""
    got = np.asarray(got, np.float64)
    if name in expected:
        want = expected[name].astype(np.float64)
        spread = max(want.std(), 1e-6)
    else:
        assert list(got.shape) == expected[f"{name}__shape"].tolist(), name
        spread = expected[f"{name}__stats"][1]
        flat = got.reshape(-1)
        got = flat[np.linspace(0, flat.size - 1, 8192).astype(np.int64)]
        want = expected[f"{name}__sample"].astype(np.float64)
    assert got.shape == want.shape, (name, got.shape, want.shape)
    worst = np.abs(got - want).max() / spread
    assert worst <= tolerance, f"{name}: off by {worst:.2e} of its spread"


def seen_alike(got_normalized, want_normalized, feature_shape, size=14):
    """Bool [n]: whether crops at two sets of boxes [n, 4] see the same part of the map.

    A box that ends on the image's border is read at the map's last pixel or, an ulp further,
    outside it, where crops are zero; so rounding of 1e-7 in a box may change a whole row of
    features. Such rows cannot be compared with numbers from another build of TensorFlow.
    """
    ones = tf.ones([1, *feature_shape, 1])

    def seen(boxes):
        owner = tf.zeros([len(boxes)], tf.int32)
        return tf.image.crop_and_resize(ones, boxes, owner, [size, size]).numpy() > 0

    alike = seen(np.asarray(got_normalized)) == seen(np.asarray(want_normalized))
    return alike.all(axis=(1, 2, 3))
