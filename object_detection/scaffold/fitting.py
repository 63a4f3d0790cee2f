"""A pipeline.config that fits a data set: sizes, anchors and lengths follow from its figures."""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from object_detection.config import pipeline_file
from object_detection.datasets.annotations import IGNORE_CLASS
from object_detection.errors import AnnotationError
from object_detection.modeling.extractor_names import EXTRACTORS

SMALL = "faster_rcnn_resnet18_fpn_keras"  # learns from random weights, also without a GPU
_LEAST_MASKS = 0.5  # share of objects with masks from which on masks are learned
_MULTIPLE = 32  # what pyramids pad their input to
_LEAST_SIDE, _MOST_ENLARGED = 12.0, 2.0  # pixels a small object is to have; factor to get there
_RATIOS = {2.5: [0.5, 1.0, 2.0], math.inf: [0.33, 0.5, 1.0, 2.0, 3.0]}  # by the shapes of objects


class ConfigOptions(NamedTuple):
    """What the user requests; None: chosen from the data."""

    extractor: str = SMALL
    min_dimension: int | None = None
    batch_size: int | None = None
    num_steps: int | None = None
    masks: bool | None = None
    fine_tune_checkpoint: str = ""
    fine_tune_checkpoint_type: str = "detection"


class Paths(NamedTuple):
    """What the config names."""

    label_map: str
    train: tuple[str, ...]
    val: tuple[str, ...]


def extractor_of(name):
    """The full name of an extractor, given it or a part such as 'resnet50_fpn'.

    Raises:
        AnnotationError: there is no such extractor.
    """
    if name in EXTRACTORS:
        return name
    for full in (f"faster_rcnn_{name}_keras", f"faster_rcnn_{name}"):
        if full in EXTRACTORS:
            return full
    raise AnnotationError(
        f"--extractor is {name!r}; there are {', '.join(sorted(EXTRACTORS))}. The parts "
        "'faster_rcnn_' and '_keras' may be left out"
    )


def has_masks(facts, wishes):
    """Whether masks are learned.

    Raises:
        AnnotationError: they are wanted, and no object has one.
    """
    if wishes.masks and not facts.masks:
        raise AnnotationError("--masks: no object of the data set has a mask")
    return facts.masks >= _LEAST_MASKS if wishes.masks is None else wishes.masks


def config_for(facts, wishes, paths):
    """The config, a TrainEvalPipelineConfig.

    Args:
        facts: `DatasetStatistics`.
        wishes: `ConfigOptions`, its extractor by `extractor_of`.
        paths: `Paths`.
    """
    from object_detection.modeling.backbones import BACKBONES  # starts TensorFlow

    is_pyramid = BACKBONES[wishes.extractor].pyramid
    template = Path(__file__).with_name("pyramid.config" if is_pyramid else "single_level.config")
    config = pipeline_file.parse(template.read_text(), source=template.name)
    rcnn = config.model.faster_rcnn
    rcnn.num_classes = max(facts.labels.ids.values())
    rcnn.feature_extractor.type = wishes.extractor
    is_keras = wishes.extractor.endswith("_keras")
    if not is_pyramid and not is_keras:
        rcnn.feature_extractor.first_stage_features_stride = 16
    shorter = _resizer(rcnn.image_resizer, facts, wishes)
    sides = np.sqrt(np.prod(facts.sides, axis=1)) * shorter
    _anchors(rcnn, facts, sides, is_pyramid)
    if wishes.extractor == SMALL:
        _small_heads(rcnn)
    suppression = rcnn.second_stage_post_processing.batch_non_max_suppression
    kept = _rounded_up(1.5 * facts.most_objects, 100)
    suppression.max_total_detections = suppression.max_detections_per_class = kept
    rcnn.first_stage_max_proposals = max(300, 2 * kept)
    with_masks = has_masks(facts, wishes)
    if not with_masks:
        _without_masks(rcnn)
    _training(config.train_config, facts, wishes)
    _readers(config, paths, with_masks, _rounded_up(facts.most_objects, 100))
    if facts.has_ignore_regions:
        for reader in (config.train_input_reader, config.eval_input_reader[0]):
            reader.ignore_class.append(IGNORE_CLASS)
    return config


def _resizer(resizer, facts, wishes):
    """Sets the image_resizer; returns the pixels of images' shorter side after it."""
    shorter = float(np.median(facts.sizes.min(axis=1)))
    target = wishes.min_dimension or _wanted_side(facts, shorter, wishes.extractor)
    if len(np.unique(facts.sizes, axis=0)) == 1:
        height, width = (int(side) for side in facts.sizes[0])
        scale = target / min(height, width)
        resizer.fixed_shape_resizer.height = _rounded(height * scale)
        resizer.fixed_shape_resizer.width = _rounded(width * scale)
        return target
    ratios = facts.sizes.max(axis=1) / facts.sizes.min(axis=1)
    longer = target * min(float(np.quantile(ratios, 0.9)), 2.0)
    kept = resizer.keep_aspect_ratio_resizer
    kept.min_dimension, kept.max_dimension = target, max(target, _rounded(longer))
    kept.pad_to_max_dimension = True  # so that images of any shape fit into one batch
    return target


def _wanted_side(facts, shorter, extractor):
    """Pixels of the shorter side: the images' own, more where objects are small, with a bound."""
    largest = 512 if extractor == SMALL else 800
    small = float(np.quantile(np.sqrt(np.prod(facts.sides, axis=1)), 0.1)) * shorter
    enlarged = shorter * min(max(1.0, _LEAST_SIDE / max(small, 1e-6)), _MOST_ENLARGED)
    return min(_rounded(enlarged), largest)


def _anchors(rcnn, facts, sides, is_pyramid):
    """Anchors from the data's small objects to its large ones, which are pixels as resized."""
    low, high = (float(np.quantile(sides, share)) for share in (0.05, 0.95))
    ratios = facts.sides[:, 0] / facts.sides[:, 1]
    extreme = float(np.quantile(np.maximum(ratios, 1 / ratios), 0.9))
    shapes = next(shapes for bound, shapes in _RATIOS.items() if extreme <= bound)
    generator = rcnn.first_stage_anchor_generator
    if not is_pyramid:
        first, last = (round(math.log2(side / 256)) for side in (low, high))
        first = max(first, -5)  # half of the features' stride
        scales = [2.0**power for power in range(first, max(last, first + 1) + 1)]
        del generator.grid_anchor_generator.scales[:]
        generator.grid_anchor_generator.scales.extend(scales)
        del generator.grid_anchor_generator.aspect_ratios[:]
        generator.grid_anchor_generator.aspect_ratios.extend(shapes)
        return
    anchors = generator.multiscale_anchor_generator
    # At level 2 a side is 4 times anchor_scale: the power of two next to the small objects.
    anchors.anchor_scale = 2.0 ** min(max(round(math.log2(low / 4)), 1), 3)
    reached = anchors.anchor_scale * 2**5 * math.sqrt(2)
    anchors.max_level = 5 if reached >= high / 1.5 else 6
    anchors.scales_per_octave = 2
    rcnn.feature_extractor.fpn.max_level = anchors.max_level
    del anchors.aspect_ratios[:]
    anchors.aspect_ratios.extend(shapes)


def _small_heads(rcnn):
    """As narrow as the samples for this extractor, so that it is fast without a GPU."""
    rcnn.feature_extractor.fpn.additional_layer_depth = 128
    rcnn.first_stage_box_predictor_depth = 128
    rcnn.second_stage_box_predictor.mask_rcnn_box_predictor.mask_prediction_conv_depth = 128


def _without_masks(rcnn):
    rcnn.number_of_stages = 2
    head = rcnn.second_stage_box_predictor.mask_rcnn_box_predictor
    for name in [field.name for field, _ in head.ListFields()]:
        if "mask" in name or name == "conv_hyperparams":
            head.ClearField(name)
    rcnn.ClearField("second_stage_mask_prediction_loss_weight")


def _training(train, facts, wishes):
    starts_anew = not wishes.fine_tune_checkpoint
    train.batch_size = wishes.batch_size or (2 if wishes.extractor == SMALL else 1)
    epochs, least = (40, 1000) if starts_anew else (30, 600)
    steps = wishes.num_steps or min(
        max(_rounded_up(epochs * facts.num_images / train.batch_size, 100), least), 20_000
    )
    train.num_steps = steps
    optimizer = train.optimizer
    inner = optimizer.adam_optimizer if starts_anew else optimizer.momentum_optimizer
    rate = inner.learning_rate.cosine_decay_learning_rate
    rate.learning_rate_base = 0.001 if starts_anew else 0.0025 * train.batch_size
    rate.total_steps = steps
    rate.warmup_steps = min(500, steps // 20)
    rate.warmup_learning_rate = rate.learning_rate_base / 10
    if not starts_anew:
        inner.momentum_optimizer_value = 0.9
        train.fine_tune_checkpoint = wishes.fine_tune_checkpoint
        train.fine_tune_checkpoint_type = wishes.fine_tune_checkpoint_type
    optimizer.use_moving_average = False
    train.gradient_clipping_by_norm = 10.0
    train.data_augmentation_options.add().random_horizontal_flip.SetInParent()


def _readers(config, paths, with_masks, most_objects):
    eval_reader = config.eval_input_reader.add()
    for reader, patterns in ((config.train_input_reader, paths.train), (eval_reader, paths.val)):
        reader.label_map_path = paths.label_map
        reader.tf_record_input_reader.input_path.extend(patterns)
        reader.max_number_of_boxes = most_objects
        if with_masks:
            reader.load_instance_masks = True
            reader.mask_type = reader.DESCRIPTOR.fields_by_name[
                "mask_type"
            ].enum_type.values_by_name["PNG_MASKS"].number  # fmt: skip
    eval_reader.shuffle = False
    eval_reader.num_epochs = 1
    config.eval_config.metrics_set.append("coco_detection_metrics")
    if with_masks:
        config.eval_config.metrics_set.append("coco_mask_metrics")


def _rounded(pixels):
    """The nearest multiple of what pyramids pad to, at least one."""
    return max(_MULTIPLE, round(pixels / _MULTIPLE) * _MULTIPLE)


def _rounded_up(number, step):
    return int(math.ceil(number / step) * step)
