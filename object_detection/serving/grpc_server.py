"""TensorFlow Serving's gRPC services: Predict, metadata and status."""

import asyncio
import time

import grpc
import grpc.aio

from object_detection.client import wire
from object_detection.serving import responses
from object_detection.serving.limits import RequestError

_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
_STATES = {"LOADING": 20, "AVAILABLE": 30, "UNLOADING": 40, "END": 50}
_SIGNATURES = "type.googleapis.com/tensorflow.serving.SignatureDefMap"
_LARGEST_ANSWER = 256 << 20  # bytes


class GrpcServer:
    """gRPC server of a `Service`.

    Args:
        service: runs the requests.
        address: such as "127.0.0.1:8500"; port 0 selects a free one.
    """

    def __init__(self, service, address):
        self._service, self._address = service, address
        self._server, self.port = None, None

    async def start(self):
        """Start to listen; raise OSError if the address is not available."""
        limits = self._service.limits
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", limits.max_body),
                ("grpc.max_send_message_length", _LARGEST_ANSWER),
                ("grpc.so_reuseport", 0),
            ],
            # gRPC holds a whole message in memory before it calls a handler.
            maximum_concurrent_rpcs=max(limits.max_held // limits.max_body, 2),
        )
        self._server.add_generic_rpc_handlers(
            (
                _handlers(
                    "tensorflow.serving.PredictionService",
                    Predict=(self.predict, wire.PredictRequest),
                    GetModelMetadata=(self.metadata, wire.GetModelMetadataRequest),
                ),
                _handlers(
                    "tensorflow.serving.ModelService",
                    GetModelStatus=(self.status, wire.GetModelStatusRequest),
                ),
            )
        )
        try:
            self.port = self._server.add_insecure_port(self._address)
        except RuntimeError as error:
            raise OSError(f"cannot listen at {self._address}: {error}") from None
        await self._server.start()

    async def stop(self):
        """Finish the running requests and stop."""
        await self._server.stop(self._service.limits.request_timeout)

    async def predict(self, request, context):
        """Answer PredictionService.Predict."""
        started, code = time.monotonic(), 200
        try:
            with self._service.budget.account() as take:
                return await self._predict(request, take)
        except RequestError as error:
            code = error.status
            await _abort(context, error)
        except asyncio.CancelledError:
            code = 499
            raise
        except Exception:
            code = 500
            raise
        finally:
            self._service.metrics.request("grpc", code, started)

    async def metadata(self, request, context):
        """Answer PredictionService.GetModelMetadata."""
        try:
            version = self._service.registry.find(*_model_spec(request.model_spec))
        except RequestError as error:
            await _abort(context, error)
        answer = wire.GetModelMetadataResponse()
        _specify(answer.model_spec, request.model_spec, version)
        definitions = wire.SignatureDefMap()
        for name, definition in version.model.definitions.items():
            definitions.signature_def[name] = definition.SerializeToString()
        packed = answer.metadata["signature_def"]
        packed.type_url, packed.value = _SIGNATURES, definitions.SerializeToString()
        return answer

    async def status(self, request, context):
        """Answer ModelService.GetModelStatus."""
        name, number, label = _model_spec(request.model_spec)
        answer = wire.GetModelStatusResponse()
        try:
            model = self._service.registry.model(name)
            number = model.find(label=label).number if label is not None else number
        except RequestError as error:
            await _abort(context, error)
        for version in model.versions():
            if number in (None, version.number):
                row = answer.model_version_status.add(
                    version=version.number, state=_STATES[version.state]
                )
                row.status.error_code = 2 if version.error else 0
                row.status.error_message = version.error
        return answer

    async def _predict(self, request, take):
        take(sum(len(value.tensor_content) for value in request.inputs.values()))
        spec = _model_spec(request.model_spec)

        def read(reader):
            if len(request.inputs) != 1:
                names = ", ".join(request.inputs) or "none"
                raise RequestError(400, f"the model has one input; got: {names}")
            ((name, value),) = request.inputs.items()
            try:
                array = wire.array_of(value, self._service.limits.max_body)
            except ValueError as error:
                raise RequestError(400, f"{name}: {error}") from None
            parsed = reader.from_tensor(array, request.model_spec.signature_name)
            if name != parsed.signature.input_name:
                raise RequestError(
                    400, f"the only input is {parsed.signature.input_name!r}; got: {name[:100]!r}"
                )
            return parsed

        version, parsed, outputs = await self._service.detect(spec, read, take)
        answer = await self._service.in_thread(_message, request, parsed, outputs)
        _specify(answer.model_spec, request.model_spec, version)
        answer.model_spec.signature_name = parsed.signature.name
        return answer


def _message(request, parsed, outputs):
    whole = responses.concatenate_items(outputs)
    selected = list(request.output_filter) or list(whole)
    unknown = [name for name in selected if name not in whole]
    if unknown:
        raise RequestError(400, f"no output {unknown[0][:100]!r}; available: {', '.join(whole)}")
    answer = wire.PredictResponse()
    for name in selected:
        wire.put_array(answer.outputs[name], whole[name])
    return answer


def _model_spec(spec):
    number = spec.version.value if spec.HasField("version") else None
    return spec.name, number, spec.version_label or None


def _specify(spec, requested, version):
    spec.name, spec.version.value = requested.name, version.number


async def _abort(context, error):
    code = _CODES.get(error.status, grpc.StatusCode.INTERNAL)
    await context.abort(code, error.message)


def _handlers(service, **methods):
    return grpc.method_handlers_generic_handler(
        service,
        {
            name: grpc.unary_unary_rpc_method_handler(
                function,
                request_deserializer=request.FromString,
                response_serializer=lambda message: message.SerializeToString(),
            )
            for name, (function, request) in methods.items()
        },
    )
