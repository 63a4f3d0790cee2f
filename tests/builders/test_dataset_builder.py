import numpy as np
import pytest
from google.protobuf import text_format
from made_records import record, write
from reference import REFERENCE, needs_reference

from object_detection.builders import dataset_builder
from object_detection.errors import ConfigError, LabelMapError, RecordError
from object_detection.protos import pipeline_pb2

BOX = (0.25, 0.2, 0.75, 0.5)
MODEL = "model { faster_rcnn { num_classes: %d image_resizer { %s } } }"
LABEL_MAP = """
item { id: 1 name: 'cat' display_name: 'Katze' }
item { id: 2 name: 'dog' }
item { id: 3 name: 'n3' display_name: 'cat' }
"""


def config_of(text, num_classes=3, resizer="identity_resizer { }"):
    text = MODEL % (num_classes, resizer) + text
    return text_format.Parse(text, pipeline_pb2.TrainEvalPipelineConfig())


def train(config, **run):
    defaults = {"training": True, "batch_size": 1}
    return dataset_builder.build(
        config.train_input_reader,
        model_config=config.model,
        train_config=config.train_config,
        **{**defaults, **run},
    )


def evaluate(config, **run):
    defaults = {"training": False, "batch_size": 1}
    return dataset_builder.build(
        config.eval_input_reader[0],
        model_config=config.model,
        eval_config=config.eval_config,
        **{**defaults, **run},
    )


def ids(batches):
    return [name.decode() for batch in batches for name in batch.image_id.numpy()]


@pytest.fixture
def files(tmp_path):
    """Three files of 4 records each, with masks; their glob."""
    for file in range(3):
        records = [record([BOX], seed=file * 4 + n, masks=True) for n in range(4)]
        write(tmp_path / f"t.record-{file:05d}-of-00003", records)
    return f"{tmp_path}/t.record-?????-of-00003"


@pytest.fixture
def label_map(tmp_path):
    (tmp_path / "map.pbtxt").write_text(LABEL_MAP)
    return str(tmp_path / "map.pbtxt")


def test_training_as_the_config_says(files):
    config = config_of(
        f"""
        train_config {{
          max_number_of_boxes: 7
          data_augmentation_options {{ random_horizontal_flip {{ probability: 1 }} }} }}
        train_input_reader {{
          name: "mine" load_instance_masks: true mask_type: PNG_MASKS max_number_of_boxes: 9
          num_epochs: 1 tf_record_input_reader {{ input_path: "{files}" }} }}
        """,
        resizer="fixed_shape_resizer { height: 16 width: 20 }",
    )

    pipeline = train(config, batch_size=5, seed=1)
    batches = list(pipeline)

    # 12 images make two batches of 5; the reader drops the rest.
    assert [batch.images.pixels.shape for batch in batches] == [(5, 16, 20, 3)] * 2
    assert batches[0].truth.boxes.shape == (5, 7, 4)  # train_config goes before the reader
    # Columns 0.2..0.5 are mirrored to 0.5..0.8 of 20.
    np.testing.assert_allclose(batches[0].truth.boxes[0, 0], [4, 10, 12, 16], rtol=1e-6)
    truth = batches[0].truth  # masks as crops: rows 2..5 and columns 5..7 of 8 x 10
    assert (
        truth.masks.pixels.shape == (5, 1, 4, 3)
        and truth.masks.shape.numpy().tolist() == [[8, 10]] * 5
    )
    assert truth.masks.origin.numpy().tolist() == [[[2, 5]]] * 5
    assert len(set(ids(batches))) == 10
    assert ids(batches) != sorted(ids(batches))
    assert pipeline.report.name == "mine"
    assert pipeline.count_examples() == 12


def test_the_reader_alone_decides_where_the_train_config_is_silent(files):
    config = config_of(
        f"""
        train_config {{ }}
        train_input_reader {{ max_number_of_boxes: 9 shuffle: false drop_remainder: false
          num_readers: 1 num_epochs: 1 sample_1_of_n_examples: 5
          tf_record_input_reader {{ input_path: "{files}" }} }}
        """
    )
    batches = list(train(config, batch_size=2))
    assert batches[0].truth.boxes.shape == (2, 9, 4)
    assert batches[0].truth.masks is None
    assert ids(batches) == ["id-0", "id-5", "id-10"]


def test_evaluation_reads_once_in_order_without_changes(files):
    config = config_of(
        f"""
        train_config {{ data_augmentation_options {{ random_horizontal_flip {{ }} }} }}
        eval_input_reader {{ num_readers: 1 num_epochs: 3
          tf_record_input_reader {{ input_path: "{files}" }} }}
        """
    )
    batches = list(evaluate(config, batch_size=5, keep_source_pixels=True))
    assert ids(batches) == [f"id-{n}" for n in range(12)]
    assert [len(batch.image_id) for batch in batches] == [5, 5, 2]
    for batch in batches:
        np.testing.assert_allclose(batch.truth.boxes[:, 0], [[2, 2, 6, 5]] * len(batch.image_id))
        np.testing.assert_array_equal(batch.source_pixels, batch.images.pixels)


def test_evaluation_shuffles_if_the_config_says_so(files):
    config = config_of(
        f"""
        eval_input_reader {{ shuffle: true
          tf_record_input_reader {{ input_path: "{files}" }} }}
        """
    )
    got = ids(evaluate(config))
    assert sorted(got) == sorted(f"id-{n}" for n in range(12))
    assert got != [f"id-{n}" for n in range(12)]


def test_weights_give_data_sets_their_share(tmp_path):
    for name, seed in (("a", 0), ("b", 1)):
        write(tmp_path / f"{name}.record", [record([BOX], seed=seed)])
    config = config_of(
        f"""
        train_config {{ }}
        train_input_reader {{ sample_from_datasets_weights: [0.2, 0.8] tf_record_input_reader {{
          input_path: "{tmp_path}/a.record" input_path: "{tmp_path}/b.record" }} }}
        """
    )
    got = ids(train(config, batch_size=50).dataset.take(10))
    assert got.count("id-1") / 500 == pytest.approx(0.8, abs=0.06)


def test_class_texts_by_name_and_display_name(label_map):
    # "cat" names item 1 and displays item 3: as in TFOD the larger id.
    assert dataset_builder.class_ids(label_map) == {"cat": 3, "Katze": 1, "dog": 2, "n3": 3}
    assert dataset_builder.class_ids("") == {}


@pytest.mark.parametrize(
    ("reader", "said"),
    [
        ("", "InputReader.input_reader is unset; supported: tf_record_input_reader"),
        ("external_input_reader { }", "is external_input_reader; supported: tf_record_input"),
        ("tf_record_input_reader { }", "train_input_reader.tf_record_input_reader.input_path is e"),
        (
            "tf_record_input_reader { input_path: 'PATH_TO_BE_CONFIGURED/x' }",
            "still contains the pl",
        ),
        ("tf_record_input_reader { input_path: '/nowhere/x*' }", "no file matches '/nowhere/x"),
        (
            "sample_from_datasets_weights: [1, 2] tf_record_input_reader { input_path: '{files}' }",
            "sample_from_datasets_weights has 2 values for 1 input_path entries",
        ),
        (
            "input_type: TF_SEQUENCE_EXAMPLE tf_record_input_reader { input_path: '{files}' }",
            "TF_SEQUENCE_EXAMPLE; supported: TF_EXAMPLE",
        ),
        (
            "num_additional_channels: 2 tf_record_input_reader { input_path: '{files}' }",
            "num_additional_channels is 2; the models read 3 channels",
        ),
        (
            "max_number_of_boxes: 0 tf_record_input_reader { input_path: '{files}' }",
            "InputReader.max_number_of_boxes is 0; it must be at least 1",
        ),
        (
            "expand_labels_hierarchy: true tf_record_input_reader { input_path: '{files}' }",
            "expand_labels_hierarchy is true",
        ),
    ],
)
def test_readers_that_cannot_be_built_say_why(files, reader, said):
    reader = reader.replace("{files}", files)
    config = config_of(f"train_config {{ }} train_input_reader {{ {reader} }}")
    with pytest.raises(RecordError, match=said):
        train(config)


def test_empty_files_are_refused_at_once(tmp_path):
    path = write(tmp_path / "a.record", [])
    config = config_of(f"eval_input_reader {{ tf_record_input_reader {{ input_path: '{path}' }} }}")
    with pytest.raises(RecordError, match="eval_input_reader.*all 1 record file.* are empty"):
        evaluate(config)


def test_a_label_map_that_is_not_there(files):
    config = config_of(
        "train_config { } train_input_reader { label_map_path: '/nowhere/map.pbtxt'"
        f" tf_record_input_reader {{ input_path: '{files}' }} }}"
    )
    with pytest.raises(LabelMapError, match="/nowhere/map.pbtxt"):
        train(config)


def test_augmentations_that_are_not_supported_are_refused(files):
    config = config_of(
        "train_config { data_augmentation_options { convert_class_logits_to_softmax { } } }"
        f" train_input_reader {{ tf_record_input_reader {{ input_path: '{files}' }} }}"
    )
    with pytest.raises(ConfigError, match="convert_class_logits.*supported: normalize_image"):
        train(config)


def test_fields_without_effect_are_said(files, caplog):
    config = config_of(
        "train_config { } train_input_reader { num_keypoints: 17 load_track_id: true"
        f" tf_record_input_reader {{ input_path: '{files}' }} }}"
    )
    train(config)
    assert "InputReader.num_keypoints has no effect on this model." in caplog.messages
    assert "InputReader.load_track_id has no effect on this model." in caplog.messages


def test_a_run_that_asks_for_what_does_not_exist(files):
    config = config_of(
        f"eval_input_reader {{ tf_record_input_reader {{ input_path: '{files}' }} }}"
    )
    with pytest.raises(TypeError, match="batchsize"):
        evaluate(config, batchsize=3)


FOREIGN = {
    # folder: (files, label map, classes, masks, images, objects)
    "cup_speaker": ("train_data-00000-of-00001", True, 2, True, 32, 49),
    "horse_zebra": ("t*.record", True, 2, True, 12, 25),
    "raccoon": ("test.record", True, 1, False, 40, 44),
    "pets": ("pets_examples.record", False, 37, False, 10, 10),
    "boxes_only": ("*.tfrecord", False, 5, False, 3, 3),
}


@needs_reference
@pytest.mark.parametrize("folder", list(FOREIGN))
def test_records_written_by_others(folder):
    pattern, has_map, num_classes, has_masks, images, objects = FOREIGN[folder]
    records = REFERENCE / "data" / "records" / folder
    label_map = f'label_map_path: "{records}/label_map.pbtxt"' if has_map else ""
    masks = "load_instance_masks: true mask_type: PNG_MASKS" if has_masks else ""
    reader = f'{label_map} {masks} tf_record_input_reader {{ input_path: "{records}/{pattern}" }}'
    config = config_of(
        f"train_config {{ }} train_input_reader {{ {reader} }} eval_input_reader {{ {reader} }}",
        num_classes,
        "keep_aspect_ratio_resizer { min_dimension: 100 max_dimension: 160 }",
    )

    pipeline = evaluate(config, batch_size=4)
    batches = list(pipeline)

    assert len(ids(batches)) == len(set(ids(batches))) == images
    assert sum(int(batch.truth.valid.numpy().sum()) for batch in batches) == objects
    for batch in batches:
        valid = batch.truth.valid.numpy()
        assert (batch.truth.classes.numpy()[valid] >= 1).all()
        assert (batch.truth.classes.numpy()[valid] <= num_classes).all()
        if has_masks:
            areas = batch.truth.masks.pixels.numpy().sum(axis=(2, 3))
            assert (areas[valid[:, : areas.shape[1]]] > 0).all()
    left_out = (
        {"class id 0, object dropped (class ids begin at 1)": 1} if folder == "boxes_only" else {}
    )
    counts = pipeline.report.counts()
    counts.pop("source_id used before, made unique", None)
    counts.pop("box reaching out of the image, clipped", None)
    assert counts == left_out
    (batch,) = train(config, batch_size=2, seed=1).dataset.take(1)
    assert batch.images.pixels.shape[0] == 2
