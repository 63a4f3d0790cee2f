"""HTTP application of a server.

TensorFlow Serving's REST protocol under /v1/models, azoda's at /score, a page at the root, and
/healthz, /readyz and /metrics for operators.
"""

import asyncio
import contextlib
import html
import logging
import time
from importlib import resources

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

import object_detection
from object_detection.serving import metrics, requests, responses
from object_detection.serving.limits import RequestError

_DRAINED = 4  # times max_body that is read and dropped, so that the client reads the error


async def read_body(request, limits, take):
    """Read the body of a request within the limits of size and time.

    Args:
        request: Starlette's.
        limits: `Limits`.
        take: called with the number of bytes of each chunk; see `Budget.account`.

    Raises:
        RequestError: 413 too large, 408 too slow, 400 aborted or with an invalid length, 503 the
            memory limit of all requests is reached.
    """
    announced = request.headers.get("content-length", "0")
    if not announced.isdigit():
        raise RequestError(400, f"Content-Length is {announced[:50]!r}")
    chunks, count, error = [], 0, None
    if int(announced) > limits.max_body:
        error = _too_large(limits)
        if "expect" in request.headers:  # the client waits for an answer before it sends the body
            raise error
    try:
        with anyio.fail_after(limits.body_timeout):
            async for chunk in request.stream():
                count += len(chunk)
                if error is None and count > limits.max_body:
                    error = _too_large(limits)
                if error is None:
                    error = _reserve(take, len(chunk))
                if error is None:
                    chunks.append(chunk)
                else:
                    chunks.clear()
                    if count > _DRAINED * limits.max_body:
                        break
    except TimeoutError:
        raise RequestError(
            408,
            f"request incomplete after {limits.body_timeout:g} seconds ({count} bytes received)",
        ) from None
    except ClientDisconnect:
        raise RequestError(400, "the request was aborted") from None
    if error is not None:
        raise error
    return b"".join(chunks)


def _too_large(limits):
    return RequestError(413, f"the body is larger than {limits.max_body} bytes (--max_body_mb)")


def _reserve(take, count):
    """Reserve bytes; return None, or the error if the memory limit is reached."""
    try:
        take(count)
    except RequestError as error:
        return error
    return None


_FILES = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/page_drawing.js": ("page_drawing.js", "text/javascript"),
}
# Scripts, styles and requests of this server only.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def page_routes():
    """Return the routes of the page at the root: files of this package, nothing external."""
    return [
        Route(path, _file(name, media_type), methods=["GET"])
        for path, (name, media_type) in _FILES.items()
    ]


def _file(name, media_type):
    text = resources.files("object_detection.serving").joinpath(name).read_text(encoding="utf-8")
    text = text.replace("<!--VERSION-->", html.escape(object_detection.__version__))

    async def answer(_):
        return Response(text, headers=_HEADERS, media_type=media_type)

    return answer


_LOG = logging.getLogger(__name__)
_CLIENT_CLOSED = 499  # the client disconnected: nobody reads this response


def build_app(service, *, poll_seconds=2.0, grpc_server=None, score_masks=True, annotate=None):
    """Build the application of a `Service`, for any ASGI server.

    Args:
        service: closed when the application stops.
        poll_seconds: interval of the search for new versions; 0: never.
        grpc_server: has coroutines `start()` and `stop()`; or None.
        score_masks: whether /score returns masks; False overrides the `Accept` header.
        annotate: function of an image's pixels that returns a JSON value, for POST /annotate, and
            raises ValueError for an unsupported image; None: no such endpoint.
    """
    endpoints = _Endpoints(service, score_masks, annotate)

    @contextlib.asynccontextmanager
    async def lifespan(_):
        service.registry.watch(poll_seconds)
        if grpc_server is not None:
            await grpc_server.start()
        yield
        if grpc_server is not None:
            await grpc_server.stop()
        await asyncio.to_thread(service.close)

    model = "/v1/models/{name}"
    version, label = model + "/versions/{number}", model + "/labels/{label}"
    routes = [
        Route(prefix + end, endpoint, methods=methods)
        for prefix in (version, label, model)
        for end, endpoint, methods in (
            (":predict", endpoints.predict, ["POST"]),
            (":{verb}", endpoints.other_verb, ["POST"]),
            ("/metadata", endpoints.metadata, ["GET"]),
            ("", endpoints.status, ["GET"]),
        )
    ]
    routes += [
        Route("/v1/models", endpoints.models, methods=["GET"]),
        Route("/score", endpoints.score, methods=["POST"]),
        Route("/healthz", endpoints.health, methods=["GET"]),
        Route("/readyz", endpoints.ready, methods=["GET"]),
        Route("/metrics", endpoints.metrics, methods=["GET"]),
        Route("/monitoring/prometheus/metrics", endpoints.metrics, methods=["GET"]),
        *page_routes(),
    ]
    if annotate is not None:
        routes.append(Route("/annotate", endpoints.annotate, methods=["POST"]))
    handlers = {RequestError: _request_error, HTTPException: _http_error, Exception: _failed}
    app = Starlette(routes=routes, exception_handlers=handlers, lifespan=lifespan)
    app.router.redirect_slashes = False
    return app


class _Endpoints:
    """Handlers of the routes."""

    def __init__(self, service, score_masks, annotate):
        self._service, self._registry = service, service.registry
        self._score_masks, self._annotate = score_masks, annotate

    async def predict(self, request):
        """Answer TensorFlow Serving's predict."""

        def begin():
            spec = _model_spec(request)
            mask_format = responses.requested_mask_format(request.headers.get("accept"))
            self._registry.find(*spec)

            async def answer(body, take):
                version, parsed, outputs = await self._service.detect(
                    spec, lambda reader: reader.from_json(body), take, json=True
                )
                text = await self._service.in_thread(_predict_text, parsed, outputs, mask_format)
                return _answer(text, mask_format, version)

            return answer

        return await self._counted("rest", request, begin)

    async def score(self, request):
        """Answer azoda's scoring: the body is an image file."""

        def begin():
            prob = _prob(request.query_params.get("prob"))
            name = self._registry.model(request.query_params.get("model")).name
            mask_format = responses.requested_mask_format(request.headers.get("accept"))
            if not self._score_masks:
                mask_format = "none"
            names = self._registry.find(name).model.names

            async def answer(body, take):
                version, parsed, outputs = await self._service.detect(
                    (name, None, None), lambda reader: reader.from_image(body), take
                )
                text = await self._service.in_thread(
                    _score_text, parsed, outputs, names, prob, mask_format
                )
                return _answer(text, mask_format, version)

            return answer

        return await self._counted("score", request, begin)

    async def annotate(self, request):
        """Answer an image file with the result of the `annotate` function."""

        def annotated(body, take):
            pixels = requests.decode(body, self._service.limits, take)
            try:
                return responses.to_json(self._annotate(pixels))
            except ValueError as error:
                raise RequestError(400, str(error)) from None

        def begin():
            async def answer(body, take):
                text = await self._service.in_thread(annotated, body, take)
                return Response(text, media_type="application/json")

            return answer

        return await self._counted("annotate", request, begin)

    async def other_verb(self, request):
        """Reject the other verbs of TensorFlow Serving."""
        verb = request.path_params["verb"]
        raise RequestError(400, f"detection models support :predict, not :{verb[:30]}")

    async def models(self, _):
        """List the names of the models; the first is the default of /score."""
        return _json({"models": list(self._registry.models)})

    async def status(self, request):
        """Return TensorFlow Serving's list of versions."""
        name, number, label = _model_spec(request)
        model = self._registry.model(name)
        versions = model.versions()
        if label is not None:
            number = model.find(label=label).number
        if number is not None:
            versions = [version for version in versions if version.number == number]
            if not versions:
                raise RequestError(404, f"model {name} has no version {number}")
        return _json({"model_version_status": [version.status() for version in versions]})

    async def metadata(self, request):
        """Return TensorFlow Serving's signatures."""
        version = self._registry.find(*_model_spec(request))
        return _json(responses.metadata(request.path_params["name"], version))

    async def health(self, _):
        """Report whether the process works; restart it if not."""
        alive = self._registry.alive()
        return PlainTextResponse(
            "ok" if alive else "a model's thread has ended", 200 if alive else 500
        )

    async def ready(self, _):
        """Report whether requests can be sent here."""
        ready = self._registry.ready()
        return PlainTextResponse("ready" if ready else "not ready", 200 if ready else 503)

    async def metrics(self, _):
        """Return the metrics as Prometheus' text."""
        text = self._service.metrics.text(self._registry, self._service.budget)
        return Response(text, headers={"Content-Type": metrics.CONTENT_TYPE})

    async def _counted(self, protocol, request, begin):
        """Respond to a request and count it.

        Args:
            protocol: its name among the metrics.
            request: Starlette's.
            begin: checks the request's head and returns a coroutine function (body, take).
        """
        started, code = time.monotonic(), _CLIENT_CLOSED
        try:
            with self._service.budget.account() as take:
                answer = begin()
                body = await read_body(request, self._service.limits, take)
                response = await _unless_gone(request, answer(body, take))
            code = response.status_code
            return response
        except RequestError as error:
            code = error.status
            raise
        except Exception:
            code = 500
            raise
        finally:
            self._service.metrics.request(protocol, code, started)


async def _unless_gone(request, answer):
    """Await an answer; cancel it if the client disconnects."""
    work = asyncio.ensure_future(answer)
    try:
        while not work.done():
            await asyncio.wait([work], timeout=0.5)
            if not work.done() and await request.is_disconnected():
                raise RequestError(_CLIENT_CLOSED, "the client disconnected")
        return work.result()
    finally:
        work.cancel()


def _predict_text(parsed, outputs, mask_format):
    return responses.to_json(responses.prediction_response(parsed, outputs, mask_format))


def _score_text(parsed, outputs, names, prob, mask_format):
    return responses.to_json(responses.score_response(parsed, outputs, names, prob, mask_format))


def _model_spec(request):
    """Return (name, number, label) of a URL; raise `RequestError` (404) for an invalid number."""
    parameters = request.path_params
    number = parameters.get("number")
    if number is not None:
        if not (number.isascii() and number.isdigit() and len(number) < 19):
            raise RequestError(404, f"version {number[:50]!r} is not a number")
        number = int(number)
    return parameters["name"], number, parameters.get("label")


def _prob(text):
    try:
        prob = float(text)
    except (TypeError, ValueError):
        prob = -1.0
    if not 0 <= prob <= 1:
        value = "missing" if text is None else repr(text[:50])
        raise RequestError(400, f"prob is {value}; give a score from 0 to 1: POST /score?prob=0.5")
    return prob


def _answer(text, mask_format, version):
    headers = {
        "Content-Type": responses.media_type(mask_format),
        "Vary": "Accept",
        "X-Model-Version": str(version.number),
    }
    return Response(text, headers=headers)


def _json(value, status=200, headers=None):
    return Response(responses.to_json(value), status, headers, media_type="application/json")


async def _request_error(_, error):
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    if error.status in (408, 413):
        headers["Connection"] = "close"  # does not wait for the rest of the request
    return _json({"error": error.message}, error.status, headers)


async def _http_error(request, error):
    path = request.url.path[:100]
    if error.status_code == 404:
        message = (
            f"nothing is served at {path!r}; models: POST /v1/models/NAME:predict, POST /score"
        )
    else:
        message = f"{request.method} {path}: {error.detail}"
    return _json({"error": message}, error.status_code, error.headers)


async def _failed(_, error):
    _LOG.error("a request failed", exc_info=error)
    return _json({"error": f"the server failed: {type(error).__name__}"}, 500)
