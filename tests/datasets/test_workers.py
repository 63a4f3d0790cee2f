"""The map over processes: order, few items under way, ends."""

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from object_detection.datasets.workers import WorkerDiedError, mapped

ROOT = Path(__file__).parents[2]


def _times(item, factor):
    return item * factor


def _fall(item, _):
    raise ZeroDivisionError(str(item))


def _vanish(item, _):
    os._exit(3)


@pytest.mark.parametrize("num_workers", [1, 2])
def test_results_come_in_order(num_workers):
    with mapped(_times, range(100), 3, num_workers) as results:
        assert list(results) == [3 * number for number in range(100)]


@pytest.mark.parametrize("num_workers", [1, 2])
def test_items_are_taken_when_their_turn_comes(num_workers):
    with mapped(_times, itertools.count(), 2, num_workers) as results:  # endless
        assert list(itertools.islice(results, 30)) == list(range(0, 60, 2))


@pytest.mark.parametrize("num_workers", [1, 2])
def test_an_error_of_the_work_comes_through(num_workers):
    with pytest.raises(ZeroDivisionError, match="0"):
        with mapped(_fall, range(3), None, num_workers) as results:
            list(results)


def test_a_worker_that_was_ended_is_reported():
    with pytest.raises(WorkerDiedError, match="memory"):
        with mapped(_vanish, range(3), None, 2) as results:
            list(results)


def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    (tmp_path / "main.py").write_text(
        "import time\n"
        "from multiprocessing import active_children\n"
        "from object_detection.datasets.workers import mapped\n"
        "def wait(item, _):\n"
        "    time.sleep(60)\n"
        "if __name__ == '__main__':\n"
        "    with mapped(wait, range(99), None, 2) as results:\n"
        "        print(*(child.pid for child in active_children()), flush=True)\n"
        "        list(results)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, tmp_path / "main.py"],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(ROOT)},
    )
    children = [int(number) for number in parent.stdout.readline().split()]
    assert len(children) == 2
    time.sleep(2)  # their first steps

    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()

    deadline = time.time() + 20
    while any(Path(f"/proc/{child}/exe").exists() for child in children):
        assert time.time() < deadline
        time.sleep(0.1)
