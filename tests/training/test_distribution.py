"""How a batch is shared, and what several workers need."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf
import tiny_run

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
import sys
import numpy as np
import tensorflow as tf
from object_detection.training import distribution

strategy = distribution.choose_strategy(num_workers=2)
import tiny_run
from object_detection.training import checkpoints, train_loop, train_step
from object_detection.training.summaries import Summaries

# Seeds differ, to see that the chief's weights hold.
made = tiny_run.parts(seed=int(sys.argv[2]), strategy=strategy)
keeper = checkpoints.CheckpointDirectory(sys.argv[1])
keeper.restore_newest(made.state)
start = int(made.state.step.numpy())
step = train_step.build_train_step(
    made.network, made.optimizer, train_step.StepSettings(), strategy)
iterator = distribution.iterate(
    strategy, lambda index, count: tiny_run.dataset(100 * index + start))
train_loop.train(
    step, iterator, made.state, train_loop.LoopSettings(int(sys.argv[3]), batch_size=4),
    checkpoints=keeper if distribution.is_chief(strategy) else None, summaries=Summaries(None))
# The norm's statistics are each worker's own; the chief's are saved.
for path, variable in made.optimizer.weights.items():
    print("RESULT", path, *(number.hex() for number in np.ravel(variable.numpy()).astype(float)))
"""


@pytest.mark.slow
def test_two_workers_train_and_resume_as_one(tmp_path):
    import socket

    def workers(num_steps):
        sockets = [socket.create_server(("localhost", 0)) for _ in range(2)]
        addresses = [f"localhost:{each.getsockname()[1]}" for each in sockets]
        for each in sockets:
            each.close()
        started = []
        for index in range(2):
            task = {"type": "worker", "index": index}
            environment = {
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(tiny_run.__file__).parent)]),
                "CUDA_VISIBLE_DEVICES": "",
                "TF_CONFIG": json.dumps({"cluster": {"worker": addresses}, "task": task}),
            }
            command = [sys.executable, "-c", WORKER, str(tmp_path), str(index), str(num_steps)]
            started.append(
                subprocess.Popen(
                    command,
                    env=environment,
                    text=True,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                )
            )
        printed = []
        for process in started:
            out, log = process.communicate(timeout=240)
            if process.returncode:
                for other in started:
                    other.kill()
                    other.communicate()
            assert process.returncode == 0, log[-3000:]
            printed.append([line for line in out.splitlines() if line.startswith("RESULT")])
        return printed

    first, second = workers(3)
    assert len(first) == len(second) == 4
    assert first == second
    workers(6)
    fresh = tiny_run.parts()
    from object_detection.training.checkpoints import CheckpointDirectory

    keeper = CheckpointDirectory(tmp_path)
    keeper.restore_newest(fresh.state)
    assert int(fresh.state.step) == 6
