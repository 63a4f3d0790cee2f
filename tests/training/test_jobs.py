"""From a config to a run, on the tiny network in place of a detector."""

import json

import made_records
import numpy as np
import pytest
import tensorflow as tf
import tiny_run
from google.protobuf import text_format

from object_detection.checkpoints.manager import CheckpointDirectory
from object_detection.checkpoints.names import training_state
from object_detection.data import report
from object_detection.errors import CheckpointError, ConfigError, TrainingError
from object_detection.protos import pipeline_pb2
from object_detection.training import eval_loop, jobs

CONFIG = """
train_config {
  batch_size: 2
  num_steps: 4
  optimizer {
    momentum_optimizer { learning_rate { constant_learning_rate { learning_rate: 0.1 } } }
    use_moving_average: %s
    moving_average_decay: 0.5
  }
}
train_input_reader { tf_record_input_reader { input_path: 'train.record' } }
eval_config { num_visualizations: 1 metrics_set: 'coco_mask_metrics' use_moving_averages: %s }
eval_input_reader { name: '%s' tf_record_input_reader { input_path: 'val.record' } }
"""


def config_of(averages=False, name=""):
    flag = str(averages).lower()
    text = CONFIG % (flag, flag, name)
    return text_format.Parse(text, pipeline_pb2.TrainEvalPipelineConfig())


@pytest.fixture
def asked(monkeypatch):
    """Puts the tiny network and its data in the builders' place; notes what they are asked for."""
    calls = []

    def build_dataset(reader, **run):
        calls.append(run)
        pipeline = tiny_run.Input(
            tiny_run.dataset(run.get("skip_batches", 0), None if run["training"] else 2),
            report.InputReport(),
        )
        if run["training"]:
            pipeline.report.note(report.NO_IMAGE, "train.record: record 3")
        return pipeline

    def build_network(model, is_training, precision):
        assert precision == "float32"
        return tiny_run.TinyNetwork()

    monkeypatch.setattr(jobs.model_builder, "build_network", build_network)
    monkeypatch.setattr(jobs.dataset_builder, "build", build_dataset)
    return calls


def newest_state(folder):
    made = tiny_run.parts(average_decay=None)
    CheckpointDirectory(folder).restore_newest(made.state)
    return made


def test_a_run_leaves_checkpoints_config_events_and_metrics(tmp_path, asked):
    options = jobs.TrainOptions(str(tmp_path), checkpoint_every_n=2, eval_every_n_steps=2)
    assert jobs.train(config_of(), options) == 0
    names = sorted(path.name for path in tmp_path.iterdir())
    assert [name for name in names if name.endswith(".index")] == [
        "ckpt-1.index",
        "ckpt-2.index",
        "ckpt-3.index",
    ]
    assert {"checkpoint", "pipeline.config", "train", "eval"} <= set(names)
    saved = text_format.Parse(
        (tmp_path / "pipeline.config").read_text(), pipeline_pb2.TrainEvalPipelineConfig()
    )
    assert saved == config_of()
    metrics = json.loads((tmp_path / "eval" / "metrics-4.json").read_text())["metrics"]
    assert metrics["DetectionMasks_Precision/mAP"] == pytest.approx(1.0)
    assert (tmp_path / "eval" / "metrics-2.json").exists()


def test_resuming_goes_on_in_the_data_and_knows_its_bad_records(tmp_path, asked, caplog):
    caplog.set_level("INFO", logger="absl")
    config = config_of()
    jobs.train(config, jobs.TrainOptions(str(tmp_path), seed=3))
    config.train_config.num_steps = 6
    jobs.train(config, jobs.TrainOptions(str(tmp_path), seed=3))
    first, second = asked
    assert (first["skip_batches"], second["skip_batches"]) == (0, 4)
    assert (first["known_bad"], second["known_bad"]) == ([], ["train.record: record 3"])
    assert first["seed"] == second["seed"] == 3
    assert f"resuming from {tmp_path / 'ckpt-2'} at step 4" in caplog.text
    assert int(newest_state(tmp_path).state.step.numpy()) == 6


def test_the_seed_makes_the_weights(tmp_path, asked):
    config = config_of()
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        jobs.train(config, jobs.TrainOptions(str(tmp_path / name), seed=seed))
    a, b, c = (tiny_run.values(newest_state(tmp_path / name)) for name in "abc")
    np.testing.assert_array_equal(a["model/first.kernel"], b["model/first.kernel"])
    assert (a["model/first.kernel"] != c["model/first.kernel"]).any()


def test_another_models_folder_is_left_as_it_was(tmp_path, asked):
    CheckpointDirectory(tmp_path).save(tiny_run.parts(width=5).state)
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(CheckpointError, match="another model"):
        jobs.train(config_of(), jobs.TrainOptions(str(tmp_path)))
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_fine_tuning_from_the_model_dir_itself_is_refused(tmp_path, asked):
    config = config_of()
    config.train_config.fine_tune_checkpoint = str(tmp_path / "ckpt-1")
    with pytest.raises(TrainingError, match="lies in --model_dir itself"):
        jobs.train(config, jobs.TrainOptions(str(tmp_path)))


def test_fine_tuning_asks_the_reader_once_and_not_on_resume(tmp_path, asked, monkeypatch, caplog):
    caplog.set_level("INFO", logger="absl")
    calls = []

    class Restored:
        def summary(self):
            return "restored 3 variables"

    def restore(network, train_config):
        calls.append((train_config.fine_tune_checkpoint, train_config.fine_tune_checkpoint_type))
        return Restored()

    monkeypatch.setattr(jobs.restore, "restore_for_fine_tuning", restore)
    config = config_of()
    config.train_config.fine_tune_checkpoint = str(tmp_path / "elsewhere" / "ckpt-0")
    config.train_config.fine_tune_checkpoint_type = "detection"
    for _ in range(2):
        jobs.train(config, jobs.TrainOptions(str(tmp_path / "run")))
    ((path, kind),) = calls
    assert path.endswith("elsewhere/ckpt-0") and kind == "detection"
    assert "restored 3 variables" in caplog.text
    assert "fine_tune_checkpoint is not read" in caplog.text


def test_a_separate_evaluation_reads_checkpoints(tmp_path, asked):
    jobs.train(config_of(name="holdout"), jobs.TrainOptions(str(tmp_path)))
    options = jobs.EvalOptions(str(tmp_path), str(tmp_path), run_once=True)
    assert jobs.evaluate(config_of(name="holdout"), options) == 0
    stored = json.loads((tmp_path / "eval" / "holdout" / "metrics-4.json").read_text())
    assert stored["step"] == 4


def test_the_best_is_kept_and_a_run_that_gets_no_better_ends(tmp_path, asked, caplog):
    caplog.set_level("INFO", logger="absl")
    config = config_of(name="holdout")
    config.train_config.num_steps = 20
    options = jobs.TrainOptions(
        str(tmp_path),
        eval_every_n_steps=2,
        best_metric="holdout:DetectionMasks_Precision/mAP",
        early_stopping_patience=2,
    )
    for _ in range(2):  # the tiny network always finds all; started again, nothing more happens
        caplog.clear()
        assert jobs.train(config, options) == 0
        assert "has not become better in 2 evaluations" in caplog.text
        assert int(newest_state(tmp_path).state.step.numpy()) == 6
    assert int(newest_state(tmp_path / "best").state.step.numpy()) == 2
    assert (tmp_path / "best" / "pipeline.config").exists()


def test_a_separate_evaluation_keeps_the_best_too(tmp_path, asked):
    jobs.train(config_of(), jobs.TrainOptions(str(tmp_path)))
    options = jobs.EvalOptions(
        str(tmp_path), str(tmp_path), run_once=True, best_metric="DetectionMasks_Precision/mAP"
    )
    assert jobs.evaluate(config_of(), options) == 0
    assert int(newest_state(tmp_path / "best").state.step.numpy()) == 4


def test_averages_are_what_is_evaluated(tmp_path, asked):
    within = jobs.TrainOptions(str(tmp_path), eval_every_n_steps=4)
    jobs.train(config_of(averages=True), within)
    inside = json.loads((tmp_path / "eval" / "metrics-4.json").read_text())["metrics"]
    outside_dir = tmp_path / "outside"
    jobs.evaluate(
        config_of(averages=True), jobs.EvalOptions(str(outside_dir), str(tmp_path), run_once=True)
    )
    outside = json.loads((outside_dir / "eval" / "metrics-4.json").read_text())["metrics"]
    plain_dir = tmp_path / "plain"
    jobs.evaluate(config_of(), jobs.EvalOptions(str(plain_dir), str(tmp_path), run_once=True))
    plain = json.loads((plain_dir / "eval" / "metrics-4.json").read_text())["metrics"]
    assert inside["Loss/total_loss"] == pytest.approx(outside["Loss/total_loss"], rel=1e-6)
    assert inside["Loss/total_loss"] != pytest.approx(plain["Loss/total_loss"], rel=1e-3)


def test_an_unsupported_metric_is_refused_before_training(tmp_path, asked):
    config = config_of()
    config.eval_config.metrics_set[:] = ["coco_panoptic_metrics"]
    with pytest.raises(ConfigError, match="coco_panoptic_metrics"):
        jobs.train(config, jobs.TrainOptions(str(tmp_path), eval_every_n_steps=1))


def test_nothing_to_evaluate_on_is_said(tmp_path, asked):
    config = config_of()
    del config.eval_input_reader[:]
    with pytest.raises(TrainingError, match="no eval_input_reader"):
        jobs.evaluate(config, jobs.EvalOptions(str(tmp_path), str(tmp_path), run_once=True))


def test_evaluation_folders_of_several_readers(tmp_path, asked):
    config = config_of(name="one")
    for name in ("", "three"):
        config.eval_input_reader.add().name = name
    found = eval_loop.build_evaluators(
        config, tiny_run.TinyNetwork(), tmp_path, jobs.EvalOptions(str(tmp_path), "")
    )
    folders = [evaluator._settings.directory.relative_to(tmp_path) for evaluator in found]
    assert [str(folder) for folder in folders] == ["eval/one", "eval/1", "eval/three"]


def test_only_an_explicit_num_examples_limits(tmp_path, asked):
    options = jobs.EvalOptions(str(tmp_path), "")
    config = config_of()
    (plain,) = eval_loop.build_evaluators(config, tiny_run.TinyNetwork(), tmp_path, options)
    config.eval_config.num_examples = 3
    (limited,) = eval_loop.build_evaluators(config, tiny_run.TinyNetwork(), tmp_path, options)
    assert (plain._settings.max_examples, limited._settings.max_examples) == (0, 3)


def test_frozen_weights_stay(tmp_path, asked):
    config = config_of()
    config.train_config.freeze_variables.append("first")
    jobs.train(config, jobs.TrainOptions(str(tmp_path), seed=1))
    stored = [CheckpointDirectory(tmp_path).directory / f"ckpt-{n}" for n in (1, 2)]
    key = training_state.name_of("model/first.kernel")
    before, after = (tf.train.load_checkpoint(str(prefix)).get_tensor(key) for prefix in stored)
    np.testing.assert_array_equal(before, after)
    key = training_state.name_of("model/norm.gamma")
    before, after = (tf.train.load_checkpoint(str(prefix)).get_tensor(key) for prefix in stored)
    assert (before != after).any()


@pytest.mark.parametrize(
    ("change", "images_a_step", "step", "expected"),
    [
        ("num_steps: 150", 2, 0, "300 images (60 images x 5 epochs)"),
        ("num_steps: 150", 14, 0, None),  # 2,100 images
        ("num_steps: 150", 2, 10, None),  # a run that has begun
        ("num_steps: 150 fine_tune_checkpoint: 'a/ckpt-1'", 2, 0, None),
        ("num_steps: 0", 2, 0, None),  # without a limit
    ],
)
def test_a_short_run_from_random_weights_is_warned_of(
    monkeypatch, tmp_path, change, images_a_step, step, expected
):
    config = config_of()
    text_format.Merge(f"train_config {{ {change} }}", config)
    for name in ("a", "b"):
        made_records.write(tmp_path / f"{name}.record", [b"x"] * 30)
    config.train_input_reader.tf_record_input_reader.input_path[:] = [str(tmp_path / "*.record")]
    logged = []
    monkeypatch.setattr(jobs.logging, "warning", lambda text, *values: logged.append(text % values))

    jobs.warn_of_short_run(config, images_a_step, step)

    assert bool(logged) == bool(expected)
    if expected:
        assert expected in logged[0] and "needed about 4,000" in logged[0]
        assert "fine_tune_checkpoint" in logged[0] and "--num_train_steps" in logged[0]
