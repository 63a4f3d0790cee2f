import logging
import os

import pytest
from made_records import record, write
from test_pipeline import BOX, READ, build, ids

from object_detection.data.files import LocalCopies


@pytest.fixture
def original(tmp_path):
    return write(tmp_path / "a.record", [record([BOX], seed=seed) for seed in range(3)])


def test_files_are_read_from_their_copies(tmp_path, original, monkeypatch):
    read = READ._replace(cache_folder=str(tmp_path / "cache"))
    assert ids(build([original], read=read)) == ["id-0", "id-1", "id-2"]
    (copy,) = (tmp_path / "cache").iterdir()
    assert copy.read_bytes() == (tmp_path / "a.record").read_bytes()

    monkeypatch.setattr("tensorflow.io.gfile.copy", None)  # nothing is copied again
    assert ids(build([original], read=read)) == ["id-0", "id-1", "id-2"]


def test_a_file_written_again_is_copied_again(tmp_path, original):
    copies = LocalCopies(tmp_path / "cache")
    first = copies.path_of(original)
    os.utime(original, (1, 1))
    second = copies.path_of(original)
    assert first != second
    assert [str(path) for path in (tmp_path / "cache").iterdir()] == [second]


def test_where_nothing_can_be_written_originals_are_read(tmp_path, original, caplog):
    (tmp_path / "cache").write_text("a file where a folder should be")
    copies = LocalCopies(tmp_path / "cache")
    with caplog.at_level(logging.WARNING):
        assert [copies.path_of(original) for _ in range(2)] == [original] * 2
    (said,) = caplog.messages
    assert "cannot be copied" in said
