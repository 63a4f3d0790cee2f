"""The public configs of Faster and Mask R-CNN: each network is trained a step and asked.

Reduced to images of at most 128 pixels and 8 proposals, and without their fine_tune_checkpoint. Of
configs whose reduced networks differ in the number of classes alone the one with most is taken; of
the others the optimizer takes a step. Extractors whose export no other test looks at are exported.
"""

import contextlib
import re

import numpy as np
import pytest
import tensorflow as tf
from reference import REFERENCE, needs_reference
from tiny_models import images_of_shapes, truth_of

from object_detection.builders import image_resizer_builder, model_builder, optimizer_builder
from object_detection.checkpoints import manager
from object_detection.config import pipeline_file, preflight
from object_detection.export import batching, exporter, serving
from object_detection.modeling.backbones import BACKBONES
from object_detection.structures.batch import Batch, Images
from object_detection.training import train_step
from object_detection.training.optimizer import Optimizer

pytestmark = [needs_reference, pytest.mark.slow]

REFUSED = {  # config -> what its fault names
    "configs/faster_rcnn_nas_coco": "faster_rcnn_nas",
    "configs/rfcn_resnet101_coco": "rfcn_box_predictor",
    "configs/rfcn_resnet101_pets": "rfcn_box_predictor",
    "configs/context_rcnn_resnet101_snapshot_serengeti": "context_config",
    "configs/context_rcnn_resnet101_snapshot_serengeti_sync": "context_config",
    "test_data/context_rcnn_camera_trap": "context_config",
}
SIDE, PROPOSALS = 128, 8


def _paths():
    """Configs of this kind of model, by folder and name."""
    every = sorted((REFERENCE / "data" / "configs").rglob("*.config")) if REFERENCE else ()
    return {
        f"{path.parent.name}/{path.stem}": path
        for path in every
        if re.search(r"\bfaster_rcnn\s*{", path.read_text())
    }


PATHS = _paths()
BUILT = sorted(PATHS.keys() - REFUSED.keys())


def test_how_many_there_are():
    assert len(PATHS) == 42 and len(BUILT) == 36 and len(NETWORKS) == 23


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_is_not_built_here_is_refused_by_name(name):
    config = pipeline_file.load(PATHS[name])

    actual = preflight.check(config, purpose="export", supported_extractors=tuple(BACKBONES))

    assert any(REFUSED[name] in str(fault) for fault in actual.faults)
    with pytest.raises(ValueError, match=REFUSED[name]):
        model_builder.build_network(config.model, is_training=False)


def _reduced(path):
    """The config with its sizes cut down; what it says of the network is left."""
    config = pipeline_file.load(path)
    model, train = config.model.faster_rcnn, config.train_config
    resizer = getattr(model.image_resizer, model.image_resizer.WhichOneof("image_resizer_oneof"))
    sizes = {"min_dimension": 96, "max_dimension": SIDE, "height": SIDE, "width": SIDE}
    for field, size in sizes.items():
        if hasattr(resizer, field):
            setattr(resizer, field, size)
    model.first_stage_max_proposals = PROPOSALS
    model.second_stage_batch_size = PROPOSALS
    suppression = model.second_stage_post_processing.batch_non_max_suppression
    suppression.score_threshold = 0.0
    suppression.max_detections_per_class = suppression.max_total_detections = PROPOSALS
    train.ClearField("fine_tune_checkpoint")
    if not train.HasField("optimizer"):  # one config is for an export alone
        train.optimizer.momentum_optimizer.learning_rate.constant_learning_rate.SetInParent()
        train.gradient_clipping_by_norm = 10.0  # as in the others
    return config


def _batch(config):
    """Two images with two objects each, as the config's own resizer makes them."""
    resize = image_resizer_builder.build(config.model.faster_rcnn.image_resizer)
    stored = images_of_shapes([(90, 120), (90, 120)]).pixels
    resized = [resize(image) for image in tf.unstack(stored)]
    images = Images(*(tf.stack(parts) for parts in zip(*resized, strict=True)))
    boxes = [[[8, 8, 60, 70], [30, 20, 90, 96]], [[10, 40, 80, 110], [0, 0, 50, 50]]]
    truth = truth_of(boxes)
    classes = tf.minimum(truth.classes, config.model.faster_rcnn.num_classes)
    if config.model.faster_rcnn.number_of_stages < 3:
        truth = truth._replace(masks=None)
    ids, shapes = tf.constant(["one", "two"]), tf.constant([[90, 120]] * 2)
    return Batch(images, truth._replace(classes=classes), ids, shapes)


def _largest():
    """{reduced network but for its classes: the config with most of them}."""
    largest = {}
    for name in BUILT:
        model = _reduced(PATHS[name]).model
        classes, model.faster_rcnn.num_classes = model.faster_rcnn.num_classes, 0
        network = model.SerializeToString(deterministic=True)
        largest[network] = max(largest.get(network, (0, "")), (classes, name))
    return sorted(name for _, name in largest.values())


NETWORKS = _largest()


@pytest.mark.parametrize("name", sorted(set(BUILT) - set(NETWORKS)))
def test_the_optimizer_of_a_public_config_takes_a_step(name):
    plan = optimizer_builder.build(_reduced(PATHS[name]).train_config.optimizer)
    weight = tf.Variable([1.0, 2.0])
    optimizer = Optimizer(plan, {"weight": weight})

    rate = optimizer.apply([tf.constant([0.5, -0.5])], tf.constant(5, tf.int64))

    assert 0 < rate < 1 and weight.numpy()[0] < 1 and weight.numpy()[1] > 2


# They have no case in tests/export/test_export_parity.py.
EXPORTED = (
    "configs/faster_rcnn_resnet152_coco",
    "tf2/faster_rcnn_resnet152_v1_640x640_coco17_tpu-8",
)


@contextlib.contextmanager
def _eagerly():
    """Without graphs, each of which would be used once."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def _trained(config):
    """The network of a config after one step, and the state of that run."""
    network = model_builder.build_network(config.model, is_training=True)
    weights = {v.path: v.value for v in network.trainable_variables}
    optimizer = Optimizer(optimizer_builder.build(config.train_config.optimizer), weights)
    before = {path: weight.numpy() for path, weight in weights.items()}
    settings = train_step.StepSettings(
        gradient_clipping_by_norm=config.train_config.gradient_clipping_by_norm
    )
    strategy = tf.distribute.get_strategy()
    step = train_step.build_train_step(network, optimizer, settings, strategy)

    result = step(iter([_batch(config)]), tf.constant(0, tf.int64))

    assert all(np.isfinite(loss) for loss in result.losses.values()), result.losses
    assert np.isfinite(result.gradient_norm) and result.gradient_norm > 0
    if result.learning_rate > 0:
        assert any((before[path] != weight.numpy()).any() for path, weight in weights.items())
    return network, manager.fresh_state(network, optimizer)


def _check_answer(config, model):
    image = np.random.default_rng(0).integers(0, 255, [1, 90, 120, 3], np.uint8)
    outputs = model(input_tensor=tf.constant(image))

    assert outputs["detection_boxes"].shape == [1, PROPOSALS, 4]
    assert all(np.isfinite(value).all() for value in outputs.values())
    assert np.max(outputs["detection_classes"]) <= config.model.faster_rcnn.num_classes
    predictor = config.model.faster_rcnn.second_stage_box_predictor.mask_rcnn_box_predictor
    has_masks = config.model.faster_rcnn.number_of_stages == 3
    assert ("detection_masks" in outputs) == has_masks
    if has_masks:
        size = [predictor.mask_height, predictor.mask_width]
        assert outputs["detection_masks"].shape == [1, PROPOSALS, *size]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.filterwarnings("ignore:Even though the `tf.config.experimental_run_functions_eagerly")
def test_a_public_config_trains_and_answers(name, tmp_path):
    config = _reduced(PATHS[name])
    with _eagerly():
        network, state = _trained(config)
        resizer = image_resizer_builder.build(config.model.faster_rcnn.image_resizer)
        _check_answer(config, serving.FromImages(batching.Detector(network), resizer))
    if name in EXPORTED:
        manager.write(tmp_path / "ckpt-1", state)
        exporter.export(config, tmp_path / "ckpt-1", tmp_path / "export")
        loaded = tf.saved_model.load(str(tmp_path / "export" / "saved_model"))
        _check_answer(config, loaded.signatures["serving_default"])
