"""TensorFlow Serving's REST protocol: both forms of requests, names, versions, metadata."""

import numpy as np
import pytest
from asking import ask, b64, error, get, post
from made_models import file_of, picture

BOX = [0.25, 0.25, 0.75, 0.75]


def test_rows_with_bare_values_and_with_names(server):
    images = [picture().tolist(), picture(box=(0, 0, 10, 20)).tolist()]
    named = [{"input_tensor": image} for image in images]

    for instances in (images, named):
        status, message = post(server, "/v1/models/pixels:predict", {"instances": instances})

        assert status == 200 and list(message) == ["predictions"]
        rows = message["predictions"]
        assert rows[0]["detection_boxes"][0] == BOX
        assert rows[1]["detection_boxes"][0] == [0, 0, 0.5, 0.5]
        assert rows[0]["num_detections"] == 1 and rows[0]["detection_classes"] == [2, 1]
        assert np.shape(rows[0]["detection_masks"]) == (2, 8, 8)
        assert np.shape(rows[0]["raw_detection_scores"]) == (3, 2)


def test_columns_with_and_without_the_name(server):
    batch = np.stack([picture(), picture(box=(0, 0, 10, 20))]).tolist()

    for inputs in (batch, {"input_tensor": batch}):
        status, message = post(server, "/v1/models/pixels:predict", {"inputs": inputs})

        assert status == 200 and list(message) == ["outputs"]
        assert message["outputs"]["detection_boxes"][1][0] == [0, 0, 0.5, 0.5]
        assert message["outputs"]["num_detections"] == [1, 1]


@pytest.mark.parametrize("model", ["pixels", "one", "files", "raw"])
def test_encoded_images_of_different_sizes(server, model):
    """Also for models of pixels, which TensorFlow Serving itself would refuse."""
    files = [file_of(picture()), file_of(picture(40, 20, (10, 5, 30, 15)), "JPEG", quality=100)]
    for instances in ([b64(file)] for file in files):
        status, message = post(server, f"/v1/models/{model}:predict", {"inputs": instances})
        assert status == 200, message
        np.testing.assert_allclose(message["outputs"]["detection_boxes"][0][0], BOX, atol=0.06)
    if model != "raw":
        body = {"instances": [b64(file) for file in files]}
        message = post(server, f"/v1/models/{model}:predict", body)[1]
        boxes = [row["detection_boxes"][0] for row in message["predictions"]]
        np.testing.assert_allclose(boxes, [BOX, BOX], atol=0.06)


def test_examples(server):
    from object_detection.serving.served_model import serialize_example

    example = serialize_example(file_of(picture()))
    status, message = post(server, "/v1/models/examples:predict", {"instances": [b64(example)]})

    assert status == 200 and message["predictions"][0]["detection_boxes"][0] == BOX
    body = {"instances": [b64(file_of(picture()))]}
    status, message = error(server, "/v1/models/examples:predict", body)
    assert status == 400 and "tf.Example" in message


def test_outputs_without_a_row_for_each_image(server):
    """Those of an export with inner tensors: whole batches go through, rows cannot."""
    batch = np.stack([picture()] * 3).tolist()

    status, message = post(server, "/v1/models/raw:predict", {"inputs": batch})
    assert status == 200 and np.shape(message["outputs"]["anchors"]) == (5, 4)
    assert len(message["outputs"]["num_detections"]) == 3
    status, message = error(server, "/v1/models/raw:predict", {"instances": batch})
    assert status == 400 and "inputs" in message


def test_signature_name(server):
    body = {"instances": [picture().tolist()], "signature_name": "serving_default"}
    assert post(server, "/v1/models/pixels:predict", body)[0] == 200

    body["signature_name"] = "other"
    assert error(server, "/v1/models/pixels:predict", body) == (
        400,
        "signature_name 'other'; this model has: serving_default",
    )


def test_status_and_metadata(server):
    row = {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK"}}
    row["status"]["error_message"] = ""
    for path in ("/v1/models/pixels", "/v1/models/pixels/versions/1"):
        assert get(server, path) == (200, {"model_version_status": [row]})

    status, message = get(server, "/v1/models/pixels/metadata")
    assert status == 200
    assert message["model_spec"] == {"name": "pixels", "signature_name": "", "version": "1"}
    definition = message["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert definition["method_name"] == "tensorflow/serving/predict"
    tensor = definition["inputs"]["input_tensor"]
    assert tensor["dtype"] == "DT_UINT8"
    assert [dim["size"] for dim in tensor["tensor_shape"]["dim"]] == ["-1", "-1", "-1", "3"]
    assert message["metadata"]["label_map"] == {"1": "dark", "2": "Bright one"}


def test_a_version_by_its_number(server):
    body = {"instances": [picture().tolist()]}
    assert post(server, "/v1/models/pixels/versions/1:predict", body)[0] == 200

    for path, what in (
        ("/v1/models/pixels/versions/2:predict", "no version 2; served: 1"),
        ("/v1/models/pixels/versions/x:predict", "is not a number"),
        ("/v1/models/pixels/labels/stable:predict", "no such label"),
        ("/v1/models/nobody:predict", "no model 'nobody'; served: pixels, one, files"),
    ):
        status, message = error(server, path, body)
        assert status == 404 and what in message
    assert get(server, "/v1/models/pixels/versions/7")[0] == 404


def test_other_verbs_and_methods(server):
    status, message = error(server, "/v1/models/pixels:classify", {})
    assert status == 400 and ":predict" in message
    assert ask(server, "GET", "/v1/models/pixels:predict")[0] in (404, 405)
    assert ask(server, "DELETE", "/v1/models/pixels")[0] == 405


def test_health_readiness_and_metrics(server):
    post(server, "/v1/models/pixels:predict", {"instances": [picture().tolist()]})

    assert ask(server, "GET", "/healthz")[0] == ask(server, "GET", "/readyz")[0] == 200
    for path in ("/metrics", "/monitoring/prometheus/metrics"):
        status, headers, text = ask(server, "GET", path)
        assert status == 200 and headers["content-type"].startswith("text/plain")
        assert b'detection_requests_total{code="200",protocol="rest"}' in text
        assert b'detection_batch_images_count{model="pixels"}' in text
        assert b'detection_queue_images{model="pixels",version="1"} 0.0' in text
        assert b"detection_held_bytes 0.0" in text


def test_compact_masks_by_accept(server):
    body = {"instances": [b64(file_of(picture()))]}
    accept = {"Accept": "text/html, application/json; masks=rle"}
    status, headers, _ = ask(server, "POST", "/v1/models/pixels:predict", body, accept)
    assert status == 200 and headers["content-type"] == "application/json; masks=rle"
    assert headers["vary"] == "Accept"

    for mask_format, kind in (("rle", {"size", "counts"}), ("png", {"png"})):
        accept = {"Accept": f"application/json; masks={mask_format}"}
        row = post(server, "/v1/models/pixels:predict", body, accept)[1]["predictions"][0]
        assert set(row) == {
            "num_detections",
            "detection_boxes",
            "detection_classes",
            "detection_scores",
            "detection_masks",
        }
        assert len(row["detection_boxes"]) == 1  # the padding is gone
        assert set(row["detection_masks"][0]) == kind
    accept = {"Accept": "application/json; masks=none"}
    row = post(server, "/v1/models/pixels:predict", body, accept)[1]["predictions"][0]
    assert "detection_masks" not in row
    for accept in ("text/html", "application/json; masks=svg"):
        status, message = error(server, "/v1/models/pixels:predict", body, {"Accept": accept})
        assert status == 406 and "rle" in message
