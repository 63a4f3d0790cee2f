"""Fine-tuning a TF1 checkpoint of TFOD for other classes, as a user types it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import made_records
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from reference import needs_reference
from reference_models import PARITY, make_weights

from object_detection.checkpoints.names.training_state import name_of
from object_detection.protos import pipeline_pb2

# The script that writes the reference's weights leaves its files for the collector to close.
pytestmark = [
    needs_reference,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
ROOT = Path(__file__).parents[2]
STEPS = 12
SCOPE = "FirstStageFeatureExtractor/resnet_v1_50"
FREEZE = ("FirstStageFeatureExtractor/resnet_v1_50/(conv1|block1)/.*", "BatchNorm")
BOXES = ((0.1, 0.1, 0.5, 0.4), (0.3, 0.5, 0.9, 0.9), (0.05, 0.45, 0.45, 0.95))


def records(root, path):
    """A file of the reference's two images, each with three objects of three classes."""
    made = []
    with np.load(root / "images.npz") as arrays:
        for name in ("image0", "image1"):
            made.append(
                made_records.record(
                    BOXES,
                    size=arrays[name].shape[:2],
                    masks=True,
                    label=[1, 2, 3],
                    encoded=made_records.image_bytes(arrays[name]),
                    source_id=name,
                )
            )
    return made_records.write(path, made)


def config_of(case, folder):
    """The case's config for three classes, without its augmentation, at a rate that learns."""
    config = text_format.Parse(
        (case / "pipeline.config").read_text(), pipeline_pb2.TrainEvalPipelineConfig()
    )
    config.model.faster_rcnn.num_classes = 3
    train = config.train_config
    train.fine_tune_checkpoint = str(folder / "tf1" / "model.ckpt")
    train.fine_tune_checkpoint_type = "detection"
    train.load_all_detection_checkpoint_vars = True
    train.freeze_variables.extend(FREEZE)
    del train.data_augmentation_options[:]
    rate = train.optimizer.momentum_optimizer.learning_rate
    rate.constant_learning_rate.learning_rate = 0.001
    labels = folder / "labels.pbtxt"
    labels.write_text("".join(f"item {{ id: {n} name: 'class{n}' }}\n" for n in (1, 2, 3)))
    for reader in (config.train_input_reader, *config.eval_input_reader):
        reader.label_map_path = str(labels)
        reader.tf_record_input_reader.input_path[:] = [str(folder / "two.record")]
    return config


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a finished run, its log, and what the TF1 checkpoint holds."""
    folder = tmp_path_factory.mktemp("fine_tuning")
    case = PARITY / "c_tf1_mask_resnet50_atrous"
    (folder / "tf1").mkdir()
    stored = make_weights().write(str(case), str(folder / "tf1" / "model.ckpt"))
    records(PARITY, folder / "two.record")
    (folder / "pipeline.config").write_text(text_format.MessageToString(config_of(case, folder)))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "object_detection.model_main_tf2", "--model_dir=run"),
            *("--pipeline_config_path=pipeline.config", f"--num_train_steps={STEPS}"),
            "--log_every_n_steps=1",
        ],
        cwd=folder,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, done.stderr, stored


def test_the_loss_falls(run):
    losses = [float(loss) for loss in re.findall(r"step \d+/\d+ \| loss ([\d.e+-]+)", run[1])]
    assert len(losses) == STEPS
    # Two steps see each image once.
    assert np.mean(losses[-4:]) < 0.7 * np.mean(losses[:2]), losses


def test_heads_begin_anew_and_the_rest_is_restored(run):
    # Box and class head: 4 variables; the mask head's depth goes by the number of classes too: 8.
    assert "restored 271 variables" in run[1] and "12 of another shape" in run[1]
    assert "roi_stage/head/classes/kernel: model [2048, 4], file [2048, 6]" in run[1]


def test_what_the_patterns_name_does_not_move_and_the_rest_does(run):
    folder, log, stored = run
    # 11 convolutions of conv1 and block1 with gamma and beta; all 53 gammas and betas.
    assert f"{FREEZE[0]!r} matches 33 weight(s)" in log and "'BatchNorm' matches 106" in log
    first, last = (tf.train.load_checkpoint(str(folder / "run" / f"ckpt-{n}")) for n in (1, 2))
    moved, kept = [], []
    for key in first.get_variable_to_shape_map():
        if key.startswith("model/"):
            same = np.array_equal(first.get_tensor(key), last.get_tensor(key))
            (kept if same else moved).append(key.split("/")[1].replace("..", "/"))
    statistics = ("moving_mean", "moving_variance")
    frozen = [p for p in kept if not p.endswith(statistics)]
    assert len(moved) == 60 and len(frozen) == 177 - 60 and len(kept) == 283 - 60
    named = re.compile(r"backbone/resnet_v1_50/(conv1|block1)/|.*/(gamma|beta)$")
    assert all(named.match(path) for path in frozen)
    assert not any(named.match(path) for path in moved)
    # What is frozen is still what TFOD stored.
    value = last.get_tensor(name_of("model/backbone.resnet_v1_50.conv1.kernel"))
    np.testing.assert_array_equal(value, stored[f"{SCOPE}/conv1/weights"])
