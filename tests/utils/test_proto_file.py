"""Messages come from text in any usual encoding, and from binary files."""

import logging

import pytest

from object_detection.protos import pipeline_pb2, string_int_label_map_pb2
from object_detection.utils import proto_file, text_proto

LABEL_MAP = string_int_label_map_pb2.StringIntLabelMap


def read(tmp_path, content, message_type=LABEL_MAP):
    path = tmp_path / "file"
    path.write_bytes(content)
    return proto_file.read(path, message_type)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"]
)
def test_text_is_read_in_any_usual_encoding(tmp_path, encoding):
    text = "item { id: 1 name: 'Bär' }"

    message, same = read(tmp_path, text.encode(encoding))

    assert message.item[0].name == "Bär"
    assert same == text


@pytest.mark.parametrize("name", ["cat", "Bär", "x" * 300])
def test_a_binary_message_is_read(tmp_path, name):
    label_map = LABEL_MAP()
    label_map.item.add(id=1, name=name)

    message, text = read(tmp_path, label_map.SerializeToString())

    assert message == label_map
    assert text is None or name == "cat"  # so short a message is all printable but for its tags


def test_other_binary_files_are_refused(tmp_path):
    with pytest.raises(text_proto.TextProtoError, match="neither text nor a binary"):
        read(tmp_path, b"\x89PNG\r\n\x1a\n\x00\x00\x00", pipeline_pb2.TrainEvalPipelineConfig)


def test_a_faulty_text_is_not_taken_for_binary(tmp_path):
    with pytest.raises(text_proto.TextProtoError, match='no field "idd"; did you mean "id"'):
        read(tmp_path, b"item { idd: 1 }")


def test_a_text_read_by_a_guess_is_reported_with_what_was_read(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        message, _ = read(
            tmp_path, "item {\n id: 1\n name: 'B\u00e4r \u2013 gro\u00df' }".encode("cp1252")
        )
        assert message.item[0].name == "B\u00e4r \u2013 gro\u00df"
        assert (
            "is not in UTF-8. It was read as Windows-1252, so that line 3 is: name: 'B"
            in caplog.text
        )
        caplog.clear()
        read(tmp_path, "# B\u00e4r\nitem { id: 1 name: 'a' }".encode("cp1252"))
        read(tmp_path, "item { id: 1 name: 'B\u00e4r' }".encode())
        assert not caplog.text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        # two characters of UTF-8, the second one cut
        (
            b"item {\n id: 1 name: 'B\xc3\xa4r \xc3' }",
            r"file:2:19: this text is neither whole UTF-8",
        ),
        (b"item {\n id: 1 name: '\x81' }", r"file:2:\d+: this text is neither whole UTF-8"),
        ("item { id: 1 name: 'Bär' }".encode("utf-16")[:-1], "neither whole UTF-16"),
        (
            ("item {\n id: 1 }" + " " * 40).encode("utf-16-le") + b"\x00\xd8",
            "neither whole UTF-16 nor .* Open it in an editor and save it as UTF-8",
        ),
        (b"item {\n id: 1 name: '\x00' }" + b" " * 300, r"file:2:15: the control character \\x00"),
    ],
)
def test_bytes_that_mean_no_text_are_named_with_their_place(tmp_path, content, said):
    with pytest.raises(text_proto.TextProtoError, match=said):
        read(tmp_path, content)


@pytest.mark.parametrize("name", ["a\0b", "a" * 5000, "\ud800"])
def test_a_name_that_no_file_can_have_is_an_error_of_the_file(tmp_path, name):
    with pytest.raises(OSError):
        proto_file.read(tmp_path / name, LABEL_MAP)
