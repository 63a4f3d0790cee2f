"""How much memory a run takes, of the machine and of its GPUs."""

import psutil
import tensorflow as tf

_MB = 2**20


def of_process() -> float:
    """MB of the machine's memory that this process holds."""
    return psutil.Process().memory_info().rss / _MB


def in_use() -> dict[str, float]:
    """Summary tag -> MB: of the process; of each GPU now, and at most since the run began."""
    found = {"memory/process_MB": of_process()}
    for number in range(len(tf.config.list_logical_devices("GPU"))):
        try:
            info = tf.config.experimental.get_memory_info(f"GPU:{number}")
        except (ValueError, tf.errors.OpError):  # an allocator that keeps no count
            continue
        found[f"memory/gpu{number}_MB"] = info["current"] / _MB
        found[f"memory/gpu{number}_peak_MB"] = info["peak"] / _MB
    return found
