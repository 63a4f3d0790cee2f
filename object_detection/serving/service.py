"""The part that all protocols share: queues requests for a version and awaits the outputs."""

import asyncio
import concurrent.futures
import time

from object_detection.serving.batching import Job, QueueClosedError
from object_detection.serving.limits import Budget, RequestError
from object_detection.serving.requests import Reader

_DECODERS = 2  # threads


class Service:
    """Service for the models of a registry.

    Args:
        registry: `versions.Registry`.
        limits: `Limits`.
        metrics: `prometheus.Metrics`.
    """

    def __init__(self, registry, limits, metrics):
        self.registry, self.limits, self.metrics = registry, limits, metrics
        self.budget = Budget(limits.max_held)
        self._images = concurrent.futures.ThreadPoolExecutor(_DECODERS, "images")
        # One: the lists of JSON take many times the bytes of its text.
        self._json = concurrent.futures.ThreadPoolExecutor(1, "json")

    async def detect(self, spec, read, take, *, json=False):
        """Read a request and run its images.

        Args:
            spec: (model's name, version's number or None, its label or None).
            read: function `Reader` -> `Parsed`; run in a thread.
            take: of `Budget.account`.
            json: whether reading it takes much memory temporarily.

        Returns:
            The `Version` in use, the `Parsed` request, and {name: array [n, ...]} for each item.

        Raises:
            RequestError: the request is invalid or cannot be answered.
        """
        deadline = time.monotonic() + self.limits.request_timeout
        threads = self._json if json else self._images
        for _ in range(3):  # a version may be unloaded while its request is read
            version = self.registry.find(*spec)
            model = version.model
            if model is None:
                continue
            parsed = await self.in_thread(read, Reader(model, self.limits, take), threads=threads)
            try:
                return version, parsed, await self._answers(version, parsed, deadline)
            except QueueClosedError:
                continue
        raise RequestError(503, f"model {spec[0]} is being replaced", retry_after=1)

    async def in_thread(self, function, *arguments, threads=None):
        """Run a function in a thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(threads or self._images, function, *arguments)

    async def _answers(self, version, parsed, deadline):
        name, mixes = parsed.signature.name, parsed.signature.mixes
        jobs = [
            Job((name, item.rows.shape[1:] if mixes else object()), item.rows, deadline)
            for item in parsed.items
        ]
        version.batcher.submit(jobs)
        waiting = [asyncio.wrap_future(job.answer) for job in jobs]
        try:
            return await asyncio.wait_for(
                asyncio.gather(*waiting), max(deadline - time.monotonic(), 0.0)
            )
        except (TimeoutError, asyncio.TimeoutError):
            raise RequestError(
                504,
                f"no response within {self.limits.request_timeout:g} seconds (--request_timeout)",
            ) from None
        finally:
            for job in jobs:
                job.answer.cancel()  # of jobs that nobody waits for any more

    def close(self):
        """Finish the queues and end the threads."""
        self.registry.close()
        self._images.shutdown()
        self._json.shutdown()
