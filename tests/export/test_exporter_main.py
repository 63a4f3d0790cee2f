"""The command: what it refuses, and a whole export."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from absl import flags
from test_export_models import CONFIG

from object_detection import exporter_main_v2
from object_detection.builders import model_builder
from object_detection.checkpoints import variables
from object_detection.config import pipeline_file
from object_detection.errors import ConfigError
from object_detection.export import options
from object_detection.export.options import ExportOptions
from object_detection.prediction.predictor import Predictor

REPOSITORY = Path(__file__).parents[2]


def run(folder, *flags):
    command = [
        *(sys.executable, "-m", "object_detection.exporter_main_v2"),
        f"--pipeline_config_path={folder / 'pipeline.config'}",
        f"--trained_checkpoint_dir={folder / 'run'}",
        f"--output_directory={folder / 'export'}",
        *flags,
    ]
    return subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--use_side_inputs"], "use_side_inputs is not supported"),
        (["--side_input_names=a"], "use_side_inputs is not supported"),
        ([], "there is no such file, folder or checkpoint"),
    ],
)
def test_refusals_are_one_sentence(tmp_path, flags, message):
    (tmp_path / "pipeline.config").write_text(CONFIG)
    done = run(tmp_path, *flags)

    assert done.returncode == 1, done.stderr
    assert message in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "export").exists()


@pytest.mark.parametrize(
    ("config", "changes", "message"),
    [
        ("model { faster_rcnn { num_clases: 3 } }", [], "num_classes"),
        (None, [], "cannot be read"),
        (CONFIG, ["model.faster_rcnn.number_of_stages=7"], "number_of_stages"),
        (CONFIG, ["model.faster_rcnn.no_such_field=7"], "no_such_field"),
        (CONFIG, ["model { ssd { num_classes: 7 } }"], "ssd"),
    ],
)
def test_faults_of_the_config(tmp_path, config, changes, message):
    if config:
        (tmp_path / "pipeline.config").write_text(config)
    with pytest.raises(ConfigError, match=message):
        exporter_main_v2.load_config(tmp_path / "pipeline.config", changes)


def test_changes_of_the_config(tmp_path):
    (tmp_path / "pipeline.config").write_text(CONFIG)
    changes = [
        "model { faster_rcnn { first_stage_max_proposals: 6 } }",
        "model.faster_rcnn.num_classes = 9",
        "model { faster_rcnn { first_stage_nms_iou_threshold: .6 } }",
    ]
    config = exporter_main_v2.load_config(tmp_path / "pipeline.config", changes)

    model = config.model.faster_rcnn
    assert (model.first_stage_max_proposals, model.num_classes) == (6, 9)
    assert model.first_stage_nms_iou_threshold == pytest.approx(0.6)


def test_flags_become_options():
    values = flags.FlagValues()
    options.define_flags(values)
    values(["export", "--masks=rle", "--classes=cat,3", "--score_threshold=.4", "--noverify"])
    export_options = options.options_from_flags(values, input_type="tf_example", raw=True)
    assert export_options == ExportOptions(
        "tf_example", True, masks="rle", classes=("cat", "3"), score_threshold=0.4, verify=False
    )


@pytest.mark.slow
def test_a_whole_export(tmp_path):
    (tmp_path / "labels.pbtxt").write_text("item { id: 1 name: 'cat' }")
    (tmp_path / "pipeline.config").write_text(CONFIG)
    network = model_builder.build_network(pipeline_file.parse(CONFIG).model, is_training=False)
    variables.checkpoint_of(network).write(str(tmp_path / "run" / "ckpt-1"))
    (tmp_path / "run" / "checkpoint").write_text('model_checkpoint_path: "ckpt-1"\n')

    done = run(
        tmp_path,
        "--config_override=model { faster_rcnn { first_stage_max_proposals: 6 } }",
        "--config_override=model.faster_rcnn.num_classes=3",
        f"--config_override=train_input_reader {{ label_map_path: '{tmp_path}/labels.pbtxt' }}",
        *("--max_detections=5", "--classes=cat", "--masks=rle", "--optimize"),
    )

    assert done.returncode == 0, done.stderr
    assert f"Exported to {tmp_path / 'export'}" in done.stdout
    saved = pipeline_file.load(tmp_path / "export" / "pipeline.config")
    assert saved.model.faster_rcnn.first_stage_max_proposals == 6
    predictor = Predictor(tmp_path / "export")
    assert predictor.categories == {1: "cat"}
    prediction = predictor.predict(np.full([50, 60, 3], 90, np.uint8))
    assert len(prediction) <= 5 and set(prediction.names) <= {"cat"}
    assert (prediction.height, prediction.width) == (50, 60)
