"""Servers with more to do than they can: refusals, limits of time, ends in order."""

import concurrent.futures
import threading
import time

from asking import ask, post
from made_models import file_of, picture

from object_detection.serving.limits import Limits

SCORE = "/score?prob=0.5"
FILE = file_of(picture())


class Held:
    """Runs the model only when the gate is open."""

    def __init__(self):
        self.gate = threading.Event()

    def __call__(self, own, key, rows):
        self.gate.wait(60)
        return own(key, rows)


def until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_full_queue_is_answered_503_and_retry_after(start, models):
    limits, run = Limits(max_batch=1, max_queue=2), Held()
    with start({"pixels": models["pixels"]}, limits, run=run) as server:
        with concurrent.futures.ThreadPoolExecutor(12) as threads:
            asked = [threads.submit(ask, server, "POST", SCORE, FILE) for _ in range(12)]
            until(lambda: sum(one.done() for one in asked) == 9)  # one runs, two wait
            run.gate.set()
        message = [one.result() for one in asked]
        assert sorted(status for status, _, _ in message) == [200] * 3 + [503] * 9
        assert all(int(head["retry-after"]) >= 1 for code, head, _ in message if code == 503)
        assert post(server, SCORE, FILE)[0] == 200
        assert b'code="503"' in ask(server, "GET", "/metrics")[2]


def test_requests_of_several_clients_share_batches(start, models):
    sizes = []

    def run(own, key, rows):
        sizes.append(len(rows))
        time.sleep(0.05)
        return own(key, rows)

    with start({"pixels": models["pixels"]}, Limits(max_batch=4), run=run) as server:
        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            message = list(threads.map(lambda _: post(server, SCORE, FILE), range(24)))
    assert all(answer == message[0] for answer in message) and message[0][0] == 200
    assert sum(sizes) == 24 and max(sizes) == 4 and len(sizes) < 16


def test_an_answer_that_takes_too_long(start, models):
    run = Held()
    with start({"pixels": models["pixels"]}, Limits(request_timeout=0.2), run=run) as server:
        status, _, text = ask(server, "POST", SCORE, FILE)
        assert status == 504 and b"0.2 seconds" in text
        assert server.service.budget.held == 0
        run.gate.set()


def test_what_was_begun_is_finished_at_the_end(start, models):
    message, run = [], Held()
    with start({"pixels": models["pixels"]}, Limits(max_batch=1), run=run) as server:
        threads = [
            threading.Thread(target=lambda: message.append(post(server, SCORE, FILE)[0]))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        batcher = server.service.registry.find("pixels").batcher
        until(lambda: batcher.waiting == 3)
        threading.Timer(0.5, run.gate.set).start()
    for thread in threads:
        thread.join()
    assert message == [200] * 4
