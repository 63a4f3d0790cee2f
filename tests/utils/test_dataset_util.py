"""TFOD's helpers for scripts that write records."""

import contextlib
from xml.etree import ElementTree

import tensorflow as tf

from object_detection.dataset_tools import tf_record_creation_util
from object_detection.utils import dataset_util


def test_features_hold_their_values():
    assert dataset_util.int64_feature(3).int64_list.value[:] == [3]
    assert dataset_util.int64_list_feature([3, 4]).int64_list.value[:] == [3, 4]
    assert dataset_util.bytes_feature(b"x").bytes_list.value[:] == [b"x"]
    assert dataset_util.bytes_list_feature([b"x", b"y"]).bytes_list.value[:] == [b"x", b"y"]
    assert dataset_util.float_feature(0.5).float_list.value[:] == [0.5]
    assert dataset_util.float_list_feature([0.5, 1.0]).float_list.value[:] == [0.5, 1.0]


def test_the_first_word_of_each_line_is_an_example(tmp_path):
    (tmp_path / "list.txt").write_text("2008_000008 1\n2008_000015 -1\n\n")

    assert dataset_util.read_examples_list(str(tmp_path / "list.txt")) == [
        "2008_000008",
        "2008_000015",
    ]


def test_xml_becomes_dicts_and_objects_a_list():
    xml = ElementTree.fromstring(
        "<annotation><folder>VOC</folder><size><width>5</width></size>"
        "<object><name>cat</name></object><object><name>dog</name></object></annotation>"
    )

    assert dataset_util.recursive_parse_xml_to_dict(xml) == {
        "annotation": {
            "folder": "VOC",
            "size": {"width": "5"},
            "object": [{"name": "cat"}, {"name": "dog"}],
        }
    }


def test_shards_are_opened_under_tfods_names_and_closed_by_the_stack(tmp_path):
    with contextlib.ExitStack() as stack:
        writers = tf_record_creation_util.open_sharded_output_tfrecords(
            stack, str(tmp_path / "x.record"), 2
        )
        writers[1].write(b"only")

    shards = sorted(tmp_path.iterdir())
    assert [path.name for path in shards] == ["x.record-00000-of-00002", "x.record-00001-of-00002"]
    assert list(tf.data.TFRecordDataset(str(shards[1])).as_numpy_iterator()) == [b"only"]
