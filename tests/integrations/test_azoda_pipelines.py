"""From azoda's experiment to a config: where base models are found, what of them is changed."""

import subprocess
import sys
import tarfile
from pathlib import Path

import azoda_files
import pytest
from tiny_models import PYRAMID

from object_detection.config import pipeline_file
from object_detection.errors import ConfigError, SettingsError
from object_detection.integrations.azoda import pipelines, settings, tables

ROOT = Path(__file__).parents[2]

ZOO = "mask_rcnn_inception_resnet_v2_1024x1024_coco17_gpu-8"
READERS = "train_input_reader {} eval_input_reader { num_epochs: 1 }"
COSINE = """train_config { batch_size: 8 num_steps: 200000
  from_detection_checkpoint: true fine_tune_checkpoint: "PATH_TO_BE_CONFIGURED"
  optimizer { momentum_optimizer { learning_rate { cosine_decay_learning_rate {
    learning_rate_base: 0.008 total_steps: 200000 warmup_steps: 5000 } } } } }
eval_config { num_examples: 8000 metrics_set: "coco_detection_metrics" }
"""


@pytest.fixture
def experiment(tmp_path):
    def read(name="mask_rcnn_tiny", **first_stage):
        model = {"BASE_MODEL": name, "FIRST_STAGE": first_stage}
        path = azoda_files.write_json(
            tmp_path / "e.json", azoda_files.EXPERIMENT, MODEL_PARAMS=model
        )
        return settings.read_experiment(path)

    return read


@pytest.fixture
def records(tmp_path):
    label_map = tmp_path / "label_files" / "tf_label_map.pbtxt"
    label_map.parent.mkdir()
    label_map.write_text("item { id: 1 name: 'tile' } item { id: 2 name: 'disc' }")
    paths = {split: label_map.with_name(f"{split}.record") for split in tables.SPLITS}
    return tables.Records(label_map, paths, {})


def put(folder, text, checkpoint=True):
    """A base model's folder as azoda has it."""
    folder.mkdir(parents=True)
    (folder / "pipeline.config").write_text(text)
    if checkpoint:
        (folder / "checkpoint").mkdir()
        for end in ("index", "data-00000-of-00001"):
            (folder / "checkpoint" / f"ckpt-0.{end}").write_bytes(b"weights")
    return folder


def test_a_folder_of_the_store_is_config_and_weights(experiment, tmp_path):
    folder = put(tmp_path / "models" / "mask_rcnn_tiny", f"model {{ {PYRAMID} }}")

    base = pipelines.find_base_model(experiment(), tmp_path)

    assert base.weights == str(folder)
    assert pipelines.has_masks(base.config)


def test_an_archive_of_the_zoo(experiment, tmp_path):
    folder = put(tmp_path / "unpacked", f"model {{ {PYRAMID} }}")
    (tmp_path / "models").mkdir()
    path = tmp_path / "models" / "mask_rcnn_tiny.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, "mask_rcnn_tiny")

    base = pipelines.find_base_model(experiment(), tmp_path)

    assert base.weights == str(path)
    assert "pipeline.config" in base.origin


@pytest.mark.parametrize("name", [ZOO, "mask_rcnn_resnet50_atrous_coco_2018_01_28"])
def test_a_published_models_name_is_enough_for_its_config(experiment, tmp_path, name):
    base = pipelines.find_base_model(experiment(name), tmp_path)

    assert Path(base.origin).stem in name
    assert base.weights == ""


def test_weights_alone_take_the_samples_config(experiment, tmp_path):
    folder = put(tmp_path / "models" / ZOO, "")
    (folder / "pipeline.config").unlink()

    base = pipelines.find_base_model(experiment(ZOO), tmp_path)

    assert Path(base.origin).parent == pipelines.SAMPLES
    assert base.weights == str(folder)


def test_an_unknown_base_model_is_reported_with_those_there_are(experiment, tmp_path):
    (tmp_path / "models" / "mine").mkdir(parents=True)

    with pytest.raises(SettingsError) as caught:
        pipelines.find_base_model(experiment("yours"), tmp_path)

    text = str(caught.value)
    assert "e.json line 17: MODEL_PARAMS.BASE_MODEL is 'yours'" in text
    assert "mine" in text
    assert ZOO in text


def test_a_folder_without_a_config_is_reported(experiment, tmp_path):
    (tmp_path / "models" / "mask_rcnn_tiny").mkdir(parents=True)

    with pytest.raises(SettingsError, match=r"has no pipeline\.config"):
        pipelines.find_base_model(experiment(), tmp_path)


def test_models_of_another_kind_are_refused_by_name(experiment, tmp_path):
    put(tmp_path / "models" / "ssd", "model { ssd { num_classes: 3 } }")

    with pytest.raises(
        ConfigError, match=r"BASE_MODEL: .* of kind ssd; supported: Faster and Mask"
    ):
        pipelines.find_base_model(experiment("ssd"), tmp_path)


def prepared(experiment, records, text, *, weights="", masks=True):
    base = pipelines.BaseModel("base", pipeline_file.parse(text), weights)
    notes = pipelines.prepare(base, experiment, records, batch_size=1, masks=masks)
    return base.config, " ".join(notes)


def test_the_config_is_changed_as_azoda_changes_it(experiment, records):
    text = f"model {{ {PYRAMID} }} {COSINE} {READERS}"

    config, _ = prepared(experiment(), records, text, weights="weights")

    assert config.model.faster_rcnn.num_classes == 2
    train = config.train_config
    assert (train.num_steps, train.batch_size) == (1000, 1)
    assert (train.fine_tune_checkpoint, train.fine_tune_checkpoint_type) == ("weights", "detection")
    for split, reader in (
        ("train", config.train_input_reader),
        ("test", config.eval_input_reader[0]),
    ):
        assert reader.label_map_path == str(records.label_map)
        assert list(reader.tf_record_input_reader.input_path) == [str(records.paths[split])]
        assert (reader.load_instance_masks, reader.mask_type) == (True, 2)  # PNG_MASKS
    assert list(config.eval_config.metrics_set) == ["coco_detection_metrics", "coco_mask_metrics"]
    assert not config.eval_config.HasField("num_examples")


def test_a_config_without_weights_begins_at_random(experiment, records):
    text = f"model {{ {PYRAMID} }} {COSINE} {READERS}"

    config, _ = prepared(experiment(), records, text)

    assert not config.train_config.fine_tune_checkpoint


def test_the_cosine_decay_ends_with_the_steps(experiment, records):
    config, message = prepared(experiment(), records, f"model {{ {PYRAMID} }} {COSINE} {READERS}")

    curve = config.train_config.optimizer.momentum_optimizer.learning_rate
    assert curve.cosine_decay_learning_rate.total_steps == 1000
    assert curve.cosine_decay_learning_rate.warmup_steps == 25
    assert "1000 steps (STEPS), 25 of them warm-up" in message


def test_first_stage_reaches_the_model_and_is_reported(experiment, records):
    stage = azoda_files.EXPERIMENT["MODEL_PARAMS"]["FIRST_STAGE"]

    config, message = prepared(
        experiment(**stage | {"MAX_PROPOSALS": 70, "NMS_SCORE_THRESHOLD": 0.125}),
        records,
        f"model {{ {PYRAMID} }} {READERS}",
    )

    model = config.model.faster_rcnn
    assert model.first_stage_max_proposals == 70
    assert model.first_stage_nms_iou_threshold == 0.5
    assert model.first_stage_nms_score_threshold == 0.125
    assert model.first_stage_localization_loss_weight == 2
    assert model.first_stage_objectness_loss_weight == 1
    assert "first_stage_max_proposals is 70" in message
    assert "STRIDE has no effect: a feature pyramid" in message
    assert "objectness" not in message  # as it was


def test_stride_sets_features_and_anchors(experiment, records):
    sample = pipelines.SAMPLES / "mask_rcnn_inception_v2_coco.config"

    config, message = prepared(experiment(STRIDE=8), records, sample.read_text())

    model = config.model.faster_rcnn
    anchors = model.first_stage_anchor_generator.grid_anchor_generator
    assert model.feature_extractor.first_stage_features_stride == 8
    assert (anchors.height_stride, anchors.width_stride) == (8, 8)
    assert "first_stage_features_stride is 8" in message


def test_without_masks_the_readers_load_none(experiment, records):
    config, _ = prepared(experiment(), records, f"model {{ {PYRAMID} }} {READERS}", masks=False)

    assert not config.train_input_reader.load_instance_masks
    assert list(config.eval_config.metrics_set) == ["coco_detection_metrics"]


def test_what_is_installed_holds_the_samples(tmp_path):
    """A wheel is built from what `build_py` puts together."""
    command = [sys.executable, "setup.py", "-q", "build_py", "--build-lib", str(tmp_path)]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)

    package = tmp_path / "object_detection"
    checkout = ROOT / "samples" / "configs"
    names = sorted(path.name for path in checkout.iterdir())
    assert sorted(path.name for path in pipelines.samples_folder(package).iterdir()) == names
    assert pipelines.samples_folder(ROOT / "object_detection") == checkout
    for path in (ROOT / "object_detection").rglob("*.*"):  # data files of every package
        if path.suffix in (".config", ".json", ".md", ".html", ".css", ".js", ".c"):
            assert (tmp_path / path.relative_to(ROOT)).is_file(), path
