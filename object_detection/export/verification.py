"""Is what was written the model that was trained? Asked of the files, in a process of their own."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

import object_detection
from object_detection.errors import ExportError
from object_detection.export import fresh_run, serving
from object_detection.metrics import overlaps
from object_detection.structures import run_lengths
from object_detection.structures.masks import paste_mask

# Rounding chooses between detections whose scores all but tie, and whether a box that ends on the
# image's border reads the last row of the features or zeros (TFOD): so many may differ.
_TIES = 0.02
_AT_THE_BORDER = 2  # where there are at least ten times as many
# The same choice is made among proposals, of which this part may be others.
_OTHER_PROPOSALS = 0.1
_PROPOSAL_REACH = 10  # tolerances between a proposal and its partner: most are no detections
_BORDER = 1e-4  # of the image's side
_ADVICE = (
    ". Verify with a photograph of your own to see whether it answers otherwise there as well "
    "(--test_image=FILE), or export without this check (--verify=false)"
)


class Tolerance(NamedTuple):
    """How far an answer may be from the checkpoint's."""

    boxes: float  # fractions of the image
    scores: float
    masks: float  # probabilities


FLOAT32 = Tolerance(boxes=1e-4, scores=1e-4, masks=1e-3)
# The same graph with the same weights, but products of 8 bits: a sum in another order shows.
BFLOAT16 = Tolerance(boxes=1e-2, scores=1e-2, masks=5e-2)


class Question(NamedTuple):
    """What both are asked."""

    image: np.ndarray  # uint8 [h, w, 3]
    input_type: str
    batch: int = 1  # how often it is asked at once


def question(input_type, path=None, shape=(None, None, None)):
    """The image of a file, or a drawn one of 480 x 640 with things in it.

    Args:
        input_type: a key of `serving.INPUT_TYPES`.
        path: of the file, or None.
        shape: (batch, height, width) that the model takes, None where any is taken.

    Raises:
        ValueError: the file holds no image.
    """
    if path is None:
        return Question(_of_size(_drawing(), shape), input_type, shape[0] or 1)
    try:
        image = tf.io.decode_image(tf.io.read_file(str(path)), 3, expand_animations=False)
    except (tf.errors.OpError, ValueError) as fault:
        raise ValueError(f"test_image {path} cannot be read: {fault}") from None
    return Question(_of_size(image.numpy(), shape), input_type, shape[0] or 1)


def _of_size(image, shape):
    """An image [h, w, 3] with rows and columns left out or repeated to the height and width."""
    for axis, side in enumerate(shape[1:]):
        if side is not None:
            length = image.shape[axis]
            image = image.take(np.arange(side) * length // side, axis=axis)
    return image


def _drawing():
    generator = np.random.default_rng(0)
    image = np.linspace(40, 160, 480 * 640 * 3).reshape(480, 640, 3)
    image = image + generator.normal(0, 12, image.shape)
    for _ in range(12):
        top, left = generator.integers(0, (400, 560))
        height, width = generator.integers(20, 160, 2)
        image[top : top + height, left : left + width] = generator.integers(0, 255, 3)
    return image.clip(0, 255).astype(np.uint8)


def answer(detector, resize, image):
    """{name: array} for one image, computed in this process.

    Args:
        detector: `batching.Detector`.
        resize: an `ops.image.Resizer`.
        image: uint8 [h, w, 3].
    """
    pixels, true_shape = resize(tf.constant(image)[tf.newaxis])
    outputs = detector(pixels, true_shape[tf.newaxis])
    return {name: value.numpy() for name, value in outputs.items()}


def ask_files(saved_model, asked, frozen_graph=None):
    """The outputs of written files, from a fresh process: {signature: {name: array}}.

    Raises:
        ExportError: they cannot be loaded or run.
    """
    with tempfile.TemporaryDirectory() as folder:
        batch, outputs = Path(folder, "batch.npz"), Path(folder, "outputs.npz")
        np.savez(batch, **_as_input(asked))
        command = [sys.executable, "-m", "object_detection.export.fresh_run"]
        command += [f"--saved_model={saved_model}", f"--batch={batch}", f"--outputs={outputs}"]
        if frozen_graph is not None:
            command.append(f"--frozen_graph={frozen_graph}")
        package = str(Path(object_detection.__path__[0]).parent)
        paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(paths),
            "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # this process holds memory of the GPU already
        }
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        if done.returncode:
            last = "\n".join(done.stderr.strip().splitlines()[-5:])
            raise ExportError(f"the written model cannot be run in a new process:\n{last}")
        with np.load(outputs) as arrays:
            answers = dict(arrays)
    signatures = {}
    for name, value in answers.items():
        signature, _, output = name.partition("/")
        signatures.setdefault(signature, {})[output] = value
    return signatures


def _as_input(asked):
    """The arrays that `fresh_run` reads."""
    if asked.input_type == "image_tensor":
        return {"pixels": np.stack([asked.image] * asked.batch)}
    if asked.input_type == "float_image_tensor":
        return {"pixels": np.stack([asked.image] * asked.batch).astype(np.float32)}
    encoded = tf.io.encode_png(asked.image).numpy()
    if asked.input_type == "tf_example":
        value = tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded]))
        features = tf.train.Features(feature={"image/encoded": value})
        encoded = tf.train.Example(features=features).SerializeToString()
    return {f"files/{k}": np.frombuffer(encoded, np.uint8) for k in range(asked.batch)}


def narrowed(outputs, options, ids):
    """An answer [1, N, ...] of the whole model with only the rows that the options leave."""
    count = int(outputs["num_detections"][0])
    kept = np.arange(count)
    if options.score_threshold is not None:
        kept = kept[outputs["detection_scores"][0][kept] > options.score_threshold]
    if ids:
        kept = kept[np.isin(outputs["detection_classes"][0][kept], ids)]
    kept = kept[: options.max_detections]
    left = {k: v[:, kept] if k.startswith("detection_") else v for k, v in outputs.items()}
    if options.masks == "none":
        left.pop("detection_masks", None)
    return left | {"num_detections": np.float32([len(kept)])}


def compare(signatures, wanted, tolerance, more_allowed=False):
    """Raises where written models answer otherwise than the checkpoint's.

    Args:
        signatures: from `ask_files`.
        wanted: {name: array [1, ...]} of the checkpoint.
        tolerance: `Tolerance`.
        more_allowed: whether the written models may find others besides (where classes were left
            out, others take their place).

    Raises:
        ExportError: with what is different.
    """
    default = signatures[serving.SIGNATURE]
    for name, outputs in signatures.items():
        if name in (serving.SIGNATURE, fresh_run.FROZEN):
            faults = _differences(outputs, wanted, tolerance, more_allowed)
        else:
            faults = _differences_of_masks(outputs, default)
        if faults:
            raise ExportError(
                f"{name} of the written model does not answer as the checkpoint's model does: "
                + "; ".join(faults)
                + _ADVICE
            )


def _differences(got, wanted, tolerance, more_allowed):
    """What is different, as texts."""
    contract = ("detection_", "num_detections", "raw_detection_scores")
    missing = {k for k in wanted if k not in got and k.startswith(contract)}
    if missing:
        return [f"it lacks {', '.join(sorted(missing))}"]
    numbers = {k: v for k, v in got.items() if k.startswith(contract) and v.dtype.kind == "f"}
    faults = [f"{k} is not finite" for k, v in numbers.items() if not np.isfinite(v).all()]
    count, found = (int(x["num_detections"][0]) for x in (wanted, got))
    spare = max(int(_TIES * count), min(_AT_THE_BORDER, count // 10))
    if abs(found - count) > spare and not (more_allowed and found > count):
        faults.append(f"{found} detections instead of {count}")
    pairs = _pairs(got, wanted, tolerance)
    lost = [k for k in range(count) if k not in pairs]
    others = set(range(found)) - set(pairs.values())
    others = [got["detection_scores"][0, j] for j in others]
    lost = [k for k in lost if not _is_replaced(k, wanted, others, tolerance)]
    if len(lost) > spare:
        scores = ", ".join(f"{wanted['detection_scores'][0, k]:.4f}" for k in lost[:3])
        faults.append(f"{len(lost)} of {count} detections are not there (of scores {scores} ...)")
    if "detection_masks" in wanted and pairs:
        ours, theirs = (np.array(x) for x in zip(*pairs.items(), strict=True))
        off = got["detection_masks"][0, theirs] - wanted["detection_masks"][0, ours]
        off = np.abs(off).max((1, 2))
        if (off > tolerance.masks).sum() > spare:
            faults.append(f"masks differ by up to {off.max():.4f}")
    return faults + _differences_of_proposals(got, wanted, tolerance)


def _pairs(got, wanted, tolerance):
    """{row of wanted: row of got} that are the same detection."""
    pairs, free = {}, set(range(int(got["num_detections"][0])))
    for k in range(int(wanted["num_detections"][0])):
        near = [(off, j) for j in free if (off := _distance(got, j, wanted, k, tolerance)) <= 1]
        if near:
            pairs[k] = min(near)[1]
            free.remove(pairs[k])
    return pairs


def _distance(got, j, wanted, k, tolerance):
    """How far two detections are apart, at most 1 where that is tolerated."""
    name = "detection_classes"
    if name in wanted and got[name][0, j] != wanted[name][0, k]:
        return np.inf
    boxes = np.abs(got["detection_boxes"][0, j] - wanted["detection_boxes"][0, k]).max()
    scores = abs(got["detection_scores"][0, j] - wanted["detection_scores"][0, k])
    return max(boxes / tolerance.boxes, scores / tolerance.scores)


def _is_replaced(k, wanted, others, tolerance):
    """Whether row k all but ties with the last one, and one of the `others`' scores does too."""
    last = wanted["detection_scores"][0, int(wanted["num_detections"][0]) - 1]
    reach = 2 * tolerance.scores
    ties = wanted["detection_scores"][0, k] - last <= reach
    return ties and any(abs(score - last) <= reach for score in others)


def _differences_of_proposals(got, wanted, tolerance):
    """What is different in the scores of all proposals, which tell where nothing is detected.

    Proposals are paired by what they are, box and scores, not by their rows: one that rounding
    chose in place of another moves all rows after it.
    """
    name = "raw_detection_scores"
    if name not in got or name not in wanted:
        return []
    scores = [x[name][0, :, 1:] for x in (got, wanted)]
    boxes = [x["raw_detection_boxes"][0] for x in (got, wanted) if "raw_detection_boxes" in x]
    count = len(scores[1])
    if len(scores[0]) != count:
        return [f"{len(scores[0])} proposals instead of {count}"]
    boxes = boxes if len(boxes) == len(scores) else [np.zeros((count, 4), np.float32)] * 2
    reach = _PROPOSAL_REACH * tolerance.boxes, _PROPOSAL_REACH * tolerance.scores
    others, lost = _without_partner(boxes, scores, reach)
    # A box inside the image that is there again is the same proposal: its scores are wrong.
    inside = [
        k for k in lost if (boxes[1][k] > _BORDER).all() and (boxes[1][k] < 1 - _BORDER).all()
    ]
    off = [
        np.abs(scores[0][j] - scores[1][k]).max()
        for k in inside
        for j in others
        if np.abs(boxes[0][j] - boxes[1][k]).max() <= FLOAT32.boxes
    ]
    if off:
        return [f"the scores of {len(off)} of {count} proposals differ by up to {max(off):.4f}"]
    if len(lost) > _OTHER_PROPOSALS * count:
        best = scores[1][lost].max()
        return [f"{len(lost)} of {count} proposals have no partner (of scores up to {best:.4f})"]
    return []


def _without_partner(boxes, scores, reach):
    """The rows that have no partner, each row being the partner of one other at most.

    Args:
        boxes: two arrays [n, 4].
        scores: two arrays [n, C].
        reach: the largest differences of partners' boxes and scores.

    Returns:
        The rows of the first arrays, and of the second.
    """
    free, lost = np.ones(len(scores[0]), bool), []
    for k in range(len(scores[1])):
        near = free & (np.abs(boxes[0] - boxes[1][k]).max(-1) <= reach[0])
        rows = np.flatnonzero(near)
        off = np.abs(scores[0][rows] - scores[1][k]).max(-1)
        if len(rows) and off.min() <= reach[1]:
            free[rows[off.argmin()]] = False
        else:
            lost.append(k)
    return np.flatnonzero(free), lost


def _differences_of_masks(got, default):
    """A signature with masks of the whole image beside the default one of the same run."""
    count = int(default["num_detections"][0])
    if int(got["num_detections"][0]) != count:
        return [f"{int(got['num_detections'][0])} detections instead of {count}"]
    height, width = (int(side) for side in got["image_size"][0])
    faults = []
    for k in range(count):
        box = default["detection_boxes"][0, k] * [height, width, height, width]
        wanted = paste_mask(default["detection_masks"][0, k], box, height, width) > 0.5
        if serving.RLE_MASKS in got:
            code = {"size": [height, width], "counts": bytes(got[serving.RLE_MASKS][0, k])}
            mask = run_lengths.decode(code)
        else:
            mask = got[serving.IMAGE_MASKS][0, k] > 0
        if (mask != wanted).sum() > 2 + 0.01 * wanted.sum():
            faults.append(f"mask {k} differs in {(mask != wanted).sum()} pixels")
    return faults[:3]


def agreement(got, wanted, least_score=0.05):
    """How an answer of lower precision stands to the float32 one, in numbers.

    Args:
        got, wanted: {name: array [1, ...]}.
        least_score: detections of `wanted` below do not count.
    """
    count, found = (int(x["num_detections"][0]) for x in (wanted, got))
    rows = [k for k in range(count) if wanted["detection_scores"][0, k] >= least_score]
    boxes = (x["detection_boxes"][0, :n] for x, n in ((wanted, count), (got, found)))
    iou = overlaps.of_boxes(*boxes).iou
    classes = "detection_classes"
    if classes in wanted:
        other = wanted[classes][0, :count, np.newaxis] != got[classes][0, :found]
        iou = np.where(other, 0.0, iou)
    again = [k for k in rows if found and iou[k].max() >= 0.8]
    partners = [int(iou[k].argmax()) for k in again]
    scores = wanted["detection_scores"][0, again] - got["detection_scores"][0, partners]
    return {
        "detections": len(rows),
        "found_again": len(again),
        "mean_box_iou": round(float(iou[again, partners].mean()), 4) if again else None,
        "largest_score_change": round(float(np.abs(scores).max()), 4) if again else None,
    }
