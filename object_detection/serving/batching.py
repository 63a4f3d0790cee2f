"""Batching of requests: a bounded queue, and a thread that runs the model on batches of it.

An image waits at most `max_delay` for others. Under load it waits for the batch before it anyway,
and the next batch is full when the model is free.
"""

import collections
import concurrent.futures
import dataclasses
import threading
import time
from typing import Any

import numpy as np

from object_detection.serving.limits import RequestError


class QueueClosedError(Exception):
    """The queue is closed: its model is being unloaded."""


@dataclasses.dataclass(eq=False)
class Job:
    """Images of one request for the model."""

    key: Any  # a batch holds jobs with equal keys only
    rows: np.ndarray  # [n, ...]
    deadline: float  # of time.monotonic(); later nobody awaits the answer
    answer: concurrent.futures.Future = dataclasses.field(default_factory=concurrent.futures.Future)
    arrived: float = dataclasses.field(default_factory=time.monotonic)


class Batcher:
    """Queue of one model.

    Args:
        run: function (key, rows [n, ...]) -> {name: array [n, ...]}; called in one thread.
        limits: `Limits`.
        observe: called with (images, seconds) after each batch.
    """

    def __init__(self, run, limits, observe=lambda images, seconds: None):
        self._run, self._limits, self._observe = run, limits, observe
        self._jobs, self._waiting, self._pace = collections.deque(), 0, 0.0
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)
        self._thread.start()

    @property
    def waiting(self):
        """Images in the queue."""
        return self._waiting

    @property
    def alive(self):
        """Whether the thread that runs the model is alive."""
        return self._thread.is_alive()

    def submit(self, jobs):
        """Put the jobs of one request into the queue, all or none.

        Raises:
            RequestError: 503, the queue is full; 413, it is too small for the request.
            QueueClosedError: the model is being unloaded.
        """
        count = sum(len(job.rows) for job in jobs)
        if count > self._limits.max_queue:
            raise RequestError(
                413,
                f"{count} images in one request; at most {self._limits.max_queue} (--max_queue)",
            )
        with self._changed:
            if self._closing:
                raise QueueClosedError
            if self._waiting + count > self._limits.max_queue:
                raise RequestError(
                    503,
                    f"{self._waiting} images are waiting already; retry later",
                    retry_after=self._pace * self._waiting,
                )
            self._jobs.extend(jobs)
            self._waiting += count
            self._changed.notify_all()

    def close(self, timeout=None):
        """Finish the jobs in the queue, then end the thread; new jobs are rejected."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout)

    def _work(self):
        while True:
            jobs = self._next_batch()
            if jobs is None:
                return
            jobs = [job for job in jobs if _is_still_awaited(job)]
            if jobs:
                self._answer(jobs)

    def _next_batch(self):
        """Take the oldest job and those with its key out of the queue; None at the end."""
        with self._changed:
            while not self._jobs:
                if self._closing:
                    return None
                self._changed.wait()
            first = self._jobs[0]
            while (
                not self._closing and self._num_images_with_key(first.key) < self._limits.max_batch
            ):
                left = first.arrived + self._limits.max_delay - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    break
            return self._take(first.key)

    def _num_images_with_key(self, key):
        return sum(len(job.rows) for job in self._jobs if job.key == key)

    def _take(self, key):
        taken, kept, images = [], collections.deque(), 0
        for job in self._jobs:
            fits = not taken or images + len(job.rows) <= self._limits.max_batch
            if job.key == key and fits:
                taken.append(job)
                images += len(job.rows)
            else:
                kept.append(job)
        self._jobs = kept
        self._waiting -= images
        return taken

    def _answer(self, jobs):
        rows = jobs[0].rows if len(jobs) == 1 else np.concatenate([job.rows for job in jobs])
        start = time.monotonic()
        try:
            outputs = self._run(jobs[0].key, rows)
        except Exception as error:  # no failure of the model may end this thread
            self._answer_separately(jobs, error)
            return
        seconds = time.monotonic() - start
        self._pace = 0.8 * self._pace + 0.2 * seconds / len(rows)
        self._observe(len(rows), seconds)
        if len(jobs) == 1:
            jobs[0].answer.set_result(outputs)
            return
        first = 0
        for job in jobs:
            last = first + len(job.rows)
            job.answer.set_result({name: value[first:last] for name, value in outputs.items()})
            first = last

    def _answer_separately(self, jobs, error):
        """Run jobs one by one, so that only the request that fails receives the error."""
        if len(jobs) == 1:
            jobs[0].answer.set_exception(error)
            return
        for job in jobs:
            self._answer([job])


def _is_still_awaited(job):
    if not job.answer.set_running_or_notify_cancel():
        return False
    if time.monotonic() > job.deadline:
        job.answer.set_exception(RequestError(504, "the response would have been too late"))
        return False
    return True
