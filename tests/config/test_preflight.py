"""One look finds everything that is wrong for a command, and nothing that it does not read."""

import pytest
from findings_of import PREDICTOR, SUPPORTED, config_with, only_fault, sentences

from object_detection.config import preflight

BOTH = ("train_input_reader", "eval_input_reader")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with a label map, and records of one object, for `config_with`."""
    from made_records import record, write

    monkeypatch.chdir(tmp_path)
    (tmp_path / "map.pbtxt").write_text(
        "\n".join(f"item {{ id: {number} name: '{name}' }}" for number, name in enumerate("abc", 1))
    )
    for name in ("train.record", "val.record"):
        write(tmp_path / name, [record([(0.0, 0.0, 0.5, 0.5)], masks=True)])
    return tmp_path


def check(*changes, purpose="train", reads=None):
    config = config_with(*changes)
    return preflight.check(config, purpose=purpose, supported_extractors=SUPPORTED, reads=reads)


@pytest.mark.parametrize("purpose", ["train", "eval", "export"])
def test_a_sound_config_passes_every_command(folder, purpose):
    assert sentences(check(purpose=purpose)) == ([], [])


def test_all_faults_come_at_once(folder):
    (folder / "map.pbtxt").write_text("item { id: 1 name: 'a' } item { id: 1 name: 'b' }")
    found = check(
        "model.faster_rcnn.maxpool_stride=0",
        "model.faster_rcnn.context_config={}",
        "train_config.batch_size=0",
        "train_config.fine_tune_checkpoint=PATH_TO_BE_CONFIGURED/ckpt",
        "train_input_reader.tf_record_input_reader.input_path=nothing-*",
    )

    assert {fault.where for fault in found.faults} == {
        "model.faster_rcnn.maxpool_stride",
        "model.faster_rcnn.context_config",
        "train_config.batch_size",
        "train_config.fine_tune_checkpoint",
        "train_input_reader.tf_record_input_reader.input_path",
        "map.pbtxt:1",
    }


def test_a_command_is_not_held_up_by_what_it_does_not_read(folder):
    (folder / "train.record").unlink()

    assert check(purpose="train").faults
    assert not check(purpose="eval").faults
    assert not check("train_config.batch_size=0", purpose="eval").faults
    (folder / "map.pbtxt").unlink()
    assert not check("-eval_config", "eval_config.metrics_set=x", purpose="export").faults


def test_training_that_evaluates_reads_both(folder):
    (folder / "val.record").unlink()

    assert not check().faults
    assert "eval_input_reader" in only_fault(check(reads=BOTH))


def test_a_fault_of_an_evaluation_that_is_not_run_is_a_warning(folder):
    found = check("eval_config.metrics_set=x")

    assert not found.faults
    assert "(an evaluation would stop here)" in str(found.warnings[0])
    assert check("eval_config.metrics_set=x", reads=BOTH).faults


def test_another_kind_of_model_is_one_sentence_whatever_else_is_wrong(folder):
    found = check("model={ssd {}}", "train_config.batch_size=0", "train_config.optimizer={}")

    assert "model.ssd is an SSD" in only_fault(found)


def test_a_label_map_that_both_readers_name_is_reported_once(folder):
    (folder / "map.pbtxt").write_text("item { id: 0 name: 'a' }")

    assert "map.pbtxt:1" in only_fault(check(reads=BOTH))


def test_label_maps_that_differ_are_a_warning(folder):
    other = (folder / "map.pbtxt").read_text().replace("'c'", "'d'")
    (folder / "other.pbtxt").write_text(other)

    found = check("eval_input_reader.label_map_path=other.pbtxt", reads=BOTH)

    assert not found.faults
    assert 'other.pbtxt differs from map.pbtxt, for example in "c"' in str(found.warnings[0])


def test_one_contradiction_is_one_fault(folder):
    assert len(check(f"{PREDICTOR}.predict_instance_masks=false").faults) == 1
    assert len(check("model.faster_rcnn.number_of_stages=2", reads=BOTH).faults) == 1


def test_an_unknown_command_is_refused():
    with pytest.raises(ValueError, match="purpose is 'window'; allowed: train, eval, export"):
        check(purpose="window")


def test_a_training_that_resumes_starts_from_no_random_weights(tmp_path):
    """Neither in a folder of ours nor in one of TFOD's, of 1.x or 2.x."""
    config = config_with("model.faster_rcnn.feature_extractor.batch_norm_trainable=false")
    options = {"purpose": "train", "supported_extractors": SUPPORTED, "reads": ()}

    def reported(folder):
        found = preflight.check_config(config, **options, model_dir=str(folder))
        return any("starts from random weights" in str(warning) for warning in found.warnings)

    assert reported(tmp_path / "new") and reported(tmp_path)
    for name in ("ckpt-7.index", "model.ckpt-200.index"):
        folder = tmp_path / name.split(".")[0]
        folder.mkdir()
        (folder / "checkpoint").touch()
        assert reported(folder)
        (folder / name).touch()
        assert not reported(folder)
