"""TFOD's own checkpoints as ONNX: onnxruntime and OpenVINO give the SavedModel's detections."""

import numpy as np
import pytest
import tensorflow as tf
from reference import needs_reference
from reference_models import PARITY, export_of

from object_detection.config import pipeline_file
from object_detection.export import onnx_model, portable
from object_detection.export.verification import compare_runtimes

pytestmark = pytest.mark.filterwarnings("ignore")  # of the converters
# As in test_export_parity.py: where a region ends on the border, the last bit decides on what is
# seen of it, and so on its mask or on the detection itself.
AT_THE_BORDER = 2


@pytest.fixture(scope="module", params=["a_tf2_mask_resnet50", "c_tf1_mask_resnet50_atrous"])
def case(request, tmp_path_factory):
    """(loaded SavedModel, path of the ONNX model, images)."""
    pytest.importorskip("tf2onnx", reason="the extra onnx is not installed")
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    export = export_of(request.param, tmp_path_factory)
    config = pipeline_file.load(PARITY / request.param / "pipeline.config")
    restored = portable.restore(config, export / "checkpoint")
    model = onnx_model.convert(restored, portable.InputSpec())
    path = tmp_path_factory.mktemp("case") / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with np.load(PARITY / "images.npz") as images:
        pictures = [images["image0"], images["image1"]]
    yield tf.saved_model.load(str(export / "saved_model")), path, pictures
    path.unlink()


def _check(saved_model, run, pictures):
    for picture in pictures:
        expected = {k: v.numpy() for k, v in saved_model(tf.constant(picture[np.newaxis])).items()}
        outputs = run(picture[np.newaxis])
        assert set(outputs) == set(expected)
        result = compare_runtimes(outputs, expected)
        assert result.expected == 40
        off = result.expected - result.paired + result.masks_off_at_border
        assert result.detected == 40 and off <= AT_THE_BORDER, str(result)
        assert max(result.boxes, result.scores, result.masks) <= 1e-3, str(result)


@needs_reference
@pytest.mark.slow
def test_onnxruntime_gives_the_detections_of_the_saved_model(case):
    saved_model, path, pictures = case
    _check(saved_model, onnx_model.onnx_session(path), pictures)


@needs_reference
@pytest.mark.slow
def test_openvino_gives_the_detections_of_the_saved_model(case):
    openvino = pytest.importorskip("openvino", reason="openvino is not installed")
    saved_model, path, pictures = case
    compiled = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(images):
        return {output.any_name: value for output, value in compiled(images).items()}

    _check(saved_model, run, pictures)
