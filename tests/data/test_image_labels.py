"""What records say of whole images and of groups reaches the metrics, and only them."""

import pytest
from google.protobuf import text_format
from made_records import record, write

from object_detection.builders import dataset_builder
from object_detection.protos import pipeline_pb2
from object_detection.structures.batch import Detections
from object_detection.training.stored_frame import images_of

BOXES = [(0.25, 0.2, 0.75, 0.5), (0.5, 0.5, 0.5, 0.6), (0.1, 0.1, 0.9, 0.9)]  # the second: no area
CONFIG = """
model { faster_rcnn { num_classes: 3 image_resizer { identity_resizer {} } } }
eval_input_reader {
  label_map_path: "%s"
  tf_record_input_reader { input_path: "%s" }
}
train_input_reader {
  max_number_of_boxes: 5
  tf_record_input_reader { input_path: "%s" }
}
"""
LABEL_MAP = "item { id: 1 name: 'cat' } item { id: 2 name: 'dog' } item { id: 3 name: 'owl' }"


@pytest.fixture
def config(tmp_path):
    labels = {"class/text": ["dog", "cow", "cat"], "neg_category_ids": [3]}
    first = record(BOXES, **labels, **{"object/group_of": [0, 1, 1]})
    second = record(BOXES[:1], **{"not_exhaustive_category_ids": [1, 2]})
    write(tmp_path / "data.record", [first, second])
    (tmp_path / "map.pbtxt").write_text(LABEL_MAP)
    paths = [tmp_path / "map.pbtxt"] + [tmp_path / "data.record"] * 2
    return text_format.Parse(CONFIG % tuple(paths), pipeline_pb2.TrainEvalPipelineConfig())


def batches(config, *metrics, batch_size=2):
    config.eval_config.metrics_set.extend(metrics)
    return dataset_builder.build(
        config.eval_input_reader[0],
        model_config=config.model,
        eval_config=config.eval_config,
        training=False,
        batch_size=batch_size,
    )


@pytest.mark.parametrize("batch_size", [1, 2])
def test_labels_of_images_reach_the_metrics_that_need_them(config, batch_size):
    truths = []
    for batch in batches(config, "lvis_mask_metrics", batch_size=batch_size):
        empty = batch.truth.valid[:, :0]
        found = Detections(batch.truth.boxes[:, :0], empty, empty, empty)
        truths += [image.truth for image in images_of(batch, found)]

    # 'cow' is not in the label map.
    assert truths[0].labels == ({1, 2}, {3}, set())
    assert truths[1].labels == (set(), set(), {1, 2})
    assert truths[0].group_of.tolist() == [False, True]  # the box without area is gone


def test_other_metrics_do_without(config):
    (batch,) = batches(config, "coco_detection_metrics")

    assert batch.labels is None
    assert batch.truth.group_of is not None


def test_training_does_without(config):
    pipeline = dataset_builder.build(
        config.train_input_reader,
        model_config=config.model,
        train_config=config.train_config,
        training=True,
        batch_size=1,
    )
    batch = next(iter(pipeline))

    assert batch.labels is None and batch.truth.group_of is None
