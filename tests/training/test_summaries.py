"""Event files may fail; the run goes on."""

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
