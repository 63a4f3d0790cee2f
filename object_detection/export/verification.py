"""Comparison of exported and converted models with the model that was trained.

An export is run in a process of its own and compared with the checkpoint's model. A model that was
converted for another runtime is compared with TensorFlow's graph. Rounding differs from runtime to
runtime: detections with nearly equal scores change their order, so detections are paired by class,
box and score, not by row.
"""

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
from object_detection.export.options import ExportOptions
from object_detection.metrics import overlaps
from object_detection.structures import run_lengths
from object_detection.structures.masks import paste_mask

Outputs = dict[str, np.ndarray]

# Rounding decides between detections whose scores nearly tie, and whether a box that ends on the
# image's border reads the last row of the features or zeros (TFOD): this many may differ.
_TIES = 0.02
_AT_THE_BORDER = 2  # if there are at least ten times as many
# Rounding decides among proposals as well: this fraction of them may be different ones.
_OTHER_PROPOSALS = 0.1
_PROPOSAL_REACH = (
    10  # tolerances between a proposal and its partner: most proposals are no detections
)
_BORDER = 1e-4  # fraction of the image's side
_BORDER_OF_RUNTIMES = 1e-5
_ADVICE = (
    ". Verify with a photograph of your own to see whether its detections differ as well "
    "(--test_image=FILE), or export without this check (--verify=false)"
)


class Tolerance(NamedTuple):
    """Largest accepted differences of paired detections."""

    boxes: float  # fractions of the image
    scores: float
    masks: float  # probabilities


FLOAT32 = Tolerance(boxes=1e-4, scores=1e-4, masks=1e-3)
# The same graph with the same weights, but products of 8 bits: the order of a sum matters.
BFLOAT16 = Tolerance(boxes=1e-2, scores=1e-2, masks=5e-2)
OTHER_RUNTIME = Tolerance(boxes=1e-3, scores=1e-3, masks=1e-3)


class VerificationInput(NamedTuple):
    """Input on which an export and the checkpoint's model are compared."""

    image: np.ndarray  # uint8 [h, w, 3]
    input_type: str
    batch: int = 1  # copies of the image in one request


def verification_input(
    input_type: str,
    path: str | None = None,
    shape: tuple[int | None, int | None, int | None] = (None, None, None),
) -> VerificationInput:
    """Return the image of a file, or a drawn picture of 480 x 640.

    Args:
        input_type: a key of `serving.INPUT_TYPES`.
        path: of the file, or None.
        shape: (batch, height, width) that the model takes; None for any.

    Raises:
        ExportError: the file holds no image.
    """
    image = drawn_picture(480, 640) if path is None else read_picture(path, "test_image")
    for axis, side in enumerate(shape[1:]):  # leave out or repeat rows and columns
        if side is not None:
            length = image.shape[axis]
            image = image.take(np.arange(side) * length // side, axis=axis)
    return VerificationInput(image, input_type, shape[0] or 1)


def read_picture(path: str | Path, name: str) -> np.ndarray:
    """Return the image of a file, uint8 [h, w, 3].

    Args:
        path: of a JPEG, PNG, BMP or GIF file.
        name: of the flag, for the message.

    Raises:
        ExportError: the file holds no image.
    """
    try:
        image = tf.io.decode_image(tf.io.read_file(str(path)), 3, expand_animations=False)
    except (tf.errors.OpError, ValueError) as error:
        raise ExportError(f"{name} {path} cannot be read: {error}") from None
    return image.numpy()


def drawn_picture(height: int, width: int) -> np.ndarray:
    """Return noise and colored rectangles, uint8 [height, width, 3]; the same in every call."""
    generator = np.random.default_rng(0)
    image = np.linspace(40, 160, height * width * 3).reshape(height, width, 3)
    image = image + generator.normal(0, 12, image.shape)
    shortest = min(height, width)
    least = max(shortest // 24, 1)
    for _ in range(12):
        top, left = generator.integers(0, (height * 5 // 6, width * 7 // 8))
        high, wide = generator.integers(least, max(shortest // 3, least + 1), 2)
        image[top : top + high, left : left + wide] = generator.integers(0, 255, 3)
    return image.clip(0, 255).astype(np.uint8)


def num_detections(outputs: Outputs) -> int:
    """Return the number of detections in the first image of a batch."""
    return int(np.asarray(outputs["num_detections"]).reshape(-1)[0])


def run_detector(detector, resize, image: np.ndarray) -> Outputs:
    """Run the checkpoint's model on one image in this process.

    Args:
        detector: `batching.Detector`.
        resize: an `ops.image.Resizer`.
        image: uint8 [h, w, 3].
    """
    pixels, true_shape = resize(tf.constant(image)[tf.newaxis])
    outputs = detector(pixels, true_shape[tf.newaxis])
    return {name: value.numpy() for name, value in outputs.items()}


def run_export(
    saved_model: str | Path,
    inputs: VerificationInput,
    frozen_graph: str | Path | None = None,
) -> dict[str, Outputs]:
    """Run exported files in a new process, which knows nothing but the files.

    Args:
        saved_model: folder of the SavedModel.
        inputs: for every signature.
        frozen_graph: path of a frozen graph to run as well.

    Returns:
        {signature: {name: array}}; the frozen graph's signature is `fresh_run.FROZEN`.

    Raises:
        ExportError: the files cannot be loaded or run.
    """
    with tempfile.TemporaryDirectory() as folder:
        batch, outputs = Path(folder, "batch.npz"), Path(folder, "outputs.npz")
        np.savez(batch, **_as_input(inputs))
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
            arrays_by_name = dict(arrays)
    signatures = {}
    for name, value in arrays_by_name.items():
        signature, _, output = name.partition("/")
        signatures.setdefault(signature, {})[output] = value
    return signatures


def _as_input(inputs):
    """Return the arrays that `fresh_run` reads."""
    if inputs.input_type == "image_tensor":
        return {"pixels": np.stack([inputs.image] * inputs.batch)}
    if inputs.input_type == "float_image_tensor":
        return {"pixels": np.stack([inputs.image] * inputs.batch).astype(np.float32)}
    encoded = tf.io.encode_png(inputs.image).numpy()
    if inputs.input_type == "tf_example":
        value = tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded]))
        features = tf.train.Features(feature={"image/encoded": value})
        encoded = tf.train.Example(features=features).SerializeToString()
    return {f"files/{k}": np.frombuffer(encoded, np.uint8) for k in range(inputs.batch)}


def narrow_outputs(outputs: Outputs, options: ExportOptions, ids: tuple[int, ...]) -> Outputs:
    """Return outputs [1, N, ...] with only the rows that the export options keep.

    Args:
        outputs: of the model without the options.
        options: of the export.
        ids: the classes to keep; () for all.
    """
    kept = np.arange(num_detections(outputs))
    if options.score_threshold is not None:
        kept = kept[outputs["detection_scores"][0][kept] > options.score_threshold]
    if ids:
        kept = kept[np.isin(outputs["detection_classes"][0][kept], ids)]
    kept = kept[: options.max_detections]
    left = {k: v[:, kept] if k.startswith("detection_") else v for k, v in outputs.items()}
    if options.masks == "none":
        left.pop("detection_masks", None)
    return left | {"num_detections": np.float32([len(kept)])}


def check_outputs(
    signatures: dict[str, Outputs],
    expected: Outputs,
    tolerance: Tolerance,
    allow_more: bool = False,
) -> None:
    """Check that an export's outputs equal those of the checkpoint's model.

    Args:
        signatures: result of `run_export`.
        expected: outputs [1, ...] of the checkpoint's model.
        tolerance: of paired detections.
        allow_more: whether the export may return further detections. If classes were excluded,
            others take their place.

    Raises:
        ExportError: the outputs differ; the message lists the differences.
    """
    default = signatures[serving.SIGNATURE]
    for name, outputs in signatures.items():
        if name in (serving.SIGNATURE, fresh_run.FROZEN):
            differences = _output_differences(outputs, expected, tolerance, allow_more)
        else:
            differences = _mask_differences(outputs, default)
        if differences:
            raise ExportError(
                f"{name} of the written model differs from the checkpoint's model: "
                + "; ".join(differences)
                + _ADVICE
            )


def _output_differences(outputs, expected, tolerance, allow_more):
    """Return the differences of a signature with boxes, as texts."""
    contract = ("detection_", "num_detections", "raw_detection_scores")
    missing = {k for k in expected if k not in outputs and k.startswith(contract)}
    if missing:
        return [f"missing outputs: {', '.join(sorted(missing))}"]
    numbers = {k: v for k, v in outputs.items() if k.startswith(contract) and v.dtype.kind == "f"}
    differences = [f"{k} is not finite" for k, v in numbers.items() if not np.isfinite(v).all()]
    count, detected = num_detections(expected), num_detections(outputs)
    spare = max(int(_TIES * count), min(_AT_THE_BORDER, count // 10))
    if abs(detected - count) > spare and not (allow_more and detected > count):
        differences.append(f"{detected} detections instead of {count}")
    pairs = match_detections(outputs, expected, tolerance)
    lost = [k for k in range(count) if k not in pairs]
    others = set(range(detected)) - set(pairs.values())
    others = [outputs["detection_scores"][0, j] for j in others]
    lost = [k for k in lost if not _is_tied_replacement(k, expected, others, tolerance)]
    if len(lost) > spare:
        scores = ", ".join(f"{expected['detection_scores'][0, k]:.4f}" for k in lost[:3])
        differences.append(f"{len(lost)} of {count} detections are missing (scores {scores} ...)")
    if "detection_masks" in expected and pairs:
        ours, theirs = (np.array(x) for x in zip(*pairs.items(), strict=True))
        off = outputs["detection_masks"][0, theirs] - expected["detection_masks"][0, ours]
        off = np.abs(off).max((1, 2))
        if (off > tolerance.masks).sum() > spare:
            differences.append(f"masks differ by up to {off.max():.4f}")
    return differences + _proposal_differences(outputs, expected, tolerance)


def match_detections(outputs: Outputs, expected: Outputs, tolerance: Tolerance) -> dict[int, int]:
    """Pair the detections of one image: same class, box and score within the tolerance.

    Returns:
        {row of `expected`: row of `outputs`}; each row occurs once at most.
    """
    pairs, free = {}, set(range(num_detections(outputs)))
    for k in range(num_detections(expected)):
        distances = ((_distance(outputs, j, expected, k, tolerance), j) for j in free)
        near = [(distance, j) for distance, j in distances if distance <= 1]
        if near:
            pairs[k] = min(near)[1]
            free.remove(pairs[k])
    return pairs


def _distance(outputs, j, expected, k, tolerance):
    """Return the distance of two detections in tolerances; infinite for different classes."""
    name = "detection_classes"
    if name in expected and outputs[name][0, j] != expected[name][0, k]:
        return np.inf
    boxes = np.abs(outputs["detection_boxes"][0, j] - expected["detection_boxes"][0, k]).max()
    scores = abs(outputs["detection_scores"][0, j] - expected["detection_scores"][0, k])
    return max(boxes / tolerance.boxes, scores / tolerance.scores)


def _is_tied_replacement(k, expected, others, tolerance):
    """Whether row k nearly ties with the last row, and a score of `others` does as well."""
    last = expected["detection_scores"][0, num_detections(expected) - 1]
    reach = 2 * tolerance.scores
    ties = expected["detection_scores"][0, k] - last <= reach
    return ties and any(abs(score - last) <= reach for score in others)


def _proposal_differences(outputs, expected, tolerance):
    """Return the differences in the scores of all proposals.

    They reveal a difference even if nothing is detected. Proposals are paired by box and scores,
    not by row: one that rounding exchanged for another moves all rows after it.
    """
    name = "raw_detection_scores"
    if name not in outputs or name not in expected:
        return []
    scores = [x[name][0, :, 1:] for x in (outputs, expected)]
    boxes = [x["raw_detection_boxes"][0] for x in (outputs, expected) if "raw_detection_boxes" in x]
    count = len(scores[1])
    if len(scores[0]) != count:
        return [f"{len(scores[0])} proposals instead of {count}"]
    boxes = boxes if len(boxes) == len(scores) else [np.zeros((count, 4), np.float32)] * 2
    reach = _PROPOSAL_REACH * tolerance.boxes, _PROPOSAL_REACH * tolerance.scores
    others, lost = _unmatched_rows(boxes, scores, reach)
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


def _unmatched_rows(boxes, scores, reach):
    """Return the rows without a partner; each row is the partner of one other at most.

    Args:
        boxes: two arrays [n, 4].
        scores: two arrays [n, C].
        reach: the largest differences of partners' boxes and scores.

    Returns:
        The unmatched rows of the first arrays, and of the second.
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


def _mask_differences(outputs, default):
    """Return the differences of a signature with masks of the whole image from the default one."""
    count = num_detections(default)
    if num_detections(outputs) != count:
        return [f"{num_detections(outputs)} detections instead of {count}"]
    height, width = (int(side) for side in outputs["image_size"][0])
    differences = []
    for k in range(count):
        box = default["detection_boxes"][0, k] * [height, width, height, width]
        expected = paste_mask(default["detection_masks"][0, k], box, height, width) > 0.5
        if serving.RLE_MASKS in outputs:
            code = {"size": [height, width], "counts": bytes(outputs[serving.RLE_MASKS][0, k])}
            mask = run_lengths.decode(code)
        else:
            mask = outputs[serving.IMAGE_MASKS][0, k] > 0
        if (mask != expected).sum() > 2 + 0.01 * expected.sum():
            differences.append(f"mask {k} differs in {(mask != expected).sum()} pixels")
    return differences[:3]


def precision_effect(outputs: Outputs, expected: Outputs, min_score: float = 0.05) -> dict:
    """Summarize how outputs of lower precision differ from the float32 ones.

    Args:
        outputs: of the lower precision, arrays [1, ...].
        expected: of float32.
        min_score: detections of `expected` with lower scores are not counted.
    """
    count, detected = num_detections(expected), num_detections(outputs)
    rows = [k for k in range(count) if expected["detection_scores"][0, k] >= min_score]
    boxes = (x["detection_boxes"][0, :n] for x, n in ((expected, count), (outputs, detected)))
    iou = overlaps.of_boxes(*boxes).iou
    classes = "detection_classes"
    if classes in expected:
        other = expected[classes][0, :count, np.newaxis] != outputs[classes][0, :detected]
        iou = np.where(other, 0.0, iou)
    again = [k for k in rows if detected and iou[k].max() >= 0.8]
    partners = [int(iou[k].argmax()) for k in again]
    scores = expected["detection_scores"][0, again] - outputs["detection_scores"][0, partners]
    return {
        "detections": len(rows),
        "found_again": len(again),
        "mean_box_iou": round(float(iou[again, partners].mean()), 4) if again else None,
        "largest_score_change": round(float(np.abs(scores).max()), 4) if again else None,
    }


class RuntimeComparison(NamedTuple):
    """Agreement of two runtimes on one image; differences are the largest among the pairs."""

    expected: int  # detections of TensorFlow
    detected: int  # detections of the other runtime
    paired: int  # same class; box and score within the tolerance
    boxes: float  # as fractions of the image's sides
    scores: float
    masks: float | None  # of pairs that are not at the border; None without masks
    masks_off_at_border: int  # pairs at the border whose masks differ by more than the tolerance

    @property
    def is_complete(self) -> bool:
        """Whether every detection has its pair, and every mask away from the border agrees."""
        masks_agree = self.masks is None or self.masks <= OTHER_RUNTIME.masks
        return self.expected == self.detected == self.paired and masks_agree

    def __str__(self) -> str:
        text = (
            f"{self.paired} of {self.expected} detections agree ({self.detected} from the "
            f"converted model); largest difference: {self.boxes:.1e} (boxes), "
            f"{self.scores:.1e} (scores)"
        )
        if self.masks is not None:
            text += f", {self.masks:.1e} (masks)"
        if self.masks_off_at_border:
            text += f"; {self.masks_off_at_border} mask(s) at the image border differ by more"
        return text


def compare_runtimes(outputs: Outputs, expected: Outputs) -> RuntimeComparison:
    """Compare a converted model's outputs for one image with TensorFlow's.

    Where a box ends on the image's border, its last row of features is read or left out (points
    outside read 0), which changes its mask. Masks of such boxes are counted separately.

    Args:
        outputs: of the other runtime, by TFOD's names, for a batch of one image.
        expected: of TensorFlow.
    """
    tolerance = OTHER_RUNTIME
    pairs = match_detections(outputs, expected, tolerance)
    ours, theirs = list(pairs), list(pairs.values())

    def difference(name):
        return np.abs(np.asarray(expected[name])[0, ours] - np.asarray(outputs[name])[0, theirs])

    masks, at_border = None, 0
    if "detection_masks" in expected:
        off = difference("detection_masks").max(axis=(1, 2), initial=0.0)
        boxes = np.asarray(expected["detection_boxes"])[0, ours]
        borders = ((boxes < _BORDER_OF_RUNTIMES) | (boxes > 1 - _BORDER_OF_RUNTIMES)).any(axis=1)
        borders &= off > tolerance.masks
        masks, at_border = float(off[~borders].max(initial=0.0)), int(borders.sum())
    return RuntimeComparison(
        num_detections(expected),
        num_detections(outputs),
        len(pairs),
        float(difference("detection_boxes").max(initial=0.0)),
        float(difference("detection_scores").max(initial=0.0)),
        masks,
        at_border,
    )
