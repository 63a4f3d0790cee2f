"""A map over many processes, in order, with few items under way at a time."""

import os
import signal
import threading
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context, parent_process

from object_detection.errors import ObjectDetectionError

ITEMS_A_TASK = 8  # handed to a worker at a time: few enough to keep all of them busy
TASKS_A_WORKER = 3  # under way: one at work, others ready when it is done


class WorkerDiedError(ObjectDetectionError, RuntimeError):
    """A worker process ended from outside, usually for want of memory."""


@contextmanager
def mapped(work, items, settings, num_workers):
    """A context that gives an iterator over `work(item, settings)`, in the order of the items.

    The processes begin with the context, whatever its body does first. Items are taken, pickled
    and sent when their turn comes; results wait in memory only for those before them.

    Args:
        work: a function of a module.
        items: an iterable.
        settings: sent to each process once.
        num_workers: processes; 1 does the work in this one.
    """
    if num_workers == 1:
        yield (work(item, settings) for item in items)
        return
    # Spawned, not forked: a fork would copy TensorFlow's threads half alive.
    with ProcessPoolExecutor(
        num_workers, get_context("spawn"), initializer=_begin, initargs=(work, settings)
    ) as pool:
        try:
            yield _in_order(pool, iter(items), num_workers * TASKS_A_WORKER)
        except BrokenProcessPool:
            raise WorkerDiedError(
                f"one of {num_workers} worker processes was ended from outside; usually the "
                "memory was full"
            ) from None
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _in_order(pool, items, window):
    """The results; the first tasks are under way when this returns."""
    tasks = iter(lambda: list(islice(items, ITEMS_A_TASK)), [])
    with _interrupts_held_back():
        waiting = deque(pool.submit(_do, task) for task in islice(tasks, window))

    def results():
        while waiting:
            done = waiting.popleft().result()
            with _interrupts_held_back():
                waiting.extend(pool.submit(_do, task) for task in islice(tasks, 1))
            yield from done

    return results()


@contextmanager
def _interrupts_held_back():
    """Holds Ctrl-C back while processes start: they inherit that, and never show a traceback.

    This process gets the signal when the block ends; a worker ignores it, see `_begin`.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_given = []  # of this worker process: the function and its settings


def _begin(work, settings):
    """Prepares a worker process."""
    _given[:] = [work, settings]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent():
    """A parent that was killed cannot end its workers: they see to it themselves."""
    parent_process().join()
    os._exit(1)


def _do(task):
    work, settings = _given
    return [work(item, settings) for item in task]
