"""Configs come from files, with overrides laid over them, and go back whole."""

import logging
import os
import shutil

import pytest

from object_detection.checkpoints import location
from object_detection.config import pipeline_file
from object_detection.errors import ConfigError
from object_detection.export import exporter
from object_detection.protos import pipeline_pb2

TEXT = """
model { faster_rcnn { num_classes: 3 } }
train_config { batch_size: 2 }
eval_input_reader { label_map_path: "a.pbtxt" }
"""


@pytest.fixture
def path(tmp_path):
    (tmp_path / "pipeline.config").write_text(TEXT)
    return tmp_path / "pipeline.config"


def test_a_text_config_is_read(path):
    config = pipeline_file.load(path)

    assert config.model.faster_rcnn.num_classes == 3
    assert config.train_config.batch_size == 2


def test_a_folder_stands_for_the_config_in_it(path):
    assert pipeline_file.load(path.parent) == pipeline_file.load(path)


def test_a_binary_config_is_read(path, tmp_path):
    config = pipeline_file.load(path)
    (tmp_path / "binary").write_bytes(config.SerializeToString())

    assert pipeline_file.load(tmp_path / "binary") == config


def test_override_text_is_merged(path):
    override = 'train_config { num_steps: 9 } eval_input_reader { label_map_path: "b" }'

    config = pipeline_file.load(path, override_text=override)

    assert (config.train_config.batch_size, config.train_config.num_steps) == (2, 9)
    assert [reader.label_map_path for reader in config.eval_input_reader] == ["a.pbtxt", "b"]


def test_dotted_overrides_come_last(path):
    config = pipeline_file.load(
        path,
        override_text="train_config { batch_size: 8 }",
        overrides=("train_config.batch_size=16", "model.faster_rcnn.num_classes=5"),
    )

    assert config.train_config.batch_size == 16
    assert config.model.faster_rcnn.num_classes == 5


def test_an_error_names_file_line_and_column(tmp_path):
    (tmp_path / "my.config").write_text("model {\n  fastr_rcnn { }\n}\n")

    with pytest.raises(ConfigError, match=r'my.config:2:3: .* did you mean "faster_rcnn"\?'):
        pipeline_file.load(tmp_path / "my.config")


def test_an_error_in_the_override_text_is_reported_as_such(path):
    with pytest.raises(ConfigError, match="config override:1:1: .*train_config"):
        pipeline_file.load(path, override_text="trainconfig { }")


@pytest.mark.parametrize("cut", range(5, len(TEXT), 7))
def test_a_truncated_config_is_an_error_or_says_less(tmp_path, cut):
    (tmp_path / "cut.config").write_text(TEXT[:cut])
    try:
        config = pipeline_file.load(tmp_path / "cut.config")
    except ConfigError as error:
        assert str(tmp_path / "cut.config") in str(error)
    else:
        assert config != pipeline_file.parse(TEXT)


def test_a_missing_or_empty_file_is_reported(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        pipeline_file.load(tmp_path / "nowhere.config")
    (tmp_path / "empty.config").write_text("\n")
    with pytest.raises(ConfigError, match=r"is empty. samples/configs/ has configs"):
        pipeline_file.load(tmp_path / "empty.config")


def test_a_value_given_twice_is_reported(tmp_path, caplog):
    (tmp_path / "my.config").write_text("train_config {\n batch_size: 1\n batch_size: 2\n}")

    with caplog.at_level(logging.WARNING):
        config = pipeline_file.load(tmp_path / "my.config")

    assert config.train_config.batch_size == 2
    assert "line 3: batch_size is set more than once; the last one counts" in caplog.text


def test_what_is_saved_is_read_again(path, tmp_path):
    config = pipeline_file.load(path)
    config.train_input_reader.label_map_path = 'B\u00e4r "quoted".pbtxt'

    written = pipeline_file.save(config, tmp_path / "new" / "folder")

    assert written == tmp_path / "new" / "folder" / "pipeline.config"
    assert pipeline_file.load(written) == config
    assert [item.name for item in written.parent.iterdir()] == ["pipeline.config"]


def test_a_save_that_fails_leaves_the_old_file(path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pipeline_file.os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        pipeline_file.save(pipeline_pb2.TrainEvalPipelineConfig(), path.parent)

    assert path.read_text() == TEXT
    assert [item.name for item in path.parent.iterdir()] == ["pipeline.config"]


OWN = "# my notes\ntrain_config { batch_size: 2 }  # fits the card\n"


def config_of(batch_size):
    config = pipeline_pb2.TrainEvalPipelineConfig()
    config.train_config.batch_size = batch_size
    return config


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_config_of_the_user_is_never_touched(tmp_path):
    own = tmp_path / "pipeline.config"
    own.write_text(OWN)
    for batch_size in (3, 4):  # the second replaces the file of the first
        written = pipeline_file.save(config_of(batch_size), tmp_path)
        assert written == tmp_path / "pipeline.resolved.config"
        assert own.read_text() == OWN
        assert pipeline_file.load(tmp_path) == config_of(batch_size)  # it is read first
        assert location.config_in_folder(tmp_path) == written
    assert names(tmp_path) == ["pipeline.config", "pipeline.resolved.config"]
    own.unlink()
    assert pipeline_file.save(config_of(5), tmp_path) == own
    assert names(tmp_path) == ["pipeline.config"]  # what is outdated is gone
    assert pipeline_file.load(tmp_path) == config_of(5)


def test_our_own_config_is_replaced_until_somebody_edits_it(tmp_path):
    own = pipeline_file.save(config_of(1), tmp_path)
    assert pipeline_file.is_ours(own)
    assert pipeline_file.save(config_of(2), tmp_path) == own
    assert pipeline_file.load(own) == config_of(2)
    edited = own.read_text().replace("2", "8")
    own.write_text(edited)
    assert not pipeline_file.is_ours(own)
    resolved = pipeline_file.save(config_of(3), tmp_path)
    assert own.read_text() == edited and resolved.name == "pipeline.resolved.config"
    resolved.write_text(resolved.read_text() + "# and this\n")
    with pytest.raises(ConfigError, match="pipeline.resolved.config was edited, and is not overw"):
        pipeline_file.save(config_of(4), tmp_path)
    assert pipeline_file.save(config_of(4), tmp_path, replace=True) == own


def test_a_newer_config_of_the_user_is_mentioned(tmp_path, caplog):
    own = tmp_path / "pipeline.config"
    own.write_text(OWN)
    pipeline_file.save(config_of(3), tmp_path)
    assert pipeline_file.load(tmp_path) == config_of(3) and "is newer than" not in caplog.text
    later = own.stat().st_mtime + 60
    os.utime(own, (later, later))
    assert pipeline_file.load(tmp_path) == config_of(3) and "is newer than" in caplog.text


def test_an_export_leaves_a_config_of_the_user(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "pipeline.config").write_text(OWN)
    for batch_size in (1, 2):
        partial = tmp_path / "partial"
        (partial / "saved_model").mkdir(parents=True)
        pipeline_file.save(config_of(batch_size), partial)
        exporter.move_into_place(partial, tmp_path / "out")
        shutil.rmtree(partial)
    kept = ["pipeline.config", "pipeline.resolved.config", "saved_model"]
    assert names(tmp_path / "out") == kept
    assert (tmp_path / "out" / "pipeline.config").read_text() == OWN
    assert pipeline_file.load(tmp_path / "out") == config_of(2)
