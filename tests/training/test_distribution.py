"""How a batch is shared, and what several workers need."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tensorflow as tf
import tiny_run

from object_detection.checkpoints.manager import CheckpointDirectory
from object_detection.training import distribution

ROOT = Path(__file__).parents[2]


class Fake:
    """As much of a strategy as the arithmetic asks for."""

    cluster_resolver = None

    def __init__(self, replicas, cluster=None, task=(None, None)):
        self.num_replicas_in_sync = replicas
        if cluster:
            self.cluster_resolver = self
            self.cluster_spec = lambda: tf.train.ClusterSpec(cluster)
            self.task_type, self.task_id = task


CLUSTER = {"worker": ["a:1", "b:1"]}


def test_one_device_needs_no_strategy():
    strategy = distribution.choose_strategy()
    assert strategy.num_replicas_in_sync == 1
    assert distribution.is_chief(strategy)
    assert distribution.batches_taken(7, strategy) == 7


def test_the_batch_is_shared_evenly():
    assert distribution.batch_of_a_replica(8, Fake(2)) == 4


@pytest.mark.parametrize(("size", "replicas", "fitting"), [(7, 2, 6), (1, 4, 4), (0, 1, 1)])
def test_a_batch_that_can_not_be_shared_names_one_that_can(size, replicas, fitting):
    with pytest.raises(ValueError, match=f"batch_size is {size}.*for example {fitting}"):
        distribution.batch_of_a_replica(size, Fake(replicas))


def test_batches_taken_are_those_of_one_worker():
    # Two workers with two GPUs each: a worker's data set gives two batches a step.
    assert distribution.batches_taken(10, Fake(4, CLUSTER, ("worker", 0))) == 20
    assert distribution.batches_taken(10, Fake(2)) == 20


@pytest.mark.parametrize(
    ("cluster", "task", "chief"),
    [
        (CLUSTER, ("worker", 0), True),
        (CLUSTER, ("worker", 1), False),
        ({"chief": ["a:1"], "worker": ["b:1"]}, ("chief", 0), True),
        ({"chief": ["a:1"], "worker": ["b:1"]}, ("worker", 0), False),
    ],
)
def test_one_worker_is_the_chief(cluster, task, chief):
    assert distribution.is_chief(Fake(2, cluster, task)) == chief


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "needs the environment variable TF_CONFIG"),
        ("{}", "needs the environment variable TF_CONFIG"),
        (json.dumps({"cluster": CLUSTER}), "names 2 workers"),
    ],
)
def test_workers_must_agree_with_their_environment(monkeypatch, text, message):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match=message):
        distribution.choose_strategy(num_workers=3)


WORKER = """
import functools, sys, time
import numpy as np
import tensorflow as tf
from absl import logging
from object_detection.training import distribution

logging.set_verbosity(logging.INFO)
strategy = distribution.choose_strategy(num_workers=2)
import tiny_run
from object_detection import errors
from object_detection.training import train_loop, train_step
from object_detection.checkpoints import manager
from object_detection.training.summaries import Summaries

folder, seed, num_steps, pause = sys.argv[1], *map(float, sys.argv[2:])
# Seeds differ, to see that the chief's weights hold.
made = tiny_run.parts(seed=int(seed), strategy=strategy)
keeper = manager.CheckpointDirectory(folder)
keeper.restore_newest(made.state)
start = int(made.state.step.numpy())
distribution.check_same_step(strategy, start)
step = train_step.build_train_step(
    made.network, made.optimizer, train_step.StepSettings(), strategy)
def slowed(iterator, number):
    time.sleep(pause)
    return step(iterator, number)
iterator = distribution.iterate(
    strategy, lambda index, count: tiny_run.dataset(100 * index + start))
try:
    code = train_loop.train(
        slowed if pause else step, iterator, made.state,
        train_loop.LoopSettings(
            int(num_steps), batch_size=4, checkpoint_every_n=5, several_workers=True),
        checkpoints=keeper if distribution.is_chief(strategy) else None, summaries=Summaries(None),
        hooks=train_loop.Hooks(
            should_stop=functools.partial(distribution.for_all_workers, strategy)))
    print("CODE", code, int(made.state.step.numpy()))
except errors.WorkerLostError as error:
    distribution.restart_after_lost_worker(error, 3)
# The norm's statistics are each worker's own; the chief's are saved.
for path, variable in made.optimizer.weights.items():
    print("RESULT", path, *(number.hex() for number in np.ravel(variable.numpy()).astype(float)))
"""


def two_addresses():
    sockets = [socket.create_server(("localhost", 0)) for _ in range(2)]
    addresses = [f"localhost:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return addresses


def start_worker(index, addresses, folder, num_steps, pause=0.0):
    task = {"type": "worker", "index": index}
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(tiny_run.__file__).parent)]),
        "CUDA_VISIBLE_DEVICES": "",
        "TF_CONFIG": json.dumps({"cluster": {"worker": addresses}, "task": task}),
    }
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, *map(str, (folder, index, num_steps, pause))],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def ends_of(workers):
    """What each of them prints, (output, log), once all have ended well."""
    ends = []
    try:
        for process in workers:
            out, log = process.communicate(timeout=240)
            assert process.returncode == 0, log[-3000:]
            ends.append((out, log))
    finally:
        for process in workers:
            process.kill()
            process.communicate()
    return ends


def results_of(end):
    """The weights that a worker printed."""
    return [line for line in end[0].splitlines() if line.startswith("RESULT")]


def wait_for(path, seconds=240):
    until = time.monotonic() + seconds
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.1)


def step_in(folder):
    fresh = tiny_run.parts()
    CheckpointDirectory(folder).restore_newest(fresh.state)
    return int(fresh.state.step)


@pytest.mark.slow
def test_two_workers_train_and_resume_as_one(tmp_path):
    for num_steps in (3, 6):
        addresses = two_addresses()
        first, second = ends_of(
            [start_worker(index, addresses, tmp_path, num_steps) for index in range(2)]
        )
        assert len(results_of(first)) == 4
        assert results_of(first) == results_of(second)
    assert step_in(tmp_path) == 6


@pytest.mark.slow
def test_a_worker_that_is_killed_and_started_again_is_joined_by_the_other(tmp_path):
    addresses = two_addresses()
    chief, other = (start_worker(index, addresses, tmp_path, 30, 0.2) for index in range(2))
    wait_for(tmp_path / "ckpt-2.index")
    other.kill()
    other.communicate()
    time.sleep(2)

    again = start_worker(1, addresses, tmp_path, 30, 0.2)
    of_chief, of_other = ends_of([chief, again])

    assert "Another worker is gone at step" in of_chief[1]
    assert "Starting again from the newest checkpoint (1 of at most 3 times)" in of_chief[1]
    assert results_of(of_chief) == results_of(of_other)
    assert step_in(tmp_path) == 30


@pytest.mark.slow
@pytest.mark.parametrize("reported", [0, 1])
def test_one_worker_that_is_asked_to_stop_takes_the_other_along(tmp_path, reported):
    addresses = two_addresses()
    workers = [start_worker(index, addresses, tmp_path, 10_000, 0.1) for index in range(2)]
    wait_for(tmp_path / "ckpt-2.index")
    workers[reported].send_signal(signal.SIGTERM)
    ends = ends_of(workers)

    codes = [re.search(r"CODE (\d+) (\d+)", out).groups() for out, _ in ends]
    assert codes[0] == codes[1] and codes[0][0] == "143"
    assert step_in(tmp_path) == int(codes[0][1]) > 0
    assert "Stopped by SIGTERM at step" in ends[reported][1]
    assert "Stopped by another worker, which received a signal at step" in ends[1 - reported][1]
    assert "gone" not in ends[0][1] + ends[1][1]


def test_workers_that_resume_at_different_steps_are_stopped():
    class Apart(Fake):
        def run(self, function):
            return function()

        def reduce(self, kind, value, axis):
            return value / 2

    strategy = Apart(2, CLUSTER, ("worker", 1))
    distribution.check_same_step(strategy, 0)
    with pytest.raises(ValueError, match="resumes at step 8.*one folder that all workers share"):
        distribution.check_same_step(strategy, 8)
    assert distribution.shard_of(strategy) == (1, 2)
    assert distribution.shard_of(Fake(4)) == (0, 1)


def test_a_command_starts_again_only_so_often(monkeypatch):
    begun = []
    monkeypatch.setattr(distribution.os, "execv", lambda *command: begun.append(command))
    monkeypatch.delenv("OBJECT_DETECTION_RESTARTS", raising=False)
    for _ in range(3):
        distribution.restart_after_lost_worker(RuntimeError("gone"), 2)
    assert len(begun) == 2
    assert begun[0] == (sys.executable, [sys.executable, *sys.orig_argv[1:]])
    monkeypatch.delenv("OBJECT_DETECTION_RESTARTS")
