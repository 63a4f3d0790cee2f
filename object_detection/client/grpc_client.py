"""Client for TensorFlow Serving's gRPC protocol; needs `grpcio`."""

import numpy as np

from object_detection.client.detections import from_outputs
from object_detection.client.images import encoded, several
from object_detection.errors import ServerError

_NEEDS = (
    "GrpcClient needs grpcio and protobuf, and {} is not installed: pip install grpcio protobuf"
)
try:
    from object_detection.client import wire
except ModuleNotFoundError as error:
    if not (error.name or "").startswith("google"):
        raise
    raise ModuleNotFoundError(_NEEDS.format("protobuf"), name=error.name) from None

PREDICT = "/tensorflow.serving.PredictionService/Predict"
STATUS = "/tensorflow.serving.ModelService/GetModelStatus"
_LARGEST = 256 << 20  # bytes of a message


class GrpcClient:
    """Connection to one server, ours or TensorFlow Serving.

    Args:
        address: For example "127.0.0.1:8500".
        model: Its name.
        timeout: Seconds to wait for a response.
        input_name: Name of the model's input; "inputs" for exports of TFOD's TF1 exporter.
    """

    def __init__(self, address, model="model", *, timeout=60, input_name="input_tensor"):
        try:
            import grpc
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(_NEEDS.format("grpcio"), name=error.name) from None

        self._grpc = grpc
        options = [
            ("grpc.max_receive_message_length", _LARGEST),
            ("grpc.max_send_message_length", _LARGEST),
        ]
        self._channel = grpc.insecure_channel(address, options)
        self._model, self._timeout, self._input = model, timeout, input_name
        self._predict = self._method(PREDICT, wire.PredictResponse)
        self._status = self._method(STATUS, wire.GetModelStatusResponse)

    def predict(self, inputs, *, outputs=(), version=None, signature_name=""):
        """Return the model's outputs {name: array}.

        Args:
            inputs: uint8 [B, h, w, 3], or a list of images as for `Client.score`, for models that
                take encoded images.
            outputs: Names of the outputs to return; empty for all.
            version: Of the model; None takes the newest.
            signature_name: Of the model; "" takes the default one.

        Raises:
            ServerError: The server refused the request; the message says why.
        """
        request = wire.PredictRequest()
        request.model_spec.name = self._model
        request.model_spec.signature_name = signature_name
        if version is not None:
            request.model_spec.version.value = version
        if not isinstance(inputs, np.ndarray):
            inputs = np.array([encoded(image) for image in several(inputs)], object)
        wire.put_array(request.inputs[self._input], inputs)
        request.output_filter.extend(outputs)
        response = self._call(self._predict, request)
        return {name: wire.array_of(value) for name, value in response.outputs.items()}

    def detect(self, inputs, *, min_score=0.0, names=None):
        """Return a list of `Detection`s for each image.

        Args:
            inputs: As for `predict`.
            min_score: Least score.
            names: {class id: name}.
        """
        outputs = self.predict(inputs)
        rows = (
            {name: value[k] for name, value in outputs.items()}
            for k in range(len(outputs["num_detections"]))
        )
        return [from_outputs(row, names or {}, min_score) for row in rows]

    def status(self):
        """Return [(version, state)] of the model; state 30 is available."""
        request = wire.GetModelStatusRequest()
        request.model_spec.name = self._model
        response = self._call(self._status, request)
        return [(row.version, row.state) for row in response.model_version_status]

    def close(self):
        """Close the connection."""
        self._channel.close()

    def __enter__(self):
        """Return the client."""
        return self

    def __exit__(self, *_):
        """Close the connection."""
        self.close()

    def _method(self, name, response):
        return self._channel.unary_unary(
            name,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=response.FromString,
        )

    def _call(self, method, request):
        try:
            return method(request, timeout=self._timeout)
        except self._grpc.RpcError as error:
            raise ServerError(f"{error.code().name}: {error.details()}") from None
