"""Builds the input pipeline of an input reader's config."""

import logging
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from object_detection.builders import (
    evaluator_builder,
    image_resizer_builder,
    preprocessor_builder,
)
from object_detection.builders.pick import check_message
from object_detection.data import files, pipeline, reading, record_files
from object_detection.data.decoder import DecoderOptions
from object_detection.data.report import InputReport
from object_detection.errors import RecordError
from object_detection.protos import input_reader_pb2
from object_detection.utils import label_map_util

_LOG = logging.getLogger(__name__)

# Fields that only models which are not built here read.
_WITHOUT_EFFECT = (
    "num_keypoints",
    "load_multiclass_scores",
    "load_context_features",
    "load_context_image_ids",
    "load_dense_pose",
    "load_track_id",
    "load_keypoint_depth_features",
    "use_keypoint_label_map",
)


class Run(NamedTuple):
    """The settings of one run or worker for a pipeline, in addition to the config.

    Attributes:
        training: whether the batches are for training. Evaluation reads one epoch, in order unless
            the config sets `shuffle: true`, without augmentation, and keeps the last partial batch.
        batch_size: images of a batch of this worker.
        seed: orders records and draws augmentations; the same seed gives the same batches.
        strict: whether the first record or object that would be lost is an error.
        skip_batches: batches that an interrupted run has used up.
        num_shards, shard_index: how many workers share the records, and which one this is.
        keep_source_pixels: whether batches carry the stored images too, to draw on.
        known_bad: `data.pipeline.bad_records` of the interrupted run, for an exact continuation.
    """

    training: bool
    batch_size: int
    seed: int = 0
    strict: bool = False
    skip_batches: int = 0
    num_shards: int = 1
    shard_index: int = 0
    keep_source_pixels: bool = False
    known_bad: Sequence[str] = ()


# No function of the pipeline branches on a tensor, and AutoGraph would take seconds to see that.
@tf.autograph.experimental.do_not_convert
def build(input_reader_config, *, model_config, train_config=None, eval_config=None, **run):
    """Builds a pipeline of `structures.Batch` from records.

    Args:
        input_reader_config: `InputReader` message.
        model_config: `DetectionModel` message; gives the resizer and the number of classes.
        train_config: `TrainConfig` message, needed in training: augmentations,
            `max_number_of_boxes`.
        eval_config: `EvalConfig` message or None; tells whether batches carry `labels`.
        **run: the fields of `Run`.

    Returns:
        `data.pipeline.InputPipeline`.

    Raises:
        RecordError: paths that match nothing, empty files.
        LabelMapError: a label map that cannot be read.
        ConfigError: what the reader or the augmentations ask for is not supported.
    """
    check_message(input_reader_config, "InputReader", "input_reader_config")
    run = Run(**run)
    name = input_reader_config.name or ("train input" if run.training else "eval input")
    _refuse_unsupported(input_reader_config)
    sources, weights = _sources(input_reader_config, run.training)
    model = getattr(model_config, model_config.WhichOneof("model"))
    steps = train_config.data_augmentation_options if run.training else ()
    max_boxes = _max_boxes(input_reader_config, train_config)
    options = pipeline.PipelineOptions(
        batch_size=run.batch_size,
        max_boxes=max_boxes,
        resizer=image_resizer_builder.build(model.image_resizer),
        augmentations=preprocessor_builder.build_all(steps, max_boxes),
        training=run.training,
        drop_remainder=run.training and input_reader_config.drop_remainder,
        prefetch=input_reader_config.num_prefetch_batches,
        skip_batches=run.skip_batches,
        keep_source_pixels=run.keep_source_pixels,
        known_bad=run.known_bad,
        crop_masks=input_reader_config.crop_masks,
        data_service=input_reader_config.data_service if run.training else "",
    )
    return pipeline.build(
        reading.Sources(sources, weights, _read_options(input_reader_config, run, sources)),
        _decoder_options(input_reader_config, model.num_classes, run, eval_config),
        options,
        InputReport(strict=run.strict, name=name),
    )


def _read_options(config, run, sources):
    # Evaluation shuffles only if the config says so itself: the default is meant for training.
    shuffle = config.shuffle and (run.training or config.HasField("shuffle"))
    buffer_size = config.shuffle_buffer_size
    if shuffle and buffer_size > 1:
        buffer_size = reading.limit_buffer(buffer_size, [p for files in sources for p in files])
        if buffer_size < config.shuffle_buffer_size:
            _LOG.warning(
                "InputReader.shuffle_buffer_size %d is cut to %d: the records are large.",
                config.shuffle_buffer_size,
                buffer_size,
            )
    return reading.ReadOptions(
        shuffle=shuffle,
        shuffle_buffer_size=buffer_size,
        shuffle_files=shuffle and config.filenames_shuffle_buffer_size > 1,
        num_readers=config.num_readers,
        read_block_length=config.read_block_length,
        num_epochs=config.num_epochs if run.training else 1,
        sample_1_of_n=max(1, config.sample_1_of_n_examples),
        seed=run.seed,
        num_shards=run.num_shards,
        shard_index=run.shard_index,
        cache_folder=config.cache_folder,
    )


def _decoder_options(config, num_classes, run, eval_config):
    labels = eval_config is not None and evaluator_builder.needs_image_labels(eval_config)
    return DecoderOptions(
        num_classes=num_classes,
        class_ids=class_ids(config.label_map_path),
        load_masks=config.load_instance_masks,
        png_masks=config.mask_type == input_reader_pb2.PNG_MASKS,
        load_image_labels=labels,
        load_group_of=not run.training,
        ignore_texts=tuple(config.ignore_class),
    )


def class_ids(label_map_path):
    """{class text: id} of a label map, by names and display names; empty without a path.

    As in TFOD a text that is both one item's name and another's display name gets the larger id.
    """
    if not label_map_path:
        return {}
    label_map = label_map_util.load_labelmap(label_map_path)
    ids = {}
    for item in label_map.item:
        for text in {item.name, item.display_name} - {""}:
            ids[text] = max(item.id, ids.get(text, 0))
    return ids


def _sources(config, training):
    """Lists of files for each input path, and the weights they are drawn with."""
    reader = config.WhichOneof("input_reader")
    if reader != "tf_record_input_reader":
        raise RecordError(
            f"InputReader.input_reader is {reader or 'unset'}; supported: tf_record_input_reader"
        )
    section = "train_input_reader" if training else "eval_input_reader"
    field = f"{section}.tf_record_input_reader.input_path"
    patterns = list(config.tf_record_input_reader.input_path)
    if not patterns:
        raise RecordError(f"{field} is empty; put the path of your record files there.")
    sources = [files.find_files(pattern, field=field) for pattern in patterns]
    record_files.refuse_all_empty([path for matches in sources for path in matches], field=field)
    weights = list(config.sample_from_datasets_weights)
    if weights and len(weights) != len(sources):
        raise RecordError(
            f"{section}.sample_from_datasets_weights has {len(weights)} values for {len(sources)} "
            "input_path entries; give one weight for each."
        )
    # In evaluation every image counts once, whatever it weighs in training.
    return sources, weights if training else []


def _max_boxes(config, train_config):
    """The number in the train config takes precedence over the reader's."""
    owner = config
    if train_config is not None and train_config.HasField("max_number_of_boxes"):
        owner = train_config
    if owner.max_number_of_boxes < 1:
        raise RecordError(
            f"{type(owner).__name__}.max_number_of_boxes is {owner.max_number_of_boxes}; it must "
            "be at least 1, and should be the largest number of objects in an image"
        )
    return owner.max_number_of_boxes


def _refuse_unsupported(config):
    if config.input_type == input_reader_pb2.TF_SEQUENCE_EXAMPLE:
        raise RecordError("InputReader.input_type is TF_SEQUENCE_EXAMPLE; supported: TF_EXAMPLE")
    if config.num_additional_channels:
        raise RecordError(
            f"InputReader.num_additional_channels is {config.num_additional_channels}; the models "
            "read 3 channels, so it must be 0"
        )
    if config.expand_labels_hierarchy:
        raise RecordError(
            "InputReader.expand_labels_hierarchy is true; an object has one class here, so it must "
            "be false (expand the labels while writing the records)"
        )
    for field in _WITHOUT_EFFECT:
        if getattr(config, field):
            _LOG.warning("InputReader.%s has no effect on this model.", field)
