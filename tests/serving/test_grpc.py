"""TensorFlow Serving's gRPC services, asked by our client and with its own messages."""

import numpy as np
import pytest
from made_models import POISON, file_of, picture

from object_detection.client import ServerError, wire
from object_detection.client.grpc_client import GrpcClient


@pytest.fixture
def client(server):
    with GrpcClient(f"127.0.0.1:{server.grpc_port}", "pixels") as opened:
        yield opened


def test_a_batch_of_pixels(client):
    batch = np.stack([picture(), picture(box=(0, 0, 10, 20))])

    outputs = client.predict(batch)

    np.testing.assert_array_equal(outputs["detection_boxes"][1, 0], [0, 0, 0.5, 0.5])
    assert outputs["detection_masks"].shape == (2, 2, 8, 8)
    assert set(client.predict(batch, outputs=["num_detections"])) == {"num_detections"}
    result = client.detect(batch, names={2: "bright"})
    assert [len(each) for each in result] == [1, 1] and result[0][0].label == "bright"
    assert result[0][0].mask(20, 40)[5:14, 10:19].all()


def test_files(server):
    with GrpcClient(f"127.0.0.1:{server.grpc_port}", "files") as client:
        outputs = client.predict([file_of(picture()), file_of(picture(30, 30, (0, 0, 15, 15)))])

    np.testing.assert_array_equal(outputs["detection_boxes"][1, 0], [0, 0, 0.5, 0.5])


def test_status_and_versions(client):
    assert client.status() == [(1, 30)]
    assert client.predict(picture()[np.newaxis], version=1)["num_detections"].tolist() == [1]


@pytest.mark.parametrize(
    ("change", "code", "what"),
    [
        ({"version": 3}, "NOT_FOUND", "no version 3"),
        ({"signature_name": "x"}, "INVALID_ARGUMENT", "this model has: serving_default"),
        ({"outputs": ["x"]}, "INVALID_ARGUMENT", "no output 'x'"),
        ({"inputs": picture()}, "INVALID_ARGUMENT", "shape"),
        ({"inputs": picture()[np.newaxis].astype(np.float32)}, "INVALID_ARGUMENT", "uint8"),
        ({"inputs": np.zeros([0, 8, 8, 3], np.uint8)}, "INVALID_ARGUMENT", "empty"),
        ({"inputs": np.zeros([1, 1, 1, 3], np.uint8)}, "INVALID_ARGUMENT", "1 x 1"),
        ({"inputs": [b"x"]}, "INVALID_ARGUMENT", "not strings"),
        ({"inputs": np.full([1, 4, 4, 3], POISON, np.uint8)}, "INVALID_ARGUMENT", "rejects"),
        ({"inputs": np.zeros([1, 10, 20_000, 3], np.uint8)}, "RESOURCE_EXHAUSTED", "20000"),
    ],
)
def test_refusals(client, change, code, what):
    with pytest.raises(ServerError, match=code) as error:
        client.predict(**{"inputs": picture()[np.newaxis], **change})
    assert what in str(error.value)


def test_unknown_models_and_inputs(server):
    address = f"127.0.0.1:{server.grpc_port}"
    with GrpcClient(address, "../x") as client, pytest.raises(ServerError, match="NOT_FOUND"):
        client.status()
    with GrpcClient(address, "pixels", input_name="x") as client:
        with pytest.raises(ServerError, match="'input_tensor'; got: 'x'"):
            client.predict(picture()[np.newaxis])


def test_a_tensor_that_says_more_than_it_holds(server):
    """One value may stand for many in TensorFlow's form; not for more than a request may be."""
    request = wire.PredictRequest()
    request.model_spec.name = "pixels"
    tensor = request.inputs["input_tensor"]
    tensor.dtype = 4
    tensor.int_val.append(7)
    for size in (1, 1_000_000, 1_000_000, 3):
        tensor.tensor_shape.dim.add(size=size)
    with GrpcClient(f"127.0.0.1:{server.grpc_port}", "pixels") as client:
        with pytest.raises(ServerError, match="larger than"):
            client._call(client._predict, request)


def test_tensorflow_servings_own_messages(server):
    apis = pytest.importorskip(
        "tensorflow_serving.apis", reason="tensorflow-serving-api is not installed"
    )
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import (
        get_model_metadata_pb2,
        model_service_pb2_grpc,
        predict_pb2,
        prediction_service_pb2_grpc,
    )
    from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest

    assert apis
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        service = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "pixels"
        request.inputs["input_tensor"].CopyFrom(tf.make_tensor_proto(picture()[np.newaxis]))
        answer = service.Predict(request)
        boxes = tf.make_ndarray(answer.outputs["detection_boxes"])
        np.testing.assert_array_equal(boxes[0, 0], [0.25, 0.25, 0.75, 0.75])
        assert answer.model_spec.version.value == 1

        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.name = "pixels"
        message = get_model_metadata_pb2.SignatureDefMap()
        assert service.GetModelMetadata(request).metadata["signature_def"].Unpack(message)
        assert "input_tensor" in message.signature_def["serving_default"].inputs

        request = GetModelStatusRequest()
        request.model_spec.name = "pixels"
        status = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(request)
        assert [row.state for row in status.model_version_status] == [30]
