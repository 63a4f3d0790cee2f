"""The same batch is the same training on one device, on two, and on two workers."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import detector_step
import pytest

ROOT = Path(__file__).parents[2]


def start(*arguments, tf_config=None):
    paths = [ROOT, ROOT / "tests", Path(detector_step.__file__).parent]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "CUDA_VISIBLE_DEVICES": "",
    }
    if tf_config:
        environment["TF_CONFIG"] = json.dumps(tf_config)
    return subprocess.Popen(
        [sys.executable, detector_step.__file__, *arguments],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def printed(process):
    out, log = process.communicate(timeout=400)
    assert process.returncode == 0, log[-3000:]
    lines = (line.split() for line in out.splitlines() if line.startswith("RESULT"))
    return {name: float(value) for _, name, value in lines}


@pytest.fixture(scope="module")
def one():
    return printed(start("one"))


@pytest.mark.slow
def test_two_devices_give_the_losses_gradients_and_weights_of_one(one):
    two = printed(start("mirrored"))
    assert one["Loss/BoxClassifierLoss/mask_loss"] > 0
    assert two == pytest.approx(one, rel=1e-5)


@pytest.mark.slow
def test_tfods_mask_loss_gives_each_replica_equal_weight(one):
    two = printed(start("mirrored", "per_replica"))
    mask = "Loss/BoxClassifierLoss/mask_loss"
    assert two[mask] != pytest.approx(one[mask], rel=1e-3)
    others = {name for name in one if name.startswith("Loss/") and name != mask}
    others.remove("Loss/total_loss")
    assert {n: two[n] for n in others} == pytest.approx({n: one[n] for n in others}, rel=1e-5)


@pytest.mark.slow
def test_two_workers_give_the_losses_gradients_and_weights_of_one(one):
    sockets = [socket.create_server(("localhost", 0)) for _ in range(2)]
    addresses = [f"localhost:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    workers = [
        start(
            "worker",
            tf_config={
                "cluster": {"worker": addresses},
                "task": {"type": "worker", "index": index},
            },
        )
        for index in range(2)
    ]
    try:
        for found in map(printed, workers):
            assert found == pytest.approx(one, rel=1e-5)
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
