"""Training over a record set of which one record in twenty is broken, as people type it."""

import re
import subprocess
import sys

import made_records
import numpy as np
import pytest
from tiny_models import PYRAMID

_GOOD, _BATCH = 114, 6
_BOX = (0.25, 0.2, 0.75, 0.8)
_SIZE = (32, 40)
_MODEL = PYRAMID.replace('fpn_keras"', 'fpn_keras" batch_norm_trainable: true')
_CONFIG = """
model {{ {model} }}
train_config {{
  batch_size: {batch} num_steps: {steps}
  optimizer {{ momentum_optimizer {{
    learning_rate {{ constant_learning_rate {{ learning_rate: 0.0001 }} }} }}
    use_moving_average: false }}
  data_augmentation_options {{ random_horizontal_flip {{ }} }}
}}
train_input_reader {{
  label_map_path: "{folder}/label_map.pbtxt" load_instance_masks: true mask_type: PNG_MASKS
  shuffle_buffer_size: 64 name: "small set"
  tf_record_input_reader {{ input_path: "{folder}/train.record-*" }}
}}
"""


def good(seed):
    return made_records.record([_BOX], size=_SIZE, masks=True, seed=seed)


def broken():
    """A record of each kind of damage, by the words that it is named with."""
    picture = made_records.image_bytes(made_records.picture(*_SIZE), "JPEG")
    half = made_records.image_bytes(np.zeros(_SIZE, np.uint8))[:30]
    two = {"size": _SIZE, "masks": True}
    return {
        "bad image": made_records.record([_BOX], **two, seed=901, encoded=picture[:100]),
        "no image": made_records.record([_BOX], **two, seed=902, encoded=None),
        "not a tf.Example": b"this is no record" * 9,
        "bad mask": made_records.record([_BOX], **two, seed=904, mask=[half]),
        "boxes": made_records.record([(3, 4, 20, 30)], size=_SIZE, seed=905),
        "mask count": made_records.record([_BOX] * 2, **two, seed=906, mask=[half] * 3),
    }


def write_set(folder):
    """Two files of 60 records, three of them broken in each."""
    faulty = list(broken().values())
    records = [good(seed) for seed in range(_GOOD)]
    for place, record in zip((7, 30, 59, 61, 77, 118), faulty, strict=True):
        records.insert(place, record)
    for shard in range(2):
        path = folder / f"train.record-{shard:05d}-of-00002"
        made_records.write(path, records[60 * shard : 60 * (shard + 1)])
    (folder / "label_map.pbtxt").write_text("item { id: 1 name: 'thing' }\n")


@pytest.mark.slow
def test_each_break_is_named_once_and_training_goes_on(tmp_path):
    write_set(tmp_path)
    steps = int(1.5 * (_GOOD + 6) / _BATCH)  # into the second epoch, which meets them again
    config = tmp_path / "pipeline.config"
    config.write_text(
        _CONFIG.format(model=_MODEL, batch=_BATCH, steps=steps, folder=tmp_path.as_posix())
    )
    command = ["-m", "object_detection.model_main_tf2", f"--pipeline_config_path={config}"]
    done = subprocess.run(
        [sys.executable, *command, f"--model_dir={tmp_path / 'model'}", "--alsologtostderr"],
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "model" / "checkpoint").exists()
    said = [line for line in done.stderr.splitlines() if "small set: " in line]
    print("\n".join(said))
    named = [line for line in said if not re.search(r"small set: \d+ x ", line)]
    assert len(named) == 6
    places = {re.search(r"(\d{5}-of-00002), record (\d+)", line).groups() for line in named}
    first = {("00000-of-00002", str(k)) for k in (7, 30, 59)}
    assert places == first | {("00001-of-00002", str(k)) for k in (1, 17, 58)}
    counted = [
        int(re.search(r"small set: (\d+) x ", line)[1]) for line in said if line not in named
    ]
    assert sum(counted) == 6
