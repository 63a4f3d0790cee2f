"""AutoAugment for detection: one of the published policies, two or three steps of it in turn.

Barret Zoph and others, "Learning Data Augmentation Strategies for Object Detection". A step has a
probability and a level 0..10, which says how much of a step's range is used. Image, boxes and masks
move together; TFOD moves image and boxes alone, and only where TensorFlow 1's contrib is.
"""

from dataclasses import dataclass

import tensorflow as tf

from object_detection.data import augment_auto_color as color
from object_detection.data import augment_auto_move as move
from object_detection.data.augment_crop import draw_index
from object_detection.data.augment_geometry import settled

# Each line is a sub-policy: name, probability, level of its steps.
POLICIES = {
    "test": "TranslateX_BBox 1.0 4, Equalize 1.0 10",
    "v0": """TranslateX_BBox 0.6 4, Equalize 0.8 10
        TranslateY_Only_BBoxes 0.2 2, Cutout 0.8 8
        Sharpness 0.0 8, ShearX_BBox 0.4 0
        ShearY_BBox 1.0 2, TranslateY_Only_BBoxes 0.6 6
        Rotate_BBox 0.6 10, Color 1.0 6""",
    "v1": """TranslateX_BBox 0.6 4, Equalize 0.8 10
        TranslateY_Only_BBoxes 0.2 2, Cutout 0.8 8
        Sharpness 0.0 8, ShearX_BBox 0.4 0
        ShearY_BBox 1.0 2, TranslateY_Only_BBoxes 0.6 6
        Rotate_BBox 0.6 10, Color 1.0 6
        Color 0.0 0, ShearX_Only_BBoxes 0.8 4
        ShearY_Only_BBoxes 0.8 2, Flip_Only_BBoxes 0.0 10
        Equalize 0.6 10, TranslateX_BBox 0.2 2
        Color 1.0 10, TranslateY_Only_BBoxes 0.4 6
        Rotate_BBox 0.8 10, Contrast 0.0 10
        Cutout 0.2 2, Brightness 0.8 10
        Color 1.0 6, Equalize 1.0 2
        Cutout_Only_BBoxes 0.4 6, TranslateY_Only_BBoxes 0.8 2
        Color 0.2 8, Rotate_BBox 0.8 10
        Sharpness 0.4 4, TranslateY_Only_BBoxes 0.0 4
        Sharpness 1.0 4, SolarizeAdd 0.4 4
        Rotate_BBox 1.0 8, Sharpness 0.2 8
        ShearY_BBox 0.6 10, Equalize_Only_BBoxes 0.6 8
        ShearX_BBox 0.2 6, TranslateY_Only_BBoxes 0.2 10
        SolarizeAdd 0.6 8, Brightness 0.8 10""",
    "v2": """Color 0.0 6, Cutout 0.6 8, Sharpness 0.4 8
        Rotate_BBox 0.4 8, Sharpness 0.4 2, Rotate_BBox 0.8 10
        TranslateY_BBox 1.0 8, AutoContrast 0.8 2
        AutoContrast 0.4 6, ShearX_BBox 0.8 8, Brightness 0.0 10
        SolarizeAdd 0.2 6, Contrast 0.0 10, AutoContrast 0.6 0
        Cutout 0.2 0, Solarize 0.8 8, Color 1.0 4
        TranslateY_BBox 0.0 4, Equalize 0.6 8, Solarize 0.0 10
        TranslateY_BBox 0.2 2, ShearY_BBox 0.8 8, Rotate_BBox 0.8 8
        Cutout 0.8 8, Brightness 0.8 8, Cutout 0.2 2
        Color 0.8 4, TranslateY_BBox 1.0 6, Rotate_BBox 0.6 6
        Rotate_BBox 0.6 10, BBox_Cutout 1.0 4, Cutout 0.2 8
        Rotate_BBox 0.0 0, Equalize 0.6 6, ShearY_BBox 0.6 8
        Brightness 0.8 8, AutoContrast 0.4 2, Brightness 0.2 2
        TranslateY_BBox 0.4 8, Solarize 0.4 6, SolarizeAdd 0.2 10
        Contrast 1.0 10, SolarizeAdd 0.2 8, Equalize 0.2 4""",
    "v3": """Posterize 0.8 2, TranslateX_BBox 1.0 8
        BBox_Cutout 0.2 10, Sharpness 1.0 8
        Rotate_BBox 0.6 8, Rotate_BBox 0.8 10
        Equalize 0.8 10, AutoContrast 0.2 10
        SolarizeAdd 0.2 2, TranslateY_BBox 0.2 8
        Sharpness 0.0 2, Color 0.4 8
        Equalize 1.0 8, TranslateY_BBox 1.0 8
        Posterize 0.6 2, Rotate_BBox 0.0 10
        AutoContrast 0.6 0, Rotate_BBox 1.0 6
        Equalize 0.0 4, Cutout 0.8 10
        Brightness 1.0 2, TranslateY_BBox 1.0 6
        Contrast 0.0 2, ShearY_BBox 0.8 0
        AutoContrast 0.8 10, Contrast 0.2 10
        Rotate_BBox 1.0 10, Cutout 1.0 10
        SolarizeAdd 0.8 6, Equalize 0.8 8""",
}
_MAX_LEVEL = 10.0


@dataclass(frozen=True)
class AutoAugment:
    """Does one sub-policy of `POLICIES[policy]`, each as likely as the others."""

    policy: str

    def __call__(self, example, seed):
        of_choice, of_steps = tf.unstack(tf.random.split(seed, 2))
        choices = sub_policies(self.policy)
        was_float = example.image.dtype != tf.uint8
        pixels = tf.cast(tf.clip_by_value(tf.cast(example.image, tf.float32), 0, 255), tf.uint8)
        start = example._replace(image=pixels if was_float else example.image)

        def done(steps):
            changed = start
            for (name, probability, level), one in zip(
                steps, tf.unstack(tf.random.split(of_steps, len(steps))), strict=True
            ):
                changed = settled(apply(name, probability, level, changed, one))
            return changed

        branches = [lambda steps=steps: done(steps) for steps in choices]
        changed = tf.switch_case(draw_index(choices, of_choice), branches)
        return changed._replace(image=tf.cast(changed.image, example.image.dtype))


def sub_policies(policy):
    """[[(name of a step, probability, level)]] of a policy's name."""
    rows = []
    for line in POLICIES[policy].splitlines():
        steps = [step.split() for step in line.strip().split(", ")]
        rows.append([(name, float(chance), float(level)) for name, chance, level in steps])
    return rows


def apply(name, probability, level, example, seed):
    """An example after a step, which is done with a probability; inside boxes of each box alone."""
    if probability == 0:
        return example
    of_choice, of_step = tf.unstack(tf.random.split(seed, 2))
    share = level / _MAX_LEVEL
    if name in move.INSIDE_BOXES:
        # For each box by itself, and a third as likely.
        count = tf.shape(example.classes)[0]
        chosen = tf.random.stateless_uniform([count], of_choice) < probability / 3.0
        return move.INSIDE_BOXES[name](example, share, chosen, of_step)
    step = move.WHOLE.get(name) or (
        lambda example, share, seed: example._replace(
            image=color.STEPS[name](example.image, share, seed)
        )
    )
    chosen = tf.random.stateless_uniform([], of_choice) < probability
    return tf.cond(chosen, lambda: step(example, share, of_step), lambda: example)
