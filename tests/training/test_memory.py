"""How much memory a run takes."""

import tensorflow as tf

from object_detection.training import memory


def test_of_machine_and_gpus(monkeypatch):
    def info(device):
        if device == "GPU:1":
            raise ValueError("no statistics")
        return {"current": 3 * 2**20, "peak": 5 * 2**20}

    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: ["a", "b"])
    monkeypatch.setattr(tf.config.experimental, "get_memory_info", info)
    found = memory.in_use()
    assert found.pop("memory/process_MB") > 50
    assert found == {"memory/gpu0_MB": 3, "memory/gpu0_peak_MB": 5}
