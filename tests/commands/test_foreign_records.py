"""Records that others made with TFOD's scripts train a few steps and evaluate, by the doors."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from reference import REFERENCE, needs_reference
from tiny_models import PYRAMID

pytestmark = [needs_reference, pytest.mark.slow]
ROOT = Path(__file__).parents[2]

# Name, records to train on, records to evaluate on, label map, classes, masks.
SETS = [
    ("cup_speaker", "train_data-?????-of-?????", "train_data-?????-of-?????", None, 2, True),
    ("horse_zebra", "train.record", "test.record", None, 2, True),
    ("raccoon", "test.record", "test.record", None, 1, False),
    ("pets", "pets_examples.record", "pets_examples.record", "pet_label_map.pbtxt", 37, False),
    ("boxes_only", "*train.tfrecord", "*val.tfrecord", "made", 4, False),
]


def _label_map(name, given, folder):
    if given is None:
        return REFERENCE / "data" / "records" / name / "label_map.pbtxt"
    if given != "made":
        return REFERENCE / "data" / "label_maps" / given
    path = folder / "label_map.pbtxt"
    items = (f'item {{ id: {i} name: "label_{i - 1}" }}\n' for i in range(1, 5))
    path.write_text("".join(items))
    return path


def _reader(kind, pattern, label_map, masks):
    wanted = "load_instance_masks: true mask_type: PNG_MASKS" if masks else ""
    return (
        f'{kind} {{ label_map_path: "{label_map}" shuffle: false {wanted} '
        f'tf_record_input_reader {{ input_path: "{pattern}" }} }}\n'
    )


def _run(arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "object_detection.model_main_tf2", *arguments]
    run = subprocess.run(
        command, capture_output=True, text=True, timeout=600, check=False, env=environment
    )
    assert run.returncode == 0, run.stderr[-4000:]
    return run.stderr


@pytest.mark.parametrize("name, train, val, given, classes, masks", SETS)
def test_train_and_evaluate(tmp_path, name, train, val, given, classes, masks):
    records = REFERENCE / "data" / "records" / name
    label_map = _label_map(name, given, tmp_path)
    model = PYRAMID.replace("num_classes: 3", f"num_classes: {classes}")
    model = model.replace("fpn {", "batch_norm_trainable: true fpn {")
    if not masks:
        model = model.replace("number_of_stages: 3", "number_of_stages: 2")
        model = model.replace("predict_instance_masks: true", "")
    metrics = 'metrics_set: "coco_detection_metrics" '
    metrics += 'metrics_set: "coco_mask_metrics"' if masks else ""
    config = tmp_path / "pipeline.config"
    config.write_text(
        f"model {{ {model} }}\n"
        "train_config { batch_size: 2 num_steps: 3 optimizer { momentum_optimizer { learning_rate {"
        " constant_learning_rate { learning_rate: 1e-4 } } } } }\n"
        + _reader("train_input_reader", records / train, label_map, masks)
        + f"eval_config {{ {metrics} }}\n"
        + _reader("eval_input_reader", records / val, label_map, masks)
    )
    place = [f"--pipeline_config_path={config}", f"--model_dir={tmp_path / 'run'}"]

    apart = name == SETS[0][0]  # the others are evaluated by the process that trains
    log = _run(place if apart else [*place, "--eval_every_n_steps=3"])
    assert "step 3/3" in log
    if apart:
        _run([*place, f"--checkpoint_dir={tmp_path / 'run'}", "--run_once"])

    (written,) = (tmp_path / "run" / "eval").glob("metrics-3.json")
    values = json.loads(written.read_text())
    text = json.dumps(values)
    assert "DetectionBoxes_Precision/mAP" in text
    assert ("DetectionMasks_Precision/mAP" in text) is masks
