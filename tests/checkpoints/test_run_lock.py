"""Two trainings in one model_dir: the second is refused, and a dead one is no hindrance."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from object_detection.checkpoints import run_lock
from object_detection.errors import ModelDirInUseError

ROOT = Path(__file__).resolve().parents[2]
HOLD = """
import sys, time
from object_detection.checkpoints import run_lock
with run_lock.held(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def lock_of(folder, **changes):
    """A lock as a training of this process writes it, changed."""
    with run_lock.held(folder):
        content = json.loads((folder / run_lock.NAME).read_text())
    (folder / run_lock.NAME).write_text(json.dumps(content | changes))
    return folder / run_lock.NAME


def test_a_lock_is_gone_after_its_run(tmp_path):
    with run_lock.held(tmp_path / "run"):
        assert (tmp_path / "run" / run_lock.NAME).is_file()
    assert list((tmp_path / "run").iterdir()) == []


def test_a_second_process_is_refused_and_a_killed_one_makes_way(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, env=environment
    )
    try:
        assert process.stdout.readline() == b"held\n"
        refused = f"(?s)process {process.pid} on .*Give another --model_dir"
        with pytest.raises(ModelDirInUseError, match=refused):
            with run_lock.held(tmp_path):
                pass
        assert (tmp_path / run_lock.NAME).is_file()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert (tmp_path / run_lock.NAME).is_file()
    with run_lock.held(tmp_path):  # at once
        assert json.loads((tmp_path / run_lock.NAME).read_text())["pid"] == os.getpid()


@pytest.mark.parametrize("changes", [{"process_started": 1.0}, {"pid": 2**22 + 1}, {"pid": "x"}])
def test_the_number_of_a_later_process_is_none_of_the_run(tmp_path, changes):
    lock_of(tmp_path, **changes)
    with run_lock.held(tmp_path):
        pass
    assert not (tmp_path / run_lock.NAME).exists()


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "{}"])
def test_a_file_that_is_no_lock_is_replaced(tmp_path, text):
    (tmp_path / run_lock.NAME).write_text(text)
    with run_lock.held(tmp_path):
        pass


def test_a_run_of_another_host_is_alive_while_it_touches_its_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(run_lock, "WATCH", 0.6)
    monkeypatch.setattr(run_lock, "_POLL", 0.02)
    path = lock_of(tmp_path, system="another", host="gpu7")
    ended = threading.Event()

    def touch():
        while not ended.wait(0.1):
            os.utime(path)

    beat = threading.Thread(target=touch)
    beat.start()
    try:
        with pytest.raises(ModelDirInUseError, match="on gpu7"):
            with run_lock.held(tmp_path):
                pass
    finally:
        ended.set()
        beat.join()
    with run_lock.held(tmp_path):  # silent while we watched: it is gone
        pass


def test_a_lock_that_was_not_touched_for_long_is_left_over(tmp_path):
    path = lock_of(tmp_path, system="another")
    long_ago = time.time() - 2 * run_lock.STALE
    os.utime(path, (long_ago, long_ago))
    began = time.monotonic()
    with run_lock.held(tmp_path):
        pass
    assert time.monotonic() - began < run_lock.WATCH / 2


def test_a_lock_taken_by_another_run_is_left_to_it(tmp_path, monkeypatch):
    monkeypatch.setattr(run_lock, "HEARTBEAT", 0.02)
    with run_lock.held(tmp_path):
        content = json.loads((tmp_path / run_lock.NAME).read_text()) | {"id": "another"}
        (tmp_path / run_lock.NAME).write_text(json.dumps(content))
        time.sleep(0.1)
    assert json.loads((tmp_path / run_lock.NAME).read_text())["id"] == "another"
