"""What all protocols share: a request goes to a version's queue, and comes back in time."""

import asyncio
import concurrent.futures
import time

from object_detection.serving.batching import Closed, Job
from object_detection.serving.limits import Budget, Refusal
from object_detection.serving.predict_requests import Reader

_DECODERS = 2  # threads


class Service:
    """Answers requests for the models of a registry.

    Args:
        registry: `versions.Registry`.
        limits: `Limits`.
        metrics: `prometheus.Metrics`.
    """

    def __init__(self, registry, limits, metrics):
        self.registry, self.limits, self.metrics = registry, limits, metrics
        self.budget = Budget(limits.max_held)
        self._images = concurrent.futures.ThreadPoolExecutor(_DECODERS, "images")
        # One: its lists take many times the bytes of the text.
        self._json = concurrent.futures.ThreadPoolExecutor(1, "json")

    async def detect(self, place, read, take, *, json=False):
        """Reads a request and has it answered.

        Args:
            place: (model's name, version's number or None, its label or None).
            read: function `Reader` -> `Parsed`; run in a thread.
            take: of `Budget.account`.
            json: whether reading it takes much memory for a while.

        Returns:
            The `Version` asked, the `Parsed` request, and {name: array [n, ...]} for each item.

        Raises:
            Refusal: whatever is wrong with it.
        """
        deadline = time.monotonic() + self.limits.request_timeout
        threads = self._json if json else self._images
        for _ in range(3):  # a version may go while its request is read
            version = self.registry.find(*place)
            model = version.model
            if model is None:
                continue
            parsed = await self.in_thread(read, Reader(model, self.limits, take), threads=threads)
            try:
                return version, parsed, await self._answers(version, parsed, deadline)
            except Closed:
                continue
        raise Refusal(503, f"model {place[0]} is being replaced", retry_after=1)

    async def in_thread(self, function, *arguments, threads=None):
        """A function's result, without holding up the others."""
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
            raise Refusal(
                504, f"no answer within {self.limits.request_timeout:g} seconds"
            ) from None
        finally:
            for job in jobs:
                job.answer.cancel()  # of those that nobody waits for any more

    def close(self):
        """Finishes the queues and ends the threads."""
        self.registry.close()
        self._images.shutdown()
        self._json.shutdown()
