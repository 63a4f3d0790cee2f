"""Configs by the figures of a data set."""

import numpy as np
import pytest

from object_detection.builders import model_builder
from object_detection.config import preflight
from object_detection.datasets.label_ids import LabelIds
from object_detection.errors import AnnotationError
from object_detection.modeling.backbones import BACKBONES
from object_detection.scaffold import fitting
from object_detection.scaffold.data_set import DatasetStatistics

PATHS = fitting.Paths("label_map.pbtxt", ("train.record",), ("val.record",))


def facts(sizes=((600, 800),), side=0.2, ratio=1.0, **changes):
    """A set of images whose objects all have one side, as a share of the shorter one."""
    sides = np.array([[side * ratio**0.5, side / ratio**0.5]] * 10)
    made = DatasetStatistics(100, np.array(sizes), sides, 7, 1.0, LabelIds({"a": 1, "b": 2}))
    return made._replace(**changes)


def config_of(made=None, **wishes):
    return fitting.config_for(made or facts(), fitting.ConfigOptions(**wishes), PATHS)


@pytest.mark.parametrize("extractor", sorted(BACKBONES))
@pytest.mark.parametrize("masks", [True, False])
def test_every_extractor_passes_the_check_of_a_training(extractor, masks):
    config = config_of(extractor=extractor, masks=masks)

    found = preflight.check(config, purpose="train", supported_extractors=BACKBONES, reads=())

    assert found.faults == ()
    # Without a pyramid norms stay as they are: random weights would not learn.
    expected = [] if BACKBONES[extractor].pyramid else ["train_config.fine_tune_checkpoint"]
    assert [warning.where for warning in found.warnings] == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    "extractor", ["faster_rcnn_resnet50_keras", "faster_rcnn_resnet50_fpn_keras"]
)
def test_it_builds(extractor):
    assert model_builder.build_network(config_of(extractor=extractor).model, is_training=True)


def test_images_of_one_size_keep_their_shape():
    fixed = config_of().model.faster_rcnn.image_resizer.fixed_shape_resizer
    assert (fixed.height, fixed.width) == (512, 672)  # 600 x 800, at most 512: 682.7 is near 672
    small = config_of(facts(sizes=((100, 100),))).model.faster_rcnn.image_resizer
    assert small.fixed_shape_resizer.height == 96


def test_images_of_several_sizes_keep_their_ratio():
    resizer = config_of(facts(sizes=((300, 400), (400, 300)))).model.faster_rcnn.image_resizer
    kept = resizer.keep_aspect_ratio_resizer
    assert (kept.min_dimension, kept.max_dimension) == (288, 384) and kept.pad_to_max_dimension


def test_small_objects_enlarge_images():
    def height(side):
        made = facts(sizes=((200, 200),), side=side)
        return config_of(made).model.faster_rcnn.image_resizer.fixed_shape_resizer.height

    assert height(0.2) == 192  # 40 pixels are enough
    assert height(0.04) == 288  # 8 pixels are to be 12: 300
    assert height(0.01) == 384  # no more than twice as large: 400


@pytest.mark.parametrize("side", [0.01, 0.03, 0.1, 0.4, 0.95])
@pytest.mark.parametrize(
    "extractor", ["faster_rcnn_resnet50_fpn_keras", "faster_rcnn_resnet50_keras"]
)
def test_an_anchor_is_near_every_object(side, extractor):
    rcnn = config_of(facts(side=side), extractor=extractor).model.faster_rcnn
    wanted = side * rcnn.image_resizer.fixed_shape_resizer.height
    generator = rcnn.first_stage_anchor_generator
    if "fpn" in extractor:
        made = generator.multiscale_anchor_generator
        levels = range(made.min_level, made.max_level + 1)
        sides = [made.anchor_scale * 2 ** (level + half) for level in levels for half in (0, 0.5)]
        assert rcnn.feature_extractor.fpn.max_level == made.max_level
    else:
        sides = [256 * scale for scale in generator.grid_anchor_generator.scales]
    nearest = min(abs(np.log2(each / wanted)) for each in sides)
    assert nearest <= 0.55  # a square of 1.46 times the side has an IoU of 0.47


def test_long_objects_have_long_anchors():
    shapes = config_of(facts(ratio=4.0)).model.faster_rcnn.first_stage_anchor_generator
    assert len(shapes.multiscale_anchor_generator.aspect_ratios) == 5


def test_lengths_and_counts():
    config = config_of(facts(most_objects=250, num_images=5000), batch_size=4)
    assert config.train_config.num_steps == 20_000
    rate = config.train_config.optimizer.adam_optimizer.learning_rate.cosine_decay_learning_rate
    assert rate.total_steps == 20_000 and rate.warmup_steps == 500
    assert config.train_input_reader.max_number_of_boxes == 300
    suppression = config.model.faster_rcnn.second_stage_post_processing.batch_non_max_suppression
    assert suppression.max_total_detections == 400
    assert config_of().train_config.num_steps == 2000  # 40 epochs of 50 steps
    assert config_of(num_steps=70).train_config.num_steps == 70


def test_fine_tuning():
    train = config_of(fine_tune_checkpoint="run", fine_tune_checkpoint_type="full").train_config
    assert (train.fine_tune_checkpoint, train.fine_tune_checkpoint_type) == ("run", "full")
    assert train.optimizer.WhichOneof("optimizer") == "momentum_optimizer"


def test_masks_by_the_data_and_by_the_user():
    assert config_of().eval_config.metrics_set == ["coco_detection_metrics", "coco_mask_metrics"]
    boxes = config_of(facts(masks=0.2))
    assert boxes.model.faster_rcnn.number_of_stages == 2
    assert not boxes.train_input_reader.load_instance_masks
    assert not fitting.has_masks(facts(), fitting.ConfigOptions(masks=False))
    with pytest.raises(AnnotationError, match="--masks: no object of the data set has a mask"):
        fitting.has_masks(facts(masks=0.0), fitting.ConfigOptions(masks=True))


def test_names_of_extractors():
    assert fitting.extractor_of("resnet50_fpn") == "faster_rcnn_resnet50_fpn_keras"
    assert fitting.extractor_of("inception_v2") == "faster_rcnn_inception_v2"
    assert fitting.extractor_of("faster_rcnn_resnet101") == "faster_rcnn_resnet101"
    with pytest.raises(AnnotationError, match="--extractor is 'vgg16'; there are .*resnet18_fpn"):
        fitting.extractor_of("vgg16")


@pytest.mark.parametrize("has_ignore_regions", [True, False])
def test_readers_name_the_class_of_ignore_regions(has_ignore_regions):
    config = config_of(facts(has_ignore_regions=has_ignore_regions))

    expected = ["__ignore__"] if has_ignore_regions else []
    for reader in (config.train_input_reader, *config.eval_input_reader):
        assert list(reader.ignore_class) == expected
    assert config.model.faster_rcnn.num_classes == 2
