"""The loop: it resumes as if it had never stopped, saves before it leaves, says why it fails."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
import tiny_run

from object_detection.checkpoints import manager
from object_detection.checkpoints.manager import CheckpointDirectory
from object_detection.errors import (
    CheckpointError,
    NoExamplesError,
    NonFiniteLossError,
    OutOfMemoryError,
)
from object_detection.training import train_loop
from object_detection.training.summaries import Summaries
from object_detection.training.train_step import StepResult

ROOT = Path(__file__).parents[2]


def start(model_dir, *arguments):
    """Starts tiny_run as a process of its own."""
    return subprocess.Popen(
        [sys.executable, str(Path(tiny_run.__file__)), str(model_dir), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_line(process, pattern):
    """Reads the process's log until a line matches."""
    for line in process.stderr:
        if re.search(pattern, line):
            return line
    raise AssertionError(f"the process ended without a line like {pattern}")


def results(process):
    """What a run that ended well printed: {key: hex numbers}."""
    out, log = process.communicate(timeout=120)
    assert process.returncode == 0, log
    lines = [line.split() for line in out.splitlines() if line.startswith("RESULT")]
    return {line[1]: line[2:] for line in lines}, log


def same(one, other):
    for key, value in tiny_run.values(one).items():
        np.testing.assert_array_equal(value, tiny_run.values(other)[key], err_msg=key)


def test_a_resumed_run_equals_one_that_never_stopped(tmp_path):
    whole, _ = tiny_run.run(tmp_path / "whole", 12)
    tiny_run.run(tmp_path / "parts", 7)
    parts, _ = tiny_run.run(tmp_path / "parts", 12, made=tiny_run.parts(seed=5))
    same(whole, parts)


def test_kill_9_in_mid_run_costs_nothing_but_time(tmp_path):
    whole, _ = results(start(tmp_path / "whole", 30))
    killed = start(tmp_path / "killed", 30, 0.1)
    wait_for_line(killed, r"step 13/30")  # checkpoints are at 0, 5 and 10
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    resumed, log = results(start(tmp_path / "killed", 30))
    assert "step 11/30" in log and "step 10/30" not in log
    assert resumed == whole


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_first_and_then_leaves(tmp_path, number):
    process = start(tmp_path, 1000, 0.1)
    wait_for_line(process, r"step 7/1000")
    process.send_signal(number)
    _, log = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    stopped_at = int(re.search(r"at step (\d+); saved as .*ckpt-3", log)[1])
    state = tiny_run.parts().state
    CheckpointDirectory(tmp_path).restore_newest(state)
    assert int(state.step) == stopped_at >= 7


def test_a_fresh_run_saves_at_step_zero_and_at_the_end(tmp_path):
    tiny_run.run(tmp_path, 7)
    steps = []
    for prefix in reversed(CheckpointDirectory(tmp_path).newest_first()):
        state = tiny_run.parts().state
        manager.read(prefix, state)
        steps.append(int(state.step))
    assert steps == [0, 5, 7]


def test_a_finished_run_does_nothing_more(tmp_path):
    done, _ = tiny_run.run(tmp_path, 3)
    again, code = tiny_run.run(tmp_path, 3, made=tiny_run.parts(seed=1))
    assert code == 0
    same(done, again)
    assert len(CheckpointDirectory(tmp_path).newest_first()) == 2


def test_evaluation_comes_after_a_save_and_at_the_end(tmp_path):
    seen = []

    def evaluate(step, stop, prefix):
        newest = CheckpointDirectory(tmp_path).newest_first()[0]
        assert prefix == newest
        seen.append((step, newest.name, bool(stop)))

    tiny_run.run(tmp_path, 7, evaluate=evaluate, evaluate_every_n=3, checkpoint_every_n=100)
    assert seen == [(3, "ckpt-2", False), (6, "ckpt-3", False), (7, "ckpt-4", False)]


def test_a_sentence_of_the_evaluation_ends_the_run(tmp_path, caplog):
    caplog.set_level("INFO", logger="absl")

    def evaluate(step, stop, prefix):
        return "It gets no better." if step == 6 else None

    made, code = tiny_run.run(tmp_path, 20, evaluate=evaluate, evaluate_every_n=3)
    assert code == 0
    assert int(made.state.step.numpy()) == 6
    assert "It gets no better." in caplog.text


def fake_step(losses, gradient_norm=1.0):
    """A step function that returns these losses."""

    def step(iterator, number):
        return StepResult(
            {name: tf.constant(value) for name, value in losses.items()},
            tf.constant(0.5),
            tf.constant(gradient_norm),
            tf.constant([b"cat.jpg", b"dog.jpg"]),
        )

    return step


def loop(step, tmp_path, num_steps=3, made=None, save_batch=lambda step: None, **settings):
    made = made or tiny_run.parts()
    return train_loop.train(
        step,
        iter([]),
        made.state,
        train_loop.LoopSettings(
            num_steps, **{"batch_size": 2, "checkpoint_every_n": 1, **settings}
        ),
        checkpoints=CheckpointDirectory(tmp_path),
        summaries=Summaries(None),
        hooks=train_loop.Hooks(save_batch=save_batch),
    )


def test_a_loss_that_is_not_finite_names_term_step_and_images(tmp_path):
    losses = {
        "Loss/RPNLoss/objectness_loss": 1.0,
        "Loss/BoxClassifierLoss/mask_loss": float("nan"),
        "Loss/total_loss": float("nan"),
    }
    with pytest.raises(NonFiniteLossError) as error:
        loop(fake_step(losses), tmp_path)
    text = str(error.value)
    assert "Step 1: Loss/BoxClassifierLoss/mask_loss = nan;" in text  # and not the total
    assert "cat.jpg, dog.jpg" in text and "ckpt-1" in text
    assert len(CheckpointDirectory(tmp_path).newest_first()) == 1  # nothing broken was saved


def test_a_gradient_that_is_not_finite_stops_too(tmp_path):
    with pytest.raises(NonFiniteLossError, match="gradient's norm = inf"):
        loop(fake_step({"Loss/total_loss": 1.0}, gradient_norm=float("inf")), tmp_path)


def test_the_batch_of_a_broken_step_is_kept(tmp_path):
    with pytest.raises(NonFiniteLossError, match="is saved in /somewhere/step0"):
        loop(
            fake_step({"Loss/total_loss": float("inf")}),
            tmp_path,
            save_batch=lambda step: f"/somewhere/step{step}",
        )


def test_broken_steps_can_be_skipped_but_not_for_ever(tmp_path, caplog):
    good, bad = fake_step({"Loss/total_loss": 1.0}), fake_step({"Loss/total_loss": float("nan")})

    def one_bad(iterator, number):
        return bad(iterator, number) if int(number) == 1 else good(iterator, number)

    assert loop(one_bad, tmp_path, skip_non_finite=True) == 0
    assert "Step 2: Loss/total_loss = nan" in caplog.text
    assert "no weight has changed" in caplog.text
    with pytest.raises(NonFiniteLossError, match="Step 11: .*10 steps were skipped before"):
        loop(bad, tmp_path / "other", num_steps=30, made=None, skip_non_finite=True)


def test_a_loss_that_never_has_a_say_is_worth_a_word(tmp_path, caplog):
    losses = {
        "Loss/BoxClassifierLoss/mask_loss": 0.0,
        "Loss/RPNLoss/objectness_loss": 1.0,
        "Loss/regularization_loss": 0.0,
        "Loss/total_loss": 1.0,
    }
    loop(fake_step(losses), tmp_path, num_steps=450, checkpoint_every_n=1000)
    (said,) = [message for message in caplog.messages if "exactly 0" in message]
    assert said.startswith("Loss/BoxClassifierLoss/mask_loss has been exactly 0 for 200 steps")


def test_out_of_memory_names_the_knobs(tmp_path):
    def step(iterator, number):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating [8,1024]")

    with pytest.raises(OutOfMemoryError, match="(?s)batch_size.*second_stage_batch_size.*OOM when"):
        loop(step, tmp_path)


def test_no_data_at_all_is_an_error(tmp_path):
    def step(iterator, number):
        raise tf.errors.OutOfRangeError(None, None, "End of sequence")

    with pytest.raises(NoExamplesError):
        loop(step, tmp_path)


def test_data_that_ends_is_the_end_of_the_run(tmp_path):
    made = tiny_run.parts()
    step, batches = tiny_run.step_of(made), iter(tiny_run.dataset(count=4))
    code = train_loop.train(
        step,
        batches,
        made.state,
        train_loop.LoopSettings(num_steps=0, batch_size=2),
        checkpoints=CheckpointDirectory(tmp_path),
        summaries=Summaries(None),
    )
    assert (code, int(made.state.step.numpy())) == (0, 4)
    fresh = tiny_run.parts(seed=1)
    CheckpointDirectory(tmp_path).restore_newest(fresh.state)
    same(made, fresh)


def test_a_save_that_fails_is_tried_again(tmp_path, monkeypatch, caplog):
    save, calls = CheckpointDirectory.save, []

    def failing(self, state):
        calls.append(int(state.step))
        if len(calls) in (2, 3):  # two in a row, at steps 1 and 2
            raise CheckpointError("No space left on device.")
        return save(self, state)

    monkeypatch.setattr(CheckpointDirectory, "save", failing)
    assert loop(fake_step({"Loss/total_loss": 1.0}), tmp_path, num_steps=4) == 0
    assert calls == [0, 1, 2, 3, 4]
    assert caplog.text.count("Training continues") == 2


def test_a_disk_that_stays_full_ends_the_run(tmp_path, monkeypatch):
    made = tiny_run.parts()
    CheckpointDirectory(tmp_path).save(made.state)
    made.state.step.assign(1)

    def failing(self, state):
        raise CheckpointError("No space left on device.")

    monkeypatch.setattr(CheckpointDirectory, "save", failing)
    with pytest.raises(CheckpointError, match="No space"):
        loop(fake_step({"Loss/total_loss": 1.0}), tmp_path, num_steps=100, made=made)
    assert int(made.state.step.numpy()) == 4  # the third failure


def test_losses_and_rate_go_to_tensorboard(tmp_path):
    made = tiny_run.parts()
    summaries = Summaries(tmp_path / "train")
    train_loop.train(
        tiny_run.step_of(made, images_for_summary=3, gradients_every=3),
        iter(tiny_run.dataset()),
        made.state,
        train_loop.LoopSettings(num_steps=4, batch_size=2, log_every_n_steps=2),
        checkpoints=None,
        summaries=summaries,
        hooks=train_loop.Hooks(
            draw_inputs=lambda batch: batch.images.pixels, weight_names=list(made.optimizer.weights)
        ),
    )
    summaries.close()
    events = tags_of(tmp_path / "train")
    scalars = {
        "Loss/RPNLoss/localization_loss",
        "Loss/RPNLoss/objectness_loss",
        "Loss/regularization_loss",
        "Loss/total_loss",
        "learning_rate",
        "steps_per_sec",
        "images_per_sec",
        "gradient_norm",
        "memory/process_MB",
    }
    weights = ["first/kernel", "first/bias", "norm/gamma", "norm/beta"]
    gradients = {f"gradients/{name}" for name in weights}
    gradients |= {f"gradient_norm/{name}" for name in weights}
    gradients |= {"global_norm/gradient_norm", "global_norm/clipped_gradient_norm"}
    assert set(events) == scalars | gradients | {"train_input_images"}
    assert {step for tag in gradients for step, _ in events[tag]} == {1, 4}
    assert [step for step, _ in events["Loss/total_loss"]] == [2, 4]
    # Warm-up from 0.01 to 0.1 in 5 steps: the second update, at step 1, has 0.01 + 0.09 / 5.
    assert events["learning_rate"][0][1] == pytest.approx(0.028)
    (_, pace), (_, images) = events["steps_per_sec"][-1], events["images_per_sec"][-1]
    assert images == pytest.approx(2 * pace)
    assert len(events["train_input_images"]) == 1


def tags_of(folder):
    """{tag: [(step, value)]} of the event files in a folder."""
    found = {}
    for path in sorted(folder.glob("events.*")):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                number = tf.make_ndarray(value.tensor)
                number = float(number) if number.shape == () else None
                found.setdefault(value.tag, []).append((event.step, number))
    return found


def test_time_spent_on_saving_is_no_training_time(tmp_path, monkeypatch, caplog):
    def slow(self, state):
        time.sleep(0.5)
        return tmp_path / "ckpt-1"

    monkeypatch.setattr(CheckpointDirectory, "save", slow)
    with caplog.at_level("INFO", logger="absl"):
        train_loop.train(
            fake_step({"Loss/total_loss": 1.0}),
            iter([]),
            tiny_run.parts().state,
            train_loop.LoopSettings(4, batch_size=2, checkpoint_every_n=1, log_every_n_steps=2),
            checkpoints=CheckpointDirectory(tmp_path),
            summaries=Summaries(None),
        )
    rates = [float(rate) for rate in re.findall(r"\(([\d.]+) s/step\)", caplog.text)]
    assert len(rates) == 2 and max(rates) < 0.1


def test_a_worker_leaves_with_the_others(tmp_path, caplog):
    asked, answers = [], iter([False, False, True, True])

    def should_stop(requested):
        asked.append(requested)
        return next(answers)

    made = tiny_run.parts()
    with caplog.at_level("INFO", logger="absl"):
        code = train_loop.train(
            fake_step({"Loss/total_loss": 1.0}),
            None,
            made.state,
            train_loop.LoopSettings(num_steps=9, batch_size=2, several_workers=True),
            checkpoints=CheckpointDirectory(tmp_path),
            summaries=Summaries(None),
            hooks=train_loop.Hooks(should_stop=should_stop),
        )
    assert code == 128 + signal.SIGTERM
    # Before each step, and once more when all is saved.
    assert asked == [False, False, False, True]
    assert "Stopped by another worker, which received a signal at step 2" in caplog.text
    stored = tiny_run.parts()
    CheckpointDirectory(tmp_path).restore_newest(stored.state)
    assert int(stored.state.step.numpy()) == 2


@pytest.mark.parametrize(("several", "calls"), [(True, [3]), (False, [])])
def test_a_worker_that_is_to_stop_still_meets_the_others_at_an_evaluation(several, calls):
    met = []
    settings = train_loop.LoopSettings(9, 2, several_workers=several)
    hooks = train_loop.Hooks(evaluate=lambda step, stop, prefix: met.append(step))
    train_loop._evaluate(3, True, SimpleNamespace(newest=None), settings, hooks)
    assert met == calls
