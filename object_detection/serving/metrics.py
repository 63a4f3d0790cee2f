"""Metrics of a server in Prometheus' text format."""

import time

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_IMAGES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """Counters of one server."""

    def __init__(self):
        self._all = CollectorRegistry()
        ProcessCollector(registry=self._all)
        PlatformCollector(registry=self._all)
        self._requests = Counter(
            "detection_requests", "Requests by protocol and status", ["protocol", "code"],
            registry=self._all,
        )  # fmt: skip
        self._seconds = Histogram(
            "detection_request_seconds", "Seconds from first byte to response", ["protocol"],
            buckets=_SECONDS, registry=self._all,
        )  # fmt: skip
        self._batches = Histogram(
            "detection_batch_images", "Images per model call", ["model"],
            buckets=_IMAGES, registry=self._all,
        )  # fmt: skip
        self._model_seconds = Histogram(
            "detection_batch_seconds", "Seconds per batch in the model", ["model"],
            buckets=_SECONDS, registry=self._all,
        )  # fmt: skip
        self._waiting = Gauge(
            "detection_queue_images", "Images waiting for a model", ["model", "version"],
            registry=self._all,
        )  # fmt: skip
        self._held = Gauge(
            "detection_held_bytes", "Bytes of requests and their pixels", registry=self._all
        )

    def batch(self, model, images, seconds):
        """Count a batch."""
        self._batches.labels(model).observe(images)
        self._model_seconds.labels(model).observe(seconds)

    def request(self, protocol, code, started):
        """Count a request; `started` is of time.monotonic()."""
        self._requests.labels(protocol, str(code)).inc()
        self._seconds.labels(protocol).observe(time.monotonic() - started)

    def text(self, registry, budget):
        """Return all metrics as bytes."""
        self._waiting.clear()
        for model in registry.models.values():
            for version in model.available():
                waiting = version.batcher.waiting
                self._waiting.labels(model.name, str(version.number)).set(waiting)
        self._held.set(budget.held)
        return generate_latest(self._all)
