"""Messages come from text in any usual encoding, and from binary files."""

import pytest

from object_detection.protos import pipeline_pb2, string_int_label_map_pb2
from object_detection.utils import proto_file, text_proto

LABEL_MAP = string_int_label_map_pb2.StringIntLabelMap


def read(tmp_path, content, message_type=LABEL_MAP):
    path = tmp_path / "file"
    path.write_bytes(content)
    return proto_file.read(path, message_type)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
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
