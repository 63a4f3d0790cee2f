"""The augmentations of all public configs, of this kind of model and of others, are done."""

import tensorflow as tf
from reference import REFERENCE, needs_reference

from object_detection.builders import preprocessor_builder
from object_detection.config import augmentation_checks, field_checks, pipeline_file
from object_detection.data.augment.geometry import augment
from object_detection.data.example import Example
from object_detection.structures.batch import CroppedMasks

pytestmark = needs_reference


def _configs():
    if not REFERENCE:
        return {}
    paths = sorted((REFERENCE / "data" / "configs").rglob("*.config"))
    return {f"{path.parent.name}/{path.stem}": pipeline_file.load(path) for path in paths}


def _example():
    """One object on an image of 480 x 640."""
    mask = tf.pad(tf.ones([1, 200, 300], tf.uint8), [[0, 0], [100, 180], [200, 140]])
    return Example(
        id=tf.constant("a"),
        image=tf.zeros([480, 640, 3], tf.uint8),
        boxes_normalized=tf.constant([[100 / 480, 200 / 640, 300 / 480, 500 / 640]]),
        classes=tf.constant([1]),
        weights=tf.ones([1]),
        crowd=tf.zeros([1], tf.bool),
        difficult=tf.zeros([1], tf.bool),
        area=tf.ones([1]),
        masks=CroppedMasks.from_whole(mask),
    )


def test_none_is_refused():
    configs = _configs()
    assert len(configs) >= 100
    for name, config in configs.items():
        found = augmentation_checks.check(config)
        for number, step in enumerate(config.train_config.data_augmentation_options):
            found = found.merge(field_checks.check(step))
            assert preprocessor_builder.build(step) is not None, (name, number)
        assert found.faults == (), name
        # Keypoints of other models are the one thing that these steps do not follow.
        assert all("these models have no keypoints" in str(one) for one in found.warnings), name


def test_each_list_of_steps_can_be_done():
    lists = {
        tuple(step.SerializeToString(deterministic=True) for step in steps): steps
        for steps in (c.train_config.data_augmentation_options for c in _configs().values())
    }
    assert len(lists) > 5
    for steps in lists.values():
        built = preprocessor_builder.build_all(steps, 10)

        def change(number, built=built):
            return augment(_example(), built, tf.stack([tf.constant(0, tf.int64), number]))

        for got in tf.data.Dataset.range(2).map(change):
            assert got.image.shape[2] == 3 and len(got.masks.pixels) == len(got.classes) <= 1
