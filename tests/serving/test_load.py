"""Servers with more to do than they can: refusals, limits of time, ends in order."""

import concurrent.futures
import threading
import time

from asking import ask, post
from made_models import file_of, picture

from object_detection.serving.limits import Limits

SCORE = "/score?prob=0.5"
FILE = file_of(picture())


def slow(seconds):
    def run(own, key, rows):
        time.sleep(seconds)
        return own(key, rows)

    return run


def test_a_full_queue_is_answered_503_and_retry_after(start, models):
    limits = Limits(max_batch=1, max_queue=2)
    with start({"pixels": models["pixels"]}, limits, run=slow(0.2)) as server:
        with concurrent.futures.ThreadPoolExecutor(12) as threads:
            told = list(threads.map(lambda _: ask(server, "POST", SCORE, FILE), range(12)))
        statuses = [status for status, _, _ in told]
        assert set(statuses) == {200, 503} and statuses.count(200) >= 3
        assert all(int(head["retry-after"]) >= 1 for code, head, _ in told if code == 503)
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
            told = list(threads.map(lambda _: post(server, SCORE, FILE), range(24)))
    assert all(answer == told[0] for answer in told) and told[0][0] == 200
    assert sum(sizes) == 24 and max(sizes) == 4 and len(sizes) < 16


def test_an_answer_that_takes_too_long(start, models):
    limits = Limits(request_timeout=0.2)
    with start({"pixels": models["pixels"]}, limits, run=slow(1.0)) as server:
        started = time.monotonic()
        status, _, text = ask(server, "POST", SCORE, FILE)
        assert status == 504 and b"0.2 seconds" in text and time.monotonic() - started < 0.9
        assert server.service.budget.held == 0


def test_what_was_begun_is_finished_at_the_end(start, models):
    told = []
    with start({"pixels": models["pixels"]}, Limits(max_batch=1), run=slow(0.2)) as server:
        threads = [
            threading.Thread(target=lambda: told.append(post(server, SCORE, FILE)[0]))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
    for thread in threads:
        thread.join()
    assert told == [200] * 4
