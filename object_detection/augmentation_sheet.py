"""Draws what augmentations do: `python -m object_detection.augmentation_sheet --help`.

--output=sheet.png                                     every step there is, on a drawn picture
--output=sheet.png --records='records/train.record-*'  ... on examples of your own
--output=sheet.png --pipeline_config_path=pipeline.config --records=...    the steps of a config

A row is a step: the example before it, then what it becomes for some seeds. The last row of a
config's sheet is all its steps in turn.
"""

import os
import sys
from pathlib import Path

if not __package__:  # run as a file: Python then looks in this folder, not in the one above
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from absl import flags, logging  # noqa: E402

from object_detection import atomic  # noqa: E402
from object_detection.cli import runner  # noqa: E402

FLAGS = flags.FLAGS
# Settings under which a step is seen; the others have their defaults.
SHOWN = {
    "normalize_image": "original_maxval: 255 target_maxval: 128",
    "random_horizontal_flip": "probability: 1",
    "random_vertical_flip": "probability: 1",
    "random_rotation90": "probability: 1",
    "random_pixel_value_scale": "minval: 0.6 maxval: 1.4",
    "random_rgb_to_gray": "probability: 1",
    "random_adjust_hue": "max_delta: 0.2",
    "random_jitter_boxes": "ratio: 0.2",
    "random_crop_image": "min_object_covered: 0.3 max_area: 0.6",
    "random_crop_pad_image": "min_object_covered: 0.3 max_area: 0.6",
    "random_crop_to_aspect_ratio": "aspect_ratio: 0.6",
    "random_resize_method": "target_height: 120 target_width: 256",
    "resize_image": "new_height: 256 new_width: 120 method: NEAREST_NEIGHBOR",
    "subtract_channel_mean": "means: [60, 0, 0]",
    "random_absolute_pad_image": "max_height_padding: 100 max_width_padding: 50",
    "random_self_concat_image": "concat_vertical_probability: 0.5 "
    "concat_horizontal_probability: 0.5",
    "autoaugment_image": 'policy_name: "v1"',
    "drop_label_probabilistically": "label: 1 drop_probability: 0.7",
    "remap_labels": "original_labels: [1, 2, 3] new_label: 4",
    "random_jpeg_quality": "max_jpeg_quality: 20",
    "random_downscale_to_target_pixels": "min_target_pixels: 2000 max_target_pixels: 10000",
    "random_patch_gaussian": "min_patch_size: 60",
    "random_scale_crop_and_pad_to_square": "output_size: 200",
    "adjust_gamma": "gamma: 2",
}
LABEL_HEIGHT = 16  # pixels of a row's title


def define_flags():
    """The flags of this command."""
    flags.DEFINE_string("output", "augmentation_sheet.png", "The picture.")
    flags.DEFINE_string("records", "", "Record files; a pattern in quotes. Unset: drawn pictures.")
    flags.DEFINE_string("pipeline_config_path", "", "Show the steps of this config.")
    flags.DEFINE_multi_string(
        "step", [], "Show this step: 'random_crop_image { min_area: 0.5 }'. May be given again."
    )
    flags.DEFINE_integer("seeds", 4, "Results of each step.", 1)
    flags.DEFINE_integer("cell", 160, "Pixels of a picture's longer side.", 32)
    flags.DEFINE_integer("columns", 2, "Rows of results beside each other.", 1)
    flags.DEFINE_integer("seed", 0, "Of all draws.")


def main(arguments):
    """Draws as the flags say; returns the exit code."""
    runner.refuse_arguments(arguments)
    from object_detection.training import commands

    commands.start_tensorflow()
    from PIL import Image

    rows = rows_of_flags()
    examples = stored_examples(FLAGS.records) if FLAGS.records else drawn_examples()
    pictures = [row_picture(name, steps, examples) for name, steps in rows]
    with atomic.replacing(FLAGS.output) as partial:
        form = Image.registered_extensions().get(Path(FLAGS.output).suffix.lower())
        if form is None:
            raise ValueError(f"--output {FLAGS.output}: give it the ending of a picture, as .png")
        Image.fromarray(_tiled(pictures, FLAGS.columns)).save(partial, form)
    print(f"{len(rows)} steps on {FLAGS.output}")
    return 0


def rows_of_flags():
    """[(title, augmentations)] of the sheet.

    Raises:
        ValueError: a step that cannot be read, or is not supported.
    """
    from google.protobuf import text_format

    from object_detection.builders import preprocessor_builder
    from object_detection.config import pipeline_file

    if FLAGS.pipeline_config_path:
        config = pipeline_file.load(FLAGS.pipeline_config_path)
        steps = list(config.train_config.data_augmentation_options)
        texts = [text_format.MessageToString(step, as_one_line=True) for step in steps]
        rows = [(t, [preprocessor_builder.build(s)]) for t, s in zip(texts, steps, strict=True)]
        every = [augmentation for _, (augmentation,) in rows]
        return [*rows, ("all in turn", every)]
    names = preprocessor_builder.AUGMENTATIONS
    texts = FLAGS.step or [f"{name} {{ {SHOWN.get(name, '')} }}" for name in names]
    build, read = preprocessor_builder.build, preprocessor_builder.read
    return [(text, [build(read(text))]) for text in texts]


def drawn_examples():
    """Two `Example` of drawn scenes, 192 x 256."""
    import numpy as np
    import tensorflow as tf

    from object_detection.data.augment.geometry import boxes_of_masks
    from object_detection.data.example import Example
    from object_detection.dataset_tools import shape_scenes
    from object_detection.structures.batch import CroppedMasks

    examples = []
    for number in (5, 9):  # of many shapes
        scene = shape_scenes.draw(number, size=256)
        seen = scene.masks[:, 32:224].any((1, 2))
        masks = tf.constant(scene.masks[seen, 32:224].astype(np.uint8))
        kinds = sorted(set(scene.kinds))
        ids = [1 + kinds.index(k) for k, here in zip(scene.kinds, seen, strict=True) if here]
        count = len(ids)
        example = Example(
            id=tf.constant(str(number)),
            image=tf.constant(scene.pixels[32:224]),
            boxes_normalized=boxes_of_masks(masks),
            classes=tf.constant(ids, tf.int32),
            weights=tf.ones([count]),
            crowd=tf.zeros([count], tf.bool),
            difficult=tf.zeros([count], tf.bool),
            area=tf.zeros([count]),
            masks=CroppedMasks.from_whole(masks),
        )
        examples.append(example)
    return examples


def stored_examples(pattern):
    """The first two `Example` of record files.

    Raises:
        ValueError: no file, or fewer than two good records with objects.
    """

    from object_detection.data.decoder import Decoder, DecoderOptions
    from object_detection.data.decoding import repair
    from object_detection.data.files import find_files
    from object_detection.data.report import InputReport
    from object_detection.reports import raw_records

    decoder = Decoder(DecoderOptions(num_classes=2**20, class_ids={}, load_masks=True))
    examples = []
    paths = find_files(pattern, field="--records")
    for serialized, path, index in raw_records.read(paths, InputReport(name="records")):
        repaired, fault, detail = repair(serialized, decoder)
        if fault:
            place = f"{os.path.basename(path)}, record {index}"
            logging.warning("Left out: %s: %s: %s", place, fault, detail)
            continue
        decoded = decoder(repaired)
        if len(decoded.example.classes):
            examples.append(decoded.example)
        if len(examples) == 2:
            return examples
    raise ValueError(f"--records {pattern}: fewer than two records with objects.")


def row_picture(title, steps, examples):
    """[h, w, 3] uint8: the title, an example, and what it becomes for each seed."""
    import tensorflow as tf

    from object_detection.data.augment.objects import CopyPaste

    def changed(number):
        example, other = examples
        for place, step in enumerate(steps):
            seed = tf.stack([tf.constant(FLAGS.seed, tf.int64), number * len(steps) + place])
            paste = isinstance(step, CopyPaste)
            example = step(example, other, seed) if paste else step(example, seed)
            example = example.with_known_ranks()
        return example

    results = tf.data.Dataset.range(FLAGS.seeds).map(changed)
    return _titled(title, [_drawn(one, FLAGS.cell) for one in [examples[0], *results]])


def _drawn(example, side):
    """[side, side, 3] uint8: an example with its objects, fitted into a square."""
    import numpy as np
    import tensorflow as tf
    from PIL import Image

    from object_detection.data.augment.scale import resize_masks
    from object_detection.structures import drawing

    pixels = np.clip(np.asarray(example.image, np.float32), 0, 255).astype(np.uint8)
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    size = max(round(scale * height), 1), max(round(scale * width), 1)
    image = np.asarray(Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BILINEAR))
    masks = None
    if example.masks is not None and len(example.masks.pixels):
        masks = resize_masks(example.masks.pixels, tf.constant(size)).numpy() > 0
    boxes = np.asarray(example.boxes_normalized) * [*size, *size]
    colors = [drawing.color_of(int(one)) for one in example.classes]
    labels = [""] * len(colors)
    drawn = drawing.draw_objects(
        image, boxes, labels, colors, masks, line_thickness=1, mask_alpha=0.35
    )
    square = np.full((side, side, 3), 255, np.uint8)
    top, left = (side - size[0]) // 2, (side - size[1]) // 2
    square[top : top + size[0], left : left + size[1]] = drawn
    return square


def _titled(title, cells):
    import numpy as np
    from PIL import Image, ImageDraw

    row = np.concatenate(
        [np.pad(c, [(0, 0), (0, 4), (0, 0)], constant_values=255) for c in cells], 1
    )
    strip = Image.new("RGB", (row.shape[1], LABEL_HEIGHT), "white")
    ImageDraw.Draw(strip).text((2, 2), title, fill="black")
    return np.concatenate([np.asarray(strip), row])


def _tiled(pictures, columns):
    import numpy as np

    while len(pictures) % columns:
        pictures = [*pictures, np.full_like(pictures[0], 255)]
    lines = [
        np.concatenate(pictures[first : first + columns], axis=1)
        for first in range(0, len(pictures), columns)
    ]
    return np.concatenate(lines)


def run():
    """The command."""
    runner.run(main, define_flags)


if __name__ == "__main__":
    run()
