"""Requests put together: a bounded queue, and a thread that gives the model batches of it.

An image waits at most `max_delay` for company. Under load it waits for the batch before it
anyway, and the next one is full when the model is free.
"""

import collections
import concurrent.futures
import dataclasses
import threading
import time
from typing import Any

import numpy as np

from object_detection.serving.limits import Refusal


class Closed(Exception):
    """The queue takes no more: its model is being put away."""


@dataclasses.dataclass(eq=False)
class Job:
    """Images of one request that the model is to see."""

    key: Any  # only those with equal keys go into one batch
    rows: np.ndarray  # [n, ...]
    deadline: float  # of time.monotonic(); later nobody wants the answer
    answer: concurrent.futures.Future = dataclasses.field(default_factory=concurrent.futures.Future)
    arrived: float = dataclasses.field(default_factory=time.monotonic)


class Batcher:
    """The queue in front of one model.

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
        """Whether the thread that runs the model does."""
        return self._thread.is_alive()

    def submit(self, jobs):
        """Puts the jobs of one request into the queue, all or none.

        Raises:
            Refusal: 503, there is no room for them now; 413, there never will be.
            Closed: the model is going.
        """
        count = sum(len(job.rows) for job in jobs)
        if count > self._limits.max_queue:
            raise Refusal(
                413,
                f"{count} images in one request; at most {self._limits.max_queue} (--max_queue)",
            )
        with self._changed:
            if self._closing:
                raise Closed
            if self._waiting + count > self._limits.max_queue:
                raise Refusal(
                    503,
                    f"{self._waiting} images are waiting already; come again",
                    retry_after=self._pace * self._waiting,
                )
            self._jobs.extend(jobs)
            self._waiting += count
            self._changed.notify_all()

    def close(self, timeout=None):
        """Finishes what is in the queue, then ends the thread; takes nothing new."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout)

    def _work(self):
        while True:
            jobs = self._next_batch()
            if jobs is None:
                return
            jobs = [job for job in jobs if _still_wanted(job)]
            if jobs:
                self._answer(jobs)

    def _next_batch(self):
        """Takes the oldest job, and those like it, out of the queue; None at the end."""
        with self._changed:
            while not self._jobs:
                if self._closing:
                    return None
                self._changed.wait()
            first = self._jobs[0]
            while not self._closing and self._alike(first.key) < self._limits.max_batch:
                left = first.arrived + self._limits.max_delay - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    break
            return self._take(first.key)

    def _alike(self, key):
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
        except Exception as fault:  # whatever the model does must not end this thread
            self._answer_apart(jobs, fault)
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

    def _answer_apart(self, jobs, fault):
        """Only the request whose image the model fails at is to hear of it."""
        if len(jobs) == 1:
            jobs[0].answer.set_exception(fault)
            return
        for job in jobs:
            self._answer([job])


def _still_wanted(job):
    if not job.answer.set_running_or_notify_cancel():
        return False
    if time.monotonic() > job.deadline:
        job.answer.set_exception(Refusal(504, "the answer would have come too late"))
        return False
    return True
