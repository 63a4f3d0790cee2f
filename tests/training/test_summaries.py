"""Event files may fail; the run goes on."""

import numpy as np
import pytest
import tensorflow as tf

from object_detection.training.summaries import Summaries


def test_nothing_is_written_without_a_folder(tmp_path):
    summaries = Summaries(None)
    summaries.scalars({"a": 1.0}, 1)
    summaries.close()
    assert not list(tmp_path.iterdir())


def test_a_folder_that_can_not_be_made_is_an_error_in_the_log_only(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    summaries = Summaries(tmp_path / "file" / "train")
    summaries.scalars({"a": 1.0}, 1)
    summaries.flush()
    summaries.close()
    assert caplog.text.count("summaries stop here") == 1


def test_pictures_are_stored_as_tensorboard_reads_them(tmp_path):
    summaries = Summaries(tmp_path)
    pictures = tf.reshape(tf.range(2 * 3 * 4 * 3, dtype=tf.int32), [2, 3, 4, 3])
    summaries.image("seen", tf.cast(pictures, tf.uint8), 5)
    summaries.close()
    (path,) = tmp_path.iterdir()
    events = [
        tf.compat.v1.Event.FromString(record.numpy())
        for record in tf.data.TFRecordDataset(str(path))
    ]
    (value,) = [value for event in events for value in event.summary.value]
    assert (value.tag, value.metadata.plugin_data.plugin_name) == ("seen", "images")
    width, height, *pngs = tf.make_ndarray(value.tensor).tolist()
    assert (width, height, len(pngs)) == (b"4", b"3", 2)
    assert (tf.io.decode_png(pngs[1]).numpy() == pictures[1].numpy()).all()


def values_in(folder):
    """{tag: value} of the one event file of a folder."""
    (path,) = folder.iterdir()
    events = tf.compat.v1.train.summary_iterator(str(path))
    return {value.tag: value for event in events for value in event.summary.value}


def test_code_is_indented_so_that_nothing_in_it_is_markdown(tmp_path):
    summaries = Summaries(tmp_path)
    summaries.code("config", "model {\n  name: '```*a*'\n}\n", 3)
    summaries.close()
    value = values_in(tmp_path)["config"]
    assert value.metadata.plugin_data.plugin_name == "text"
    text = tf.make_ndarray(value.tensor).item().decode()
    assert text == "    model {\n      name: '```*a*'\n    }\n"


def test_histograms_are_rows_of_edges_and_counts(tmp_path):
    summaries = Summaries(tmp_path)
    summaries.histogram("weights", np.array([0.0, 1.0, 4.0]), np.array([5, 7]), 3)
    summaries.close()
    value = values_in(tmp_path)["weights"]
    assert value.metadata.plugin_data.plugin_name == "histograms"
    assert tf.make_ndarray(value.tensor).tolist() == [[0, 1, 5], [1, 4, 7]]


@pytest.mark.parametrize(("thresholds", "content"), [(3, b"\x10\x03"), (201, b"\x10\xc9\x01")])
def test_curves_are_stored_as_tensorboard_reads_them(tmp_path, thresholds, content):
    counts = np.zeros([thresholds, 3])
    counts[:2] = [[6, 2, 2], [3, 0, 5]]
    summaries = Summaries(tmp_path)
    summaries.curve("curve", counts, "cat", 3)
    summaries.close()
    value = values_in(tmp_path)["curve"]
    assert (value.metadata.plugin_data.plugin_name, value.metadata.display_name) == (
        "pr_curves",
        "cat",
    )
    assert value.metadata.plugin_data.content == content
    rows = tf.make_ndarray(value.tensor)
    assert rows.shape == (6, thresholds)
    right, wrong, neither, missed, precision, recall = rows[:, :3].tolist()
    assert (right, wrong, neither, missed) == ([6, 3, 0], [2, 0, 0], [0, 0, 0], [2, 5, 0])
    np.testing.assert_allclose(precision, [0.75, 1, 0])
    np.testing.assert_allclose(recall, [0.75, 0.375, 0])
