"""A small model as ONNX and in TensorFlow Lite, and what other runtimes are refused."""

import numpy as np
import pytest
import tensorflow as tf
from tiny_models import network_of

from object_detection.export import onnx_model, tflite_model
from object_detection.export.portable import InputSpec, Restored, reference_outputs
from object_detection.export.verification import compare_runtimes, drawn_picture
from object_detection.ops import image

pytestmark = pytest.mark.filterwarnings("ignore")  # of the converters
RESIZER = image.KeepAspectRatio(64, 96)
SIZE = (50, 70)
AT_THE_BORDER = 1


def _restored(overrides=""):
    return Restored(network_of(overrides, is_training=False), RESIZER)


def _check(restored, run, size, batch=1):
    pictures = np.stack([drawn_picture(*size)[:, :: 1 - 2 * k] for k in range(batch)])
    outputs = run(pictures)
    for k in range(batch):
        expected = reference_outputs(restored, tf.constant(pictures[k]))
        assert set(outputs) == set(expected)
        assert all(outputs[name].shape[1:] == expected[name].shape[1:] for name in expected)
        result = compare_runtimes(
            {name: value[k : k + 1] for name, value in outputs.items()}, expected
        )
        assert result.expected > 0
        # A proposal on the image's border may read its last row of features or not.
        assert result.detected == result.expected <= result.paired + AT_THE_BORDER, str(result)
        assert result.masks is None or result.masks < 1e-3, str(result)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "resizer", "size", "batch"),
    [
        ("", RESIZER, SIZE, 2),
        ("faster_rcnn { number_of_stages: 2 }", RESIZER, (33, 90), 1),
        ("", image.PadToMultiple(48), SIZE, 1),
    ],
    ids=["masks", "boxes", "padded"],
)
def test_onnx_gives_the_detections(tmp_path, overrides, resizer, size, batch):
    pytest.importorskip("tf2onnx", reason="the extra onnx is not installed")
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    restored = Restored(network_of(overrides, is_training=False), resizer)
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx_model.convert(restored, InputSpec()).SerializeToString())
    _check(restored, onnx_model.onnx_session(path), size, batch)


@pytest.mark.slow
def test_tflite_has_built_in_operations_only(tmp_path):
    restored = _restored()
    path, spec = tmp_path / "model.tflite", InputSpec(size=SIZE, batch=1)
    whole = tflite_model.convert(restored, spec)
    path.write_bytes(whole)

    _check(restored, tflite_model.tflite_runner(path), SIZE)
    assert len(tflite_model.convert(restored, spec, weights="float16")) < 0.6 * len(whole)


def test_soft_nms_is_refused():
    for module in (onnx_model, tflite_model):
        with pytest.raises(ValueError, match="Soft-NMS"):
            module.suppress(
                None, None, max_output=1, iou_threshold=0.5, score_threshold=0.0, soft_sigma=0.5
            )
