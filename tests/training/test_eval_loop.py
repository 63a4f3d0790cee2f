"""One pass over the data with its files, and waiting for checkpoints."""

import functools
import json

import pytest
import tensorflow as tf
import tiny_run

from object_detection.builders import evaluator_builder
from object_detection.data.report import InputReport
from object_detection.errors import NoExamplesError, TrainingError
from object_detection.metrics.coco_evaluation import CocoEvaluation
from object_detection.protos import eval_pb2
from object_detection.training import eval_loop
from object_detection.training.eval_loop import EvalSettings, Evaluator, Waiting

NAMES = {1: "cat", 2: "dog"}


def evaluator(folder, batches=3, metrics=None, **settings):
    return Evaluator(
        tiny_run.parts().network,
        lambda: tiny_run.Input(tiny_run.dataset(count=batches), InputReport()),
        metrics or (lambda: CocoEvaluation(NAMES, boxes=True, masks=True)),
        EvalSettings(directory=folder, **settings),
    )


def test_numbers_are_returned_and_written(tmp_path):
    numbers = evaluator(tmp_path).evaluate(7)
    # The tiny network finds every object exactly, with a mask that fills the box as the truth does.
    assert numbers["DetectionBoxes_Precision/mAP"] == pytest.approx(1.0)
    assert numbers["DetectionMasks_Precision/mAP"] == pytest.approx(1.0)
    assert "Loss/RPNLoss/localization_loss" in numbers
    assert numbers["Loss/total_loss"] == pytest.approx(
        sum(v for k, v in numbers.items() if k.startswith("Loss/") and "total" not in k), rel=1e-5
    )
    stored = json.loads((tmp_path / "metrics-7.json").read_text())
    assert stored["step"] == 7
    assert stored["metrics"] == pytest.approx(numbers)


def test_losses_are_means_over_the_examples(tmp_path):
    made = tiny_run.parts()
    sizes = {0: 2, 5: 1}  # number of a batch: its images
    first, second = (tiny_run.dataset(number, 1, size) for number, size in sizes.items())
    numbers = Evaluator(
        made.network,
        lambda: tiny_run.Input(first.concatenate(second), InputReport()),
        lambda: CocoEvaluation(NAMES),
        EvalSettings(directory=tmp_path),
    ).evaluate(1)
    losses = []
    for number, size in sizes.items():
        batch = tiny_run.batch_number(number, size)
        seed = tf.constant([0, 0], tf.int64)
        losses.append(made.network.evaluate_batch(batch.images, batch.truth, seed)[1])
    mean = (2 * losses[0].rpn_objectness + 1 * losses[1].rpn_objectness) / 3
    assert numbers["Loss/RPNLoss/objectness_loss"] == pytest.approx(float(mean), rel=1e-5)


def test_pictures_go_to_files_and_to_tensorboard(tmp_path):
    evaluator(tmp_path, num_visualizations=3).evaluate(7)
    names = sorted(path.name for path in (tmp_path / "images-7").iterdir())
    assert names == ["0_image0_0.png", "1_image0_1.png", "2_image1_0.png"]
    picture = tf.io.decode_png((tmp_path / "images-7" / names[0]).read_bytes())
    assert picture.shape[1] > 2 * 16  # two images of 16 side by side, and a gap
    tags = set()
    for path in tmp_path.glob("events.*"):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            tags |= {value.tag for value in event.summary.value}
    assert {f"eval_side_by_side_{k}_0" for k in range(3)} <= tags
    assert "DetectionMasks_Precision/mAP@.50IOU" in tags and "Loss/total_loss" in tags


def test_detections_alone_go_to_the_export_folder(tmp_path):
    folder = tmp_path / "exported"
    options = {"num_visualizations": 2, "visualization_export_dir": str(folder)}
    evaluator(tmp_path / "a", **options).evaluate(7)
    evaluator(tmp_path / "b", keep_image_id_for_visualization_export=True, **options).evaluate(8)
    names = sorted(path.name for path in folder.iterdir())
    plain = ["export-image-0.png", "export-image-1.png"]
    assert names == [
        "export-image-0-image0_0.png",
        plain[0],
        "export-image-1-image0_1.png",
        plain[1],
    ]
    picture = tf.io.decode_png((folder / plain[0]).read_bytes())
    assert picture.shape == (12 * 42, 16 * 42, 3)


def test_an_export_folder_that_can_not_be_made_ends_nothing(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    watcher = evaluator(tmp_path, visualization_export_dir=str(tmp_path / "file" / "pictures"))
    assert watcher.evaluate(7) is not None
    assert "visualization_export_dir: " in caplog.text


def test_curves_and_the_config_go_to_tensorboard(tmp_path):
    watcher = evaluator(tmp_path, curves_per_category=True, config_text="model {\n}\n")
    for step in (7, 8):
        watcher.evaluate(step)
    found = {}
    for path in sorted(tmp_path.glob("events.*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, value))
    ((step, config),) = found["pipeline.config"]
    assert step == 7 and b"    model {" in tf.make_ndarray(config.tensor).item()
    curves = [tag for tag in found if tag.startswith("precision_recall/")]
    assert sorted(curves) == [
        f"precision_recall/Detection{kind}@.50IOU{name}"
        for kind in ("Boxes", "Masks")
        for name in ("", "/cat", "/dog")
    ]
    (_, (step, value)) = found["precision_recall/DetectionMasks@.50IOU/dog"]
    right, wrong, _, missed, precision, recall = tf.make_ndarray(value.tensor)
    # Three batches of two images with a dog each, all found with a score just below 0.9.
    assert step == 8 and right.tolist() == [6] * 90 + [0] * 11
    assert not wrong.any() and missed.tolist() == [0] * 90 + [6] * 11
    assert precision.tolist() == recall.tolist() == [1] * 90 + [0] * 11


def test_no_pictures_where_none_are_asked_for(tmp_path):
    evaluator(tmp_path, num_visualizations=0).evaluate(7)
    assert not list((tmp_path / "images-7").iterdir())


def test_at_most_so_many_examples(tmp_path, caplog):
    with caplog.at_level("INFO", logger="absl"):
        evaluator(tmp_path, batches=3, max_examples=3).evaluate(7)
    assert "3 images in" in caplog.text


def test_the_weights_may_change_between_two_passes(tmp_path):
    made = tiny_run.parts()
    watcher = Evaluator(
        made.network,
        lambda: tiny_run.Input(tiny_run.dataset(count=2), InputReport()),
        lambda: CocoEvaluation(NAMES),
        EvalSettings(directory=tmp_path),
    )
    first = watcher.evaluate(1)["Loss/total_loss"]
    again = watcher.evaluate(1)["Loss/total_loss"]
    made.network.parts[0].kernel.assign(made.network.parts[0].kernel * 2.0)
    assert first == again != watcher.evaluate(2)["Loss/total_loss"]


def test_an_empty_data_set_is_an_error(tmp_path):
    with pytest.raises(NoExamplesError, match="record files"):
        evaluator(tmp_path, batches=0).evaluate(7)
    assert not list(tmp_path.glob("metrics-*"))


def test_a_pass_can_be_abandoned(tmp_path):
    asked = iter([False, False, True, True, True])
    assert evaluator(tmp_path).evaluate(7, lambda: next(asked)) is None
    assert not list(tmp_path.glob("metrics-*"))


def test_the_pipelines_own_fault_is_reported(tmp_path):
    report = InputReport()
    report.fault = "a.record: not a TFRecord file"

    def explode(number):
        raise ValueError("inside")

    broken = tf.data.Dataset.range(1).map(lambda n: tf.py_function(explode, [n], tf.int64))
    watcher = Evaluator(
        tiny_run.parts().network,
        lambda: tiny_run.Input(broken.map(lambda n: n), report),
        lambda: CocoEvaluation(NAMES),
        EvalSettings(directory=tmp_path),
    )
    watcher._step = tf.function(lambda iterator: next(iterator))
    with pytest.raises(TrainingError, match="not a TFRecord"):
        watcher.evaluate(1)


def test_what_is_not_finite_is_null_in_the_file(tmp_path):
    eval_loop.write_metrics(tmp_path / "metrics-1.json", 1, {"a": float("nan"), "b": 0.5})
    assert json.loads((tmp_path / "metrics-1.json").read_text())["metrics"] == {"a": None, "b": 0.5}


class Clock:
    """Time that passes only where somebody sleeps."""

    def __init__(self, monkeypatch):
        self.now = 1000.0
        monkeypatch.setattr(eval_loop.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(eval_loop.time, "sleep", self.sleep)

    def sleep(self, seconds):
        self.now += seconds


def watch(arrivals, clock, **waiting):
    """Evaluates checkpoints named by the step they are of; gives steps, when, and the exit code.

    Args:
        arrivals: {seconds after the start: step}.
    """
    start, done = clock.now, []

    def newest():
        steps = [step for when, step in arrivals.items() if clock.now - start >= when]
        return steps[-1] if steps else None

    def evaluate(step):
        done.append((step, round(clock.now - start)))
        return step

    code = eval_loop.evaluate_checkpoints("run", newest, evaluate, Waiting(**waiting))
    return done, code


def test_every_newest_checkpoint_is_evaluated_once(monkeypatch):
    clock = Clock(monkeypatch)
    done, code = watch({0: 0, 40: 1000, 100: 2000}, clock, interval=10, last_step=2000)
    assert done == [(0, 0), (1000, 40), (2000, 100)]
    assert code == 0


def test_evaluations_keep_their_distance_and_skip_what_is_overtaken(monkeypatch):
    done, _ = watch({0: 0, 20: 1, 50: 2}, Clock(monkeypatch), interval=60, last_step=2)
    assert done == [(0, 0), (2, 60)]


def test_a_first_checkpoint_is_waited_for(monkeypatch, caplog):
    with caplog.at_level("INFO", logger="absl"):
        done, _ = watch({30: 5}, Clock(monkeypatch), last_step=5)
    assert done == [(5, 30)]
    assert (
        caplog.text.count("Waiting for a checkpoint in run (at most 3600 s: --eval_timeout)") == 1
    )


def test_the_timeout_ends_the_wait(monkeypatch, caplog):
    with caplog.at_level("INFO", logger="absl"):
        done, code = watch({0: 5}, Clock(monkeypatch), timeout=100)
    assert done == [(5, 0)] and code == 0
    assert "--eval_timeout" in caplog.text


def test_nothing_at_all_until_the_timeout_is_a_failure(monkeypatch):
    assert watch({}, Clock(monkeypatch), timeout=100) == ([], 1)


def test_run_once_does_not_wait(monkeypatch):
    assert watch({0: 5, 10: 6}, Clock(monkeypatch), run_once=True) == ([(5, 0)], 0)
    assert watch({10: 6}, Clock(monkeypatch), run_once=True) == ([], 1)


def test_max_evals(monkeypatch):
    done, _ = watch({0: 1, 10: 2, 20: 3}, Clock(monkeypatch), interval=1, max_evals=2)
    assert [step for step, _ in done] == [1, 2]


def test_every_metric_at_once_in_one_pass(tmp_path):
    """Of data that says nothing of groups, frequencies or whole images."""
    config = eval_pb2.EvalConfig(metrics_set=evaluator_builder.SUPPORTED)
    build = functools.partial(evaluator_builder.build, config, NAMES)

    numbers = evaluator(tmp_path, metrics=build).evaluate(3)

    perfect = {name: value for name, value in numbers.items() if "mAP@0.5IOU" in name}
    assert len(perfect) == 8 and set(perfect.values()) == {1.0}
    assert numbers["DetectionMasks_AP50"] == pytest.approx(1.0)
    assert numbers["DetectionMasks_APr"] == -1
    stored = json.loads((tmp_path / "metrics-3.json").read_text())["metrics"]
    assert stored.keys() == numbers.keys()
