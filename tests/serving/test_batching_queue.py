"""The queue: what goes together, how long it waits, what is refused."""

import threading
import time

import numpy as np
import pytest

from object_detection.serving.batching import Batcher, Job, QueueClosedError
from object_detection.serving.limits import Budget, Limits, RequestError


def job(value, *, key="a", seconds=10.0, rows=1):
    return Job(key, np.full([rows], value), time.monotonic() + seconds)


class Doubling:
    """Runs batches as 2 x, and remembers them; a gate holds it up."""

    def __init__(self):
        self.batches, self.gate = [], threading.Event()
        self.gate.set()
        self.begun = threading.Event()

    def __call__(self, key, rows):
        self.begun.set()
        self.gate.wait(10)
        self.batches.append((key, rows.tolist()))
        if (rows < 0).any():
            raise ValueError("negative")
        return {"twice": 2 * rows}


@pytest.fixture
def made():
    batchers = []

    def make(run, **limits):
        batchers.append(Batcher(run, Limits(**limits)))
        return batchers[-1]

    yield make
    for batcher in batchers:
        batcher.close(5)


def held(run, batcher):
    """Lets the model be busy with a first batch."""
    run.gate.clear()
    first = job(0)
    batcher.submit([first])
    assert run.begun.wait(5)
    return first


def test_a_batch_is_filled_while_the_model_is_busy(made):
    run = Doubling()
    batcher = made(run, max_batch=3, max_delay=0.0)
    held(run, batcher)
    jobs = [job(value) for value in (1, 2, 3, 4)]
    for each in jobs:
        batcher.submit([each])
    assert batcher.waiting == 4
    run.gate.set()

    assert [each.answer.result(5)["twice"].tolist() for each in jobs] == [[2], [4], [6], [8]]
    assert run.batches == [("a", [0]), ("a", [1, 2, 3]), ("a", [4])]
    assert batcher.waiting == 0


def test_a_full_batch_does_not_wait(made):
    run = Doubling()
    batcher = made(run, max_batch=2, max_delay=30.0)
    jobs = [job(1), job(2)]
    for each in jobs:
        batcher.submit([each])

    assert jobs[1].answer.result(5)["twice"].tolist() == [4]


def test_nobody_waits_longer_than_the_delay(made):
    run = Doubling()
    batcher = made(run, max_batch=8, max_delay=0.05)
    started, alone = time.monotonic(), job(1)
    batcher.submit([alone])
    alone.answer.result(5)

    assert 0.04 < time.monotonic() - started < 2


def test_only_those_alike_go_together_and_nobody_is_passed_over(made):
    run = Doubling()
    batcher = made(run, max_batch=8, max_delay=0.0)
    held(run, batcher)
    jobs = [job(1, key="b"), job(2, key="c"), job(3, key="b"), job(4, key="c", rows=2)]
    batcher.submit(jobs)
    run.gate.set()

    assert jobs[3].answer.result(5)["twice"].tolist() == [8, 8]
    assert run.batches[1:] == [("b", [1, 3]), ("c", [2, 4, 4])]


def test_a_full_queue_refuses_and_says_when_to_come_again(made):
    run = Doubling()
    batcher = made(run, max_queue=2, max_delay=0.0)
    held(run, batcher)
    batcher.submit([job(1), job(2)])

    with pytest.raises(RequestError) as refused:
        batcher.submit([job(3)])
    assert refused.value.status == 503 and refused.value.retry_after >= 1
    with pytest.raises(RequestError) as refused:
        batcher.submit([job(3, rows=3)])
    assert refused.value.status == 413
    run.gate.set()


def test_a_fault_stays_with_its_job(made):
    run = Doubling()
    batcher = made(run, max_batch=4, max_delay=0.0)
    held(run, batcher)
    jobs = [job(1), job(-2), job(3)]
    batcher.submit(jobs)
    run.gate.set()

    assert jobs[0].answer.result(5)["twice"].tolist() == [2]
    assert jobs[2].answer.result(5)["twice"].tolist() == [6]
    with pytest.raises(ValueError, match="negative"):
        jobs[1].answer.result(5)
    assert batcher.alive


def test_what_nobody_waits_for_is_not_computed(made):
    run = Doubling()
    batcher = made(run, max_batch=1, max_delay=0.0)
    held(run, batcher)
    late, gone, selected = job(1, seconds=-1), job(2), job(3)
    batcher.submit([late, gone, selected])
    gone.answer.cancel()
    run.gate.set()

    assert selected.answer.result(5)["twice"].tolist() == [6]
    with pytest.raises(RequestError) as refused:
        late.answer.result(5)
    assert refused.value.status == 504
    assert [rows for _, rows in run.batches] == [[0], [3]]


def test_closing_finishes_the_queue(made):
    run = Doubling()
    batcher = made(run, max_batch=1, max_delay=30.0)
    held(run, batcher)
    jobs = [job(1), job(2)]
    batcher.submit(jobs)
    closing = threading.Thread(target=batcher.close)
    closing.start()
    run.gate.set()

    assert [each.answer.result(5)["twice"].tolist() for each in jobs] == [[2], [4]]
    closing.join(5)
    assert not batcher.alive
    with pytest.raises(QueueClosedError):
        batcher.submit([job(3)])


def test_the_budget_of_bytes():
    budget = Budget(100)
    with budget.account() as take:
        take(60)
        take(40)
        assert budget.held == 100
        with pytest.raises(RequestError) as refused:
            take(1)
        assert refused.value.status == 503
    assert budget.held == 0
