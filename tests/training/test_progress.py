"""The progress line."""

import logging
import re
import types

import pytest
import tensorflow as tf

from object_detection.training import progress
from object_detection.training.progress import Progress, clock


@pytest.fixture
def now(monkeypatch):
    """A clock that the test moves."""
    time = types.SimpleNamespace(value=100.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: time.value)
    return time


def lines(caplog):
    return [record.getMessage() for record in caplog.records]


def test_one_line_every_so_many_steps_with_all_that_was_asked_for(now, caplog):
    caplog.set_level(logging.INFO, logger="absl")
    shown = Progress(step=10, num_steps=100, batch_size=4, every=2)
    for step, loss in ((11, 9.0), (12, 3.0)):
        now.value += 0.5
        window = shown.add(
            step, {"Loss/RPNLoss/objectness_loss": 1.0, "Loss/total_loss": loss}, 0.004
        )
    first, line = lines(caplog)
    assert first == "first step done in 0.5 s, including compilation"
    # Mean loss (9 + 3) / 2; 4 images in 0.5 s; 88 steps to go at 0.5 s each.
    assert line.startswith(
        "step 12/100 | loss 6.0000 rpn_obj 1.0000 | lr 0.004 | 8.00 images/s (0.500 s/step) "
        "| ETA 0:00:44 | memory "
    )
    assert int(re.search(r"memory (\d+) MB", line)[1]) > 50
    assert window.steps_per_second == 2.0
    assert window.losses["Loss/total_loss"] == 6.0


def test_the_compiling_step_does_not_count_as_pace(now, caplog):
    caplog.set_level(logging.INFO, logger="absl")
    shown = Progress(step=0, num_steps=10, batch_size=1, every=2)
    now.value += 60.0
    shown.add(1, {}, 0.1)
    now.value += 1.0
    assert shown.add(2, {}, 0.1).steps_per_second == 1.0
    assert "ETA 0:00:08" in lines(caplog)[-1]


def test_pauses_do_not_count(now):
    shown = Progress(step=4, num_steps=0, batch_size=1, every=1)
    now.value += 1.0
    shown.pause()
    now.value += 500.0
    shown.resume()
    now.value += 1.0
    assert shown.add(5, {}, 0.1).steps_per_second == 0.5


def test_the_last_step_always_has_its_line(now, caplog):
    caplog.set_level(logging.INFO, logger="absl")
    shown = Progress(step=0, num_steps=1, batch_size=1, every=20)
    now.value += 1.0
    assert shown.add(1, {"Loss/total_loss": 2.0}, 0.1).losses == {"Loss/total_loss": 2.0}


def test_a_run_without_end_has_no_time_left(now, caplog):
    caplog.set_level(logging.INFO, logger="absl")
    shown = Progress(step=0, num_steps=0, batch_size=1, every=1)
    now.value += 1.0
    shown.add(1, {}, 0.1)
    assert lines(caplog)[-1].startswith("step 1 | ") and "ETA" not in lines(caplog)[-1]


def test_a_terminal_gets_a_bar_too(now, capsys):
    shown = Progress(step=3, num_steps=5, batch_size=1, every=10, show_bar=True)
    now.value += 1.0
    shown.add(4, {}, 0.1)
    shown.close()
    assert "4/5" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00:00"), (61.4, "0:01:01"), (90061, "1d 1:01:01")]
)
def test_clock(seconds, text):
    assert clock(seconds) == text


def test_memory_of_machine_and_gpus(monkeypatch):
    def usage(device):
        if device == "GPU:1":
            raise ValueError("no statistics")
        return {"current": 3 * 2**20, "peak": 5 * 2**20}

    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: ["a", "b"])
    monkeypatch.setattr(tf.config.experimental, "get_memory_info", usage)
    memory = progress.memory_in_use()
    assert memory.pop("memory/process_MB") > 50
    assert memory == {"memory/gpu0_MB": 3, "memory/gpu0_peak_MB": 5}
