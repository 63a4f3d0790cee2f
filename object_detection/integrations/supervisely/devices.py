"""The GPUs that a config names."""

from absl import logging

from object_detection.errors import SettingsError


def choose(place, devices):
    """Lets TensorFlow see these GPUs alone; the CPU where the machine has none.

    Args:
        place: what a message calls the key.
        devices: numbers of GPUs.

    Returns:
        How many devices share a step.

    Raises:
        SettingsError: the machine has GPUs, but not these.
    """
    from object_detection.training import commands

    commands.start_tensorflow()
    import tensorflow as tf

    there = tf.config.list_physical_devices("GPU")
    if not there:
        logging.warning("%s is %s, but there is no GPU here: the CPU works.", place, devices)
        return 1
    missing = [number for number in devices if number >= len(there)]
    if missing:
        raise SettingsError(
            f"{place} names GPU {missing[0]}; there are {len(there)} here, numbered from 0"
        )
    tf.config.set_visible_devices([there[number] for number in devices], "GPU")
    return len(devices)
