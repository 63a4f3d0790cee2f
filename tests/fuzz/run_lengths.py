"""Damaged run lengths and COCO results, judged as `evaluate` judges them."""

import copy

import mutations
import numpy as np
from absl import flags, logging
from drawn_sets import blob, image
from pycocotools import mask as rle_codec

from object_detection import evaluate
from object_detection.datasets import masks
from object_detection.datasets.annotations import RunLengths

ERRORS = ("AnnotationError", "MaskError", "ResultFileError")
HEIGHT, WIDTH = 30, 40
FLAGS = flags.FLAGS
BOX = [10.0, 5.0, 20.0, 10.0]


def prepare(folder):
    """A truth with masks in every form, and detections of it."""
    evaluate.define_flags()
    FLAGS(["evaluate"])
    logging.set_verbosity(logging.FATAL)
    image(folder / "images" / "a.png", HEIGHT, WIDTH)
    image(folder / "images" / "b.png", HEIGHT, WIDTH)
    forms = _forms()
    truth = {
        "images": [
            {"id": number, "file_name": name, "height": HEIGHT, "width": WIDTH}
            for number, name in ((1, "a.png"), (2, "b.png"))
        ],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [
            {
                "id": number,
                "image_id": 1 + number % 2,
                "category_id": 1 + number % 2,
                "bbox": BOX,
                "area": 200.0,
                "iscrowd": int(number == 3),
                "segmentation": form,
            }
            for number, form in enumerate(forms, 1)
        ],
    }
    results = [
        {"image_id": 1, "category_id": 2, "score": 0.9, "bbox": BOX, "segmentation": form}
        for form in forms
    ]
    return folder / "images", truth, results


def _forms():
    """The same masks as polygons, plain run lengths and compressed ones."""
    bitmap = np.asfortranarray(blob(height=HEIGHT, width=WIDTH).astype(np.uint8))
    code = rle_codec.encode(bitmap)
    size = [HEIGHT, WIDTH]
    edges = np.flatnonzero(np.diff(bitmap.T.ravel(), prepend=0)).tolist()
    plain = np.diff([0, *edges, HEIGHT * WIDTH]).tolist()
    square = [10, 5, 30, 5, 30, 15, 10, 15]
    return (
        [square],
        {"size": size, "counts": plain},
        {"size": size, "counts": code["counts"].decode()},
        {"size": size, "counts": [200, 10, 1000 - 10]},
    )


def run(dice, state, folder):
    images, truth, results = state
    if dice.random() < 0.4:
        _codec(dice, dice.choice(results)["segmentation"], folder)
        return
    damaged = [truth, results]
    which = dice.choice([0, 1, 1])
    if dice.random() < 0.6:
        damaged[which] = _with_odd_runs(damaged[which], dice)
    else:
        damaged[which] = mutations.damaged_value(damaged[which], dice)
    names = ("truth.json", "results.json")
    for name, content in zip(names, damaged, strict=True):
        (folder / name).write_bytes(mutations.json_bytes(content))
    if dice.random() < 0.1:
        mutations.damaged_file(folder / dice.choice(names), dice)
    FLAGS.annotations_file, FLAGS.results = (str(folder / name) for name in names)
    FLAGS.image_dir, FLAGS.output_dir = str(images), str(folder / "out")
    FLAGS.worst_images = dice.choice([0, 0, 0, 2])
    evaluate.evaluate()


def _with_odd_runs(content, dice):
    """A copy whose masks are damaged as masks are: their lengths, their sizes, their texts."""
    content = copy.deepcopy(content)
    entries = content["annotations"] if isinstance(content, dict) else content
    for entry in dice.sample(entries, dice.choice([1, 1, 2])):
        entry["segmentation"] = _odd_runs(dice, entry["segmentation"])
        if dice.random() < 0.2:
            entry.pop("bbox")
    return content


def _odd_runs(dice, form):
    if isinstance(form, list):
        return mutations.damaged_value({"s": form}, dice).get("s")
    counts, size = form["counts"], list(form["size"])
    action = dice.randrange(8)
    if action == 0:
        size = size[::-1]
    elif action == 1:
        size[dice.randrange(2)] += dice.choice([1, -1, -size[0], 10**4, 10**9, 2**31, 0.5])
    elif action == 2:
        size = dice.choice(
            [[0, 0], [1], [], [1, 2, 3], None, "30x40", [60000, 60000], ["30", "40"]]
        )
    elif isinstance(counts, str):
        counts = _odd_text(dice, counts)
    else:
        counts = list(counts)
        counts[dice.randrange(len(counts))] += dice.choice([1, -1, 10, -2000, 2**31, 2**32, 10**30])
        counts += dice.choice([[], [], [0], [0, 0], [1], [-1], [None], [1.5], ["7"]])
    return {"size": size, "counts": counts}


def _odd_text(dice, text):
    at = dice.randrange(len(text) + 1)
    return dice.choice(
        [
            text[:at],
            text + dice.choice(["0", "1", "o", "~", "P", "\x7f", "é", "\0", "\ud800"]),
            text[:at] + chr(dice.randrange(32, 128)) + text[at + 1 :],
            text[:at] + text[at:] * dice.choice([2, 500]),
            f"b'{text}'",
            text.encode().hex(),
            "o" * dice.choice([1, 14, 5000]),
            "",
        ]
    )


def _codec(dice, form, folder):
    """The codec itself, as the converters call it."""
    form = _odd_runs(dice, form)
    (folder / "mask.json").write_bytes(mutations.json_bytes([form]))
    if not isinstance(form, dict) or not isinstance(form.get("size"), list):
        return
    if len(form["size"]) != 2 or "counts" not in form:
        return
    counts = form["counts"]
    if isinstance(counts, str):
        counts = counts.encode("utf-8", "surrogatepass")
    if not all(isinstance(side, int) for side in form["size"]):
        return
    if isinstance(counts, list) and not all(type(count) is int for count in counts):
        return
    runs = RunLengths(*form["size"], counts)
    for made in (masks.decode_runs(runs), masks.rasterize(runs, HEIGHT, WIDTH)):
        if made.ndim != 2:
            raise RuntimeError("no mask")
