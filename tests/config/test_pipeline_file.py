"""Configs come from files, with overrides laid over them, and go back whole."""

import logging

import pytest

from object_detection.config import pipeline_file
from object_detection.config.errors import ConfigError
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


def test_an_error_in_the_override_text_is_told_as_such(path):
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


def test_a_missing_or_empty_file_is_told(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        pipeline_file.load(tmp_path / "nowhere.config")
    (tmp_path / "empty.config").write_text("\n")
    with pytest.raises(ConfigError, match=r"is empty. samples/configs/ has configs"):
        pipeline_file.load(tmp_path / "empty.config")


def test_a_value_given_twice_is_told(tmp_path, caplog):
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
