"""The HTTP addresses of a server.

TensorFlow Serving's REST protocol under /v1/models, azoda's at /score, a page at the root, and
/healthz, /readyz and /metrics for whoever runs it.
"""

import asyncio
import contextlib
import logging
import time

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from object_detection.serving import (
    bodies,
    images,
    mask_forms,
    page,
    predict_answers,
    prometheus,
)
from object_detection.serving.limits import Refusal

_LOG = logging.getLogger(__name__)
_GONE = 499  # nobody reads this answer: its client went away


def build(service, *, poll_seconds=2.0, grpc_server=None, score_masks=True, annotate=None):
    """The application of a `Service`, for any ASGI server.

    Args:
        service: closed when the application stops.
        poll_seconds: between looks for new versions; 0: never.
        grpc_server: has `start()` and `stop()`, both to be awaited; or None.
        score_masks: whether /score answers masks, which else no `Accept` header brings.
        annotate: a function of an image's pixels that gives a JSON value, for POST /annotate, and
            raises ValueError for one that it does not take; None: no such address.
    """
    doors = _Doors(service, score_masks, annotate)

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
        Route(prefix + end, door, methods=methods)
        for prefix in (version, label, model)
        for end, door, methods in (
            (":predict", doors.predict, ["POST"]),
            (":{verb}", doors.other_verb, ["POST"]),
            ("/metadata", doors.metadata, ["GET"]),
            ("", doors.status, ["GET"]),
        )
    ]
    routes += [
        Route("/v1/models", doors.models, methods=["GET"]),
        Route("/score", doors.score, methods=["POST"]),
        Route("/healthz", doors.health, methods=["GET"]),
        Route("/readyz", doors.ready, methods=["GET"]),
        Route("/metrics", doors.metrics, methods=["GET"]),
        Route("/monitoring/prometheus/metrics", doors.metrics, methods=["GET"]),
        *page.routes(),
    ]
    if annotate is not None:
        routes.append(Route("/annotate", doors.annotate, methods=["POST"]))
    handlers = {Refusal: _refused, HTTPException: _not_served, Exception: _failed}
    app = Starlette(routes=routes, exception_handlers=handlers, lifespan=lifespan)
    app.router.redirect_slashes = False
    return app


class _Doors:
    """One method for each kind of address."""

    def __init__(self, service, score_masks, annotate):
        self._service, self._registry = service, service.registry
        self._score_masks, self._annotate = score_masks, annotate

    async def predict(self, request):
        """TensorFlow Serving's predict."""

        def begin():
            place = _place(request)
            form = mask_forms.asked_for(request.headers.get("accept"))
            self._registry.find(*place)

            async def answer(body, take):
                version, parsed, outputs = await self._service.detect(
                    place, lambda reader: reader.of_json(body), take, json=True
                )
                text = await self._service.in_thread(_predict_text, parsed, outputs, form)
                return _answer(text, form, version)

            return answer

        return await self._counted("rest", request, begin)

    async def score(self, request):
        """azoda's scoring: the body is an image file."""

        def begin():
            prob = _prob(request.query_params.get("prob"))
            name = self._registry.model(request.query_params.get("model")).name
            asked = mask_forms.asked_for(request.headers.get("accept"))
            form = asked if self._score_masks else "none"
            names = self._registry.find(name).model.names

            async def answer(body, take):
                version, parsed, outputs = await self._service.detect(
                    (name, None, None), lambda reader: reader.of_image(body), take
                )
                text = await self._service.in_thread(
                    _score_text, parsed, outputs, names, prob, form
                )
                return _answer(text, form, version)

            return answer

        return await self._counted("score", request, begin)

    async def annotate(self, request):
        """Whatever a door above this one answers to an image file."""

        def annotated(body, take):
            pixels = images.decode(body, self._service.limits, take)
            try:
                return predict_answers.as_json(self._annotate(pixels))
            except ValueError as fault:
                raise Refusal(400, str(fault)) from None

        def begin():
            async def answer(body, take):
                text = await self._service.in_thread(annotated, body, take)
                return Response(text, media_type="application/json")

            return answer

        return await self._counted("annotate", request, begin)

    async def other_verb(self, request):
        """Whatever else TensorFlow Serving does with models."""
        verb = request.path_params["verb"]
        raise Refusal(400, f"detection models answer :predict, not :{verb[:30]}")

    async def models(self, _):
        """The names of the models, the first of them the one that /score asks by itself."""
        return _json({"models": list(self._registry.models)})

    async def status(self, request):
        """TensorFlow Serving's list of versions."""
        name, number, label = _place(request)
        model = self._registry.model(name)
        versions = model.versions()
        if label is not None:
            number = model.find(label=label).number
        if number is not None:
            versions = [version for version in versions if version.number == number]
            if not versions:
                raise Refusal(404, f"model {name} has no version {number}")
        return _json({"model_version_status": [version.status() for version in versions]})

    async def metadata(self, request):
        """TensorFlow Serving's signatures."""
        version = self._registry.find(*_place(request))
        return _json(predict_answers.metadata(request.path_params["name"], version))

    async def health(self, _):
        """Whether the process does its work; restart it if not."""
        alive = self._registry.alive()
        return PlainTextResponse(
            "ok" if alive else "a model's thread has ended", 200 if alive else 500
        )

    async def ready(self, _):
        """Whether requests can be sent here."""
        ready = self._registry.ready()
        return PlainTextResponse("ready" if ready else "not ready", 200 if ready else 503)

    async def metrics(self, _):
        """Prometheus' text."""
        text = self._service.metrics.text(self._registry, self._service.budget)
        return Response(text, headers={"Content-Type": prometheus.CONTENT_TYPE})

    async def _counted(self, protocol, request, begin):
        """The response of a request, counted.

        Args:
            protocol: its name among the metrics.
            request: Starlette's.
            begin: looks at the request's head and returns a function (body, take) to be awaited.
        """
        started, code = time.monotonic(), _GONE
        try:
            with self._service.budget.account() as take:
                answer = begin()
                body = await bodies.read(request, self._service.limits, take)
                response = await _unless_gone(request, answer(body, take))
            code = response.status_code
            return response
        except Refusal as refusal:
            code = refusal.status
            raise
        except Exception:
            code = 500
            raise
        finally:
            self._service.metrics.request(protocol, code, started)


async def _unless_gone(request, answer):
    """Awaits an answer, and gives it up when the client hangs up."""
    work = asyncio.ensure_future(answer)
    try:
        while not work.done():
            await asyncio.wait([work], timeout=0.5)
            if not work.done() and await request.is_disconnected():
                raise Refusal(_GONE, "the client went away")
        return work.result()
    finally:
        work.cancel()


def _predict_text(parsed, outputs, form):
    return predict_answers.as_json(predict_answers.by_row_or_column(parsed, outputs, form))


def _score_text(parsed, outputs, names, prob, form):
    return predict_answers.as_json(predict_answers.scored(parsed, outputs, names, prob, form))


def _place(request):
    """(name, number, label) of an address; raises `Refusal` (404) for a number that is none."""
    given = request.path_params
    number = given.get("number")
    if number is not None:
        if not (number.isascii() and number.isdigit() and len(number) < 19):
            raise Refusal(404, f"versions are numbers, not {number[:50]!r}")
        number = int(number)
    return given["name"], number, given.get("label")


def _prob(text):
    try:
        prob = float(text)
    except (TypeError, ValueError):
        prob = -1.0
    if not 0 <= prob <= 1:
        given = "missing" if text is None else repr(text[:50])
        raise Refusal(400, f"prob is {given}; give a score from 0 to 1: POST /score?prob=0.5")
    return prob


def _answer(text, form, version):
    headers = {
        "Content-Type": mask_forms.media_type(form),
        "Vary": "Accept",
        "X-Model-Version": str(version.number),
    }
    return Response(text, headers=headers)


def _json(value, status=200, headers=None):
    return Response(predict_answers.as_json(value), status, headers, media_type="application/json")


async def _refused(_, refusal):
    headers = {} if refusal.retry_after is None else {"Retry-After": str(refusal.retry_after)}
    if refusal.status in (408, 413):
        headers["Connection"] = "close"  # the rest of the request is not waited for
    return _json({"error": refusal.message}, refusal.status, headers)


async def _not_served(request, fault):
    path = request.url.path[:100]
    if fault.status_code == 404:
        told = f"nothing is served at {path!r}; models: POST /v1/models/NAME:predict, POST /score"
    else:
        told = f"{request.method} {path}: {fault.detail}"
    return _json({"error": told}, fault.status_code, fault.headers)


async def _failed(_, fault):
    _LOG.error("a request failed", exc_info=fault)
    return _json({"error": f"the server failed: {type(fault).__name__}"}, 500)
