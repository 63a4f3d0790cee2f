"""Detections in records: there and back, read as TFOD reads them, and scored."""

import io

import made_images
import numpy as np
import pytest
import tensorflow as tf
from made_instances import add, detected, sized
from made_records import record
from PIL import Image
from test_tfod_metrics import CATEGORIES

from object_detection.legacy import offline_eval
from object_detection.metrics import detection_records
from object_detection.metrics.pascal_evaluation import PascalEvaluation
from object_detection.protos import eval_pb2, input_reader_pb2

HEIGHT, WIDTH = made_images.HEIGHT, made_images.WIDTH
SCALE = np.array([HEIGHT, WIDTH, HEIGHT, WIDTH], np.float32)


def png(mask):
    file = io.BytesIO()
    Image.fromarray(mask * 255).save(file, "PNG")
    return file.getvalue()


def record_of(number, truth):
    """The record of a made image."""
    example = tf.train.Example()
    feature = example.features.feature
    for k, side in enumerate(("ymin", "xmin", "ymax", "xmax")):
        values = (truth.boxes / SCALE)[:, k].tolist()
        feature[f"image/object/bbox/{side}"].float_list.value[:] = values
    for name, values in (
        ("class/label", truth.classes),
        ("is_crowd", truth.crowd),
        ("difficult", truth.difficult),
        ("group_of", truth.group_of),
    ):
        feature["image/object/" + name].int64_list.value[:] = values.astype(int).tolist()
    feature["image/object/area"].float_list.value[:] = truth.area.tolist()
    feature["image/object/mask"].bytes_list.value[:] = [
        png(mask) for mask in truth.masks.to_dense()
    ]
    for name, values in truth.labels._asdict().items():
        key = {"verified": "class/label", "negative": "neg_category_ids"}
        key = key.get(name, "not_exhaustive_category_ids")
        feature[f"image/{key}"].int64_list.value[:] = sorted(values)
    feature["image/source_id"].bytes_list.value[:] = [str(number).encode()]
    feature["image/encoded"].bytes_list.value[:] = [b"pixels"]
    return example.SerializeToString()


def test_there_and_back():
    for number, truth, found in made_images.images(6):
        written = detection_records.with_detections(record_of(number, truth), found)
        back = detection_records.parse(written, load_masks=True)

        assert (back.image_id, back.height, back.width) == (str(number), HEIGHT, WIDTH)
        np.testing.assert_allclose(back.detections.boxes, found.boxes, atol=1e-5)
        np.testing.assert_array_equal(back.detections.scores, found.scores)
        np.testing.assert_array_equal(back.detections.classes, found.classes)
        assert back.detections.masks.to_rle() == found.masks.to_rle()
        np.testing.assert_array_equal(back.truth.masks.to_dense(), truth.masks.to_dense())
        np.testing.assert_array_equal(back.truth.flags("crowd"), truth.crowd)
        np.testing.assert_array_equal(back.truth.flags("difficult"), truth.difficult)
        np.testing.assert_array_equal(back.truth.flags("group_of"), truth.group_of)
        assert back.truth.labels == truth.labels


def test_the_keys_are_tfods():
    box = detected(np.array([[12.0, 16, 24, 32]]), np.array([0.5]), np.array([3]))
    written = detection_records.with_detections(
        record([(0.1, 0.2, 0.3, 0.4)]), sized(box, HEIGHT, WIDTH), discard_image_pixels=True
    )
    feature = tf.train.Example.FromString(written).features.feature

    for key, value in (("ymin", 0.25), ("xmin", 0.25), ("ymax", 0.5), ("xmax", 0.5)):
        assert feature[f"image/detection/bbox/{key}"].float_list.value[:] == [value]
    assert feature["image/detection/score"].float_list.value[:] == [0.5]
    assert feature["image/detection/label"].int64_list.value[:] == [3]
    assert "image/encoded" not in feature and "image/detection/mask/counts" not in feature
    assert "image/object/bbox/ymin" in feature


def test_records_without_detections_are_none():
    assert detection_records.parse(record([(0.1, 0.2, 0.3, 0.4)])) is None


def test_an_image_without_objects_counts():
    nothing = detected(np.zeros([0, 4]), np.zeros(0), np.zeros(0, int))
    written = detection_records.with_detections(b"", sized(nothing, 9, 9))
    feature = tf.train.Example.FromString(written).features.feature
    assert feature["image/detection/score"].HasField("float_list")

    back = detection_records.parse(written, load_masks=True)

    assert back.truth.boxes.shape == (0, 4) and back.detections.boxes.shape == (0, 4)
    assert len(back.truth.masks) == 0 and len(back.detections.masks) == 0


def test_lists_that_do_not_fit():
    _, truth, found = next(made_images.images(6))
    written = detection_records.with_detections(record_of(1, truth), found)
    example = tf.train.Example.FromString(written)
    example.features.feature["image/detection/bbox/ymax"].float_list.value.pop()
    with pytest.raises(ValueError, match="image/detection/bbox has 14 ymin, 14 xmin, 13 ymax"):
        detection_records.parse(example.SerializeToString())


@pytest.fixture
def configs(tmp_path):
    """(InputReader, its images) of two shards of records with detections."""
    images = list(made_images.images(8))
    for shard in range(2):
        with tf.io.TFRecordWriter(f"{tmp_path}/found-{shard:05d}-of-00002") as writer:
            for number, truth, found in images[shard::2]:
                serialized = record_of(number, truth)
                writer.write(detection_records.with_detections(serialized, found))
            writer.write(record([(0.1, 0.2, 0.3, 0.4)]))  # without detections: left out
    names = [f"item {{ id: {i} name: '{name}' }}" for i, name in CATEGORIES.items()]
    (tmp_path / "map.pbtxt").write_text("\n".join(names), encoding="utf-8")
    reader = input_reader_pb2.InputReader(label_map_path=str(tmp_path / "map.pbtxt"))
    reader.tf_record_input_reader.input_path.append(str(tmp_path / "found@2"))
    return reader, images[::2] + images[1::2]


@pytest.mark.parametrize(
    "name", ["pascal_voc_detection_metrics", "pascal_voc_instance_segmentation_metrics"]
)
def test_the_offline_evaluation_scores_records(configs, name):
    reader, images = configs
    numbers = offline_eval.read_data_and_evaluate(reader, eval_pb2.EvalConfig(metrics_set=[name]))

    direct = PascalEvaluation(CATEGORIES, name)
    for number, truth, found in images:
        add(direct, number, truth, found, HEIGHT, WIDTH)
    assert numbers == pytest.approx(direct.evaluate(), abs=1e-12, nan_ok=True)


def test_the_command(configs, tmp_path, capsys):
    from absl import flags

    reader, _ = configs
    (tmp_path / "eval.config").write_text("metrics_set: 'oid_V2_detection_metrics'")
    (tmp_path / "input.config").write_text(str(reader))
    values = flags.FlagValues()
    offline = {
        "eval_dir": str(tmp_path / "out"),
        "eval_config_path": str(tmp_path / "eval.config"),
        "input_config_path": str(tmp_path / "input.config"),
    }
    for name, value in offline.items():
        flags.DEFINE_string(name, value, "", flag_values=values)
    values.mark_as_parsed()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(offline_eval, "FLAGS", values)
        assert offline_eval.command() == 0

    lines = (tmp_path / "out" / "metrics.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("OpenImagesV2_Precision/mAP@0.5IOU,0.")
    assert len(lines) == 1 + len(CATEGORIES)
    assert "oid_V2_detection_metrics: 12 images" in capsys.readouterr().out
