"""Placeholders, escapes and paths that match nothing are reported with their field."""

import pytest
from findings_of import config_with, only_fault, sentences

from object_detection.config import paths

BOTH = ("train_input_reader", "eval_input_reader")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("map.pbtxt", "train.record", "val.record"):
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def test_paths_that_lead_somewhere_pass(folder):
    assert sentences(paths.check_readers(config_with(), BOTH)) == ([], [])


def test_only_the_readers_asked_for_are_looked_at(folder):
    (folder / "val.record").unlink()

    assert not paths.check_readers(config_with(), BOTH[:1]).faults
    assert paths.check_readers(config_with(), BOTH).faults


def test_a_placeholder_is_reported(folder):
    config = config_with("train_input_reader.label_map_path=PATH_TO_BE_CONFIGURED/map.pbtxt")

    assert only_fault(paths.check_readers(config, BOTH)) == (
        'train_input_reader.label_map_path is still "PATH_TO_BE_CONFIGURED/map.pbtxt". Put your '
        "own path in place of PATH_TO_BE_CONFIGURED, in the file or with --config_override."
    )


def test_a_glob_that_matches_nothing_is_reported_with_what_there_is(folder):
    config = config_with(
        "train_input_reader.tf_record_input_reader.input_path=trian-?????-of-00002"
    )

    said = only_fault(paths.check_readers(config, BOTH))

    assert said.startswith(
        "train_input_reader.tf_record_input_reader.input_path is "
        '"trian-?????-of-00002", which matches no file.'
    )


def test_a_path_in_a_folder_that_is_not_there_names_the_last_one_that_is(folder):
    config = config_with(f"train_input_reader.label_map_path={folder}/dta/map.pbtxt")

    said = only_fault(paths.check_readers(config, BOTH))

    assert f"There is no folder {folder}/dta" in said and "map.pbtxt, train.record" in said


def test_one_of_several_paths_is_reported_by_its_place(folder):
    value = "[train.record, none.record]"
    config = config_with(f"train_input_reader.tf_record_input_reader.input_path={value}")

    assert "input_path[1] is" in only_fault(paths.check_readers(config, BOTH))


def test_a_backslash_that_became_an_escape_is_reported(folder):
    config = config_with(r'train_input_reader.label_map_path="C:\data\train\map.pbtxt"')

    said = only_fault(paths.check_readers(config, BOTH))

    assert "a backslash starts an escape in a config, so \\t became one character" in said


def test_a_checkpoint_is_judged_by_its_text_alone():
    unset, named = config_with(), config_with("train_config.fine_tune_checkpoint=a/ckpt-1")
    still = config_with("train_config.fine_tune_checkpoint=PATH_TO_BE_CONFIGURED/x")

    assert not paths.check_checkpoint(unset.train_config).faults
    assert not paths.check_checkpoint(named.train_config).faults
    assert "fine_tune_checkpoint is still" in only_fault(paths.check_checkpoint(still.train_config))
