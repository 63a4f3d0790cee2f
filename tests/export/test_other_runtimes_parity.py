"""TFOD's own checkpoints as ONNX: onnxruntime and OpenVINO give the SavedModel's detections."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from reference import REFERENCE, needs_reference

from object_detection.config import pipeline_file
from object_detection.export import exporter, onnx_model, portable_model
from object_detection.export.agreement import agreement

pytestmark = pytest.mark.filterwarnings("ignore")  # of the converters
# As in test_export_parity.py: where a region ends on the border, the last bit decides on what is
# seen of it, and so on its mask or on the detection itself.
AT_THE_BORDER = 2


@pytest.fixture(scope="module", params=["a_tf2_mask_resnet50", "c_tf1_mask_resnet50_atrous"])
def case(request, tmp_path_factory):
    """(loaded SavedModel, path of the ONNX model, images)."""
    pytest.importorskip("tf2onnx", reason="the extra onnx is not installed")
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    folder, parity = tmp_path_factory.mktemp("case"), REFERENCE / "reference" / "parity"
    subprocess.run(
        [sys.executable, str(parity / "make_weights.py"), request.param, str(folder / "ckpt")],
        cwd=parity,
        check=True,
        capture_output=True,
    )
    config = pipeline_file.load(parity / request.param / "pipeline.config")
    exporter.export(config, folder / "ckpt", folder / "export")
    restored = portable_model.restore(config, folder / "export" / "checkpoint")
    model = onnx_model.convert(restored, portable_model.Form())
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    with np.load(parity / "images.npz") as images:
        pictures = [images["image0"], images["image1"]]
    yield tf.saved_model.load(str(folder / "export/saved_model")), folder / "model.onnx", pictures
    shutil.rmtree(folder)


def _check(saved_model, run, pictures):
    for picture in pictures:
        wanted = {k: v.numpy() for k, v in saved_model(tf.constant(picture[np.newaxis])).items()}
        found = run(picture[np.newaxis])
        assert set(found) == set(wanted)
        result = agreement(wanted, found)
        assert result.wanted == 40
        off = result.wanted - result.paired + result.masks_off_at_border
        assert result.found == 40 and off <= AT_THE_BORDER, str(result)
        assert max(result.boxes, result.scores, result.masks) <= 1e-3, str(result)


@needs_reference
@pytest.mark.slow
def test_onnxruntime_gives_the_detections_of_the_saved_model(case):
    saved_model, path, pictures = case
    _check(saved_model, onnx_model.session(path), pictures)


@needs_reference
@pytest.mark.slow
def test_openvino_gives_the_detections_of_the_saved_model(case):
    openvino = pytest.importorskip("openvino", reason="openvino is not installed")
    saved_model, path, pictures = case
    compiled = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(images):
        return {output.any_name: value for output, value in compiled(images).items()}

    _check(saved_model, run, pictures)
