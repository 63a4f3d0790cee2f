"""Scans images with their objects: as stored in record files, and as a model gets them.

`RecordScanner` decodes every record and checks its objects; `pipeline_examples` takes examples from
an input pipeline, after augmentation, resizing and padding.
"""

import hashlib
import os
from collections import defaultdict, deque
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from object_detection.data import report
from object_detection.data.decoder import Decoder, DecoderOptions
from object_detection.data.decoding import repair
from object_detection.reports import findings as checks
from object_detection.reports import raw_records
from object_detection.reports.findings import (
    FACT,
    LOOK,
    LOST,
    Finding,
    ImageFacts,
    severity_of,
    undecodable,
)
from object_detection.structures.instances import Instances
from object_detection.structures.masks import Masks
from object_detection.training.stored_frame import masks_of, to_numpy

_MASK_FAULTS = {report.MASK_COUNT, report.BAD_MASK, report.MASK_SIZE, report.WRONG_TYPE}


PADDED = "image is padded"


class ScannedRecord(NamedTuple):
    """Facts about a record, and what identifies it."""

    facts: ImageFacts
    path: str
    index: int
    digest: bytes  # of the image file


class PipelineExample(NamedTuple):
    """One image of a batch of an input pipeline."""

    facts: ImageFacts  # sizes in pixels of the resized image
    pixels: np.ndarray  # uint8 [H, W, 3], with its padding
    masks: Masks | None  # of the resized image


class RecordScanner:
    """Reads records one by one and checks their objects.

    Args:
        files: Paths of the record files.
        classes: The `Classes` of the records.
        num_classes: Objects with larger ids are reported as lost.
        ignore_texts: Objects with one of these texts are ignore regions.
    """

    def __init__(self, files, classes, num_classes, ignore_texts=()):
        self.files = files
        self.classes = classes
        # Problems of whole files; those of records are in their facts.
        self.file_report = report.InputReport(name="records")
        options = DecoderOptions(
            num_classes=num_classes, class_ids=classes.ids, ignore_texts=tuple(ignore_texts)
        )
        self._decoders = {
            None: _InGraph(options),
            raw_records.PNG: _InGraph(options._replace(load_masks=True)),
            raw_records.NUMERICAL: _InGraph(options._replace(load_masks=True, png_masks=False)),
        }

    def scan(self, *, keep_every=1):
        """Scan all records, or one of `keep_every`; yields `ScannedRecord`s in order."""
        records = raw_records.read(self.files, self.file_report, keep_every=keep_every)
        yield from _mapped(self._scan, records)

    def examples(self, selected):
        """Decode selected records again, to draw them.

        Args:
            selected: Set of (path, index).

        Yields:
            (path, index, `Example` of arrays, or None if the image cannot be decoded).
        """
        unused = report.InputReport(name="records")
        paths = [path for path in self.files if any(path == other for other, _ in selected)]
        for serialized, path, index in raw_records.read(paths, unused):
            if (path, index) in selected:
                decoded, _ = self._decode(raw_records.parse(serialized, path, index))
                yield path, index, decoded and decoded.example

    def decoded(self):
        """Decode all records; yields (`RawRecord`, `Example` of arrays or None, findings).

        A record whose masks cannot be decoded is left out, as in training.
        """

        def decode(record):
            raw = raw_records.parse(*record)
            decoded, findings = self._decode(raw)
            is_bad = any(finding.reason in _MASK_FAULTS for finding in findings)
            return raw, None if is_bad or decoded is None else decoded.example, findings

        yield from _mapped(decode, raw_records.read(self.files, self.file_report))

    def _scan(self, record):
        raw = raw_records.parse(*record)
        digest = hashlib.sha256(raw.encoded).digest()[:12] if raw.encoded else b""
        decoded, findings = self._decode(raw)
        if decoded is None:
            facts = undecodable(raw.id or raw.place, raw.place, tuple(findings))
        else:
            facts = self._facts(raw, decoded.example, findings)
        return ScannedRecord(facts, raw.path, raw.index, digest)

    def _decode(self, raw):
        """Return (`Decoded` of arrays or None, list of `Finding`s)."""
        decoded, repairs, fault, detail = self._decoders[raw.mask_kind](raw.serialized)
        findings = []
        if fault:
            findings.append(Finding(LOST, fault, detail))
            if fault in _MASK_FAULTS:  # its image and boxes can still be shown
                decoded = self._decoders[None](raw.serialized)[0]
        if decoded is None:
            return None, findings
        if repairs:
            findings.append(Finding(LOOK, report.REPAIRED, repairs))
        texts = decoded.unknown_texts.decode("utf-8", "replace")
        for reason, count in zip(report.OBJECT_REASONS, decoded.counts, strict=True):
            if count:
                detail = texts if reason == report.UNKNOWN_CLASS_TEXT else f"{count} of them"
                findings.append(Finding(severity_of(reason), reason, detail, int(count)))
        return decoded, findings

    def _facts(self, raw, example, findings):
        size = example.image.shape[:2]
        boxes = example.boxes_normalized * np.float32([*size, *size])
        masks = None
        if example.masks is not None:
            masks = checks.extents_in_image(Masks.from_dense(example.masks.pixels), size)
        objects = Instances(
            *size, boxes, example.classes, crowd=example.crowd, difficult=example.difficult
        )
        findings += self._about_record(raw, size)
        findings += checks.check_objects(objects, masks)
        return ImageFacts(
            id=raw.id or raw.place,
            place=raw.place,
            size=size,
            objects=objects,
            mask_area=None if masks is None else masks[1],
            findings=tuple(findings),
        )

    def _about_record(self, raw, size):
        """Yield where what the record states about the image and its classes is wrong."""
        if raw.stated_size and raw.stated_size != size:
            detail = "{} x {} is stated, the image is {} x {}".format(*raw.stated_size, *size)
            yield Finding(LOOK, checks.OTHER_SIZE, detail)
        if self.classes.is_given and len(raw.labels) == len(raw.texts):
            expected = [self.classes.ids.get(text.decode("utf-8", "replace")) for text in raw.texts]
            differ = [
                f"{text.decode('utf-8', 'replace')} is {label}, not {number}"
                for text, label, number in zip(raw.texts, raw.labels, expected, strict=True)
                if number is not None and number != label
            ]
            if differ:
                detail = ", ".join(dict.fromkeys(differ))
                yield Finding(LOOK, checks.OTHER_LABEL, detail, len(differ))


def with_duplicates(records):
    """Return the facts with findings that only show when all records are compared.

    Args:
        records: List of all `ScannedRecord`s.

    Returns:
        List of `ImageFacts`.
    """
    of_id, of_image = defaultdict(list), defaultdict(list)
    for each in records:
        of_id[each.facts.id].append(each.facts.place)
        if each.digest:
            of_image[each.digest].append(each.facts.place)
    any_masks = any(each.facts.mask_area is not None for each in records)
    compared = []
    for each in records:
        facts, more = each.facts, []
        if len(of_image[each.digest]) > 1:
            more.append(Finding(LOOK, checks.SAME_IMAGE, _others(of_image[each.digest])))
        if len(of_id[facts.id]) > 1:
            more.append(Finding(LOOK, checks.SAME_ID, _others(of_id[facts.id])))
        if any_masks and len(facts.objects.boxes) and facts.mask_area is None:
            more.append(Finding(LOOK, checks.NO_MASKS, "", len(facts.objects.boxes)))
        compared.append(facts._replace(findings=(*facts.findings, *more)))
    return compared


def pipeline_examples(pipeline, limit):
    """Yield the first images of an input pipeline.

    Args:
        pipeline: `data.pipeline.InputPipeline`.
        limit: Largest number of images; at most one epoch.

    Yields:
        `PipelineExample`.

    Raises:
        RecordError: The pipeline gives no example.
    """
    limit = min(limit, pipeline.count_examples())
    done = 0
    for batch in pipeline if limit else ():
        for row in range(len(batch.image_id)):
            if done < limit:
                done += 1
                yield _example_of(batch, row, done)
        if done >= limit:
            return


def with_reported(images, input_report):
    """Return the facts with what the pipeline reported about their records meanwhile.

    Args:
        images: List of `ImageFacts`.
        input_report: The pipeline's `InputReport`.
    """
    reported = {}
    for reason in report.OBJECT_REASONS:
        for name in input_report.names(reason):
            identity = name.rpartition(" (")[0]
            reported.setdefault(identity, []).append(Finding(severity_of(reason), reason))
    return [
        image._replace(findings=(*image.findings, *reported.get(image.id, ()))) for image in images
    ]


def _example_of(batch, row, number):
    truth = batch.truth
    valid = truth.valid[row].numpy()
    size = tuple(int(side) for side in batch.images.true_shape[row])
    objects = Instances(
        *size,
        truth.boxes[row].numpy()[valid],
        truth.classes[row].numpy()[valid],
        crowd=truth.crowd[row].numpy()[valid],
        difficult=truth.difficult[row].numpy()[valid],
    )
    pixels = np.uint8(np.clip(np.rint(batch.images.pixels[row].numpy()), 0, 255))
    masks = masks_of(to_numpy(truth.masks), row, valid)
    extents = None if masks is None else checks.extents_in_image(masks, size)
    findings = checks.check_objects(objects, extents)
    if pixels.shape[:2] != size:
        detail = "{} x {} of {} x {} are image".format(*size, *pixels.shape[:2])
        findings.append(Finding(FACT, PADDED, detail))
    facts = ImageFacts(
        id=batch.image_id[row].numpy().decode("utf-8", "replace"),
        place=f"example {number} of the pipeline",
        size=size,
        objects=objects,
        mask_area=None if extents is None else extents[1],
        findings=tuple(findings),
    )
    return PipelineExample(facts, pixels, None if masks is None else masks.resize(*size))


class _InGraph:
    """A decoder as a graph, with a slow path for records that the graph cannot decode."""

    def __init__(self, options):
        self._decoder = Decoder(options)
        signature = [tf.TensorSpec([], tf.string)]
        self._graph = tf.function(self._decoder, input_signature=signature, autograph=False)

    def __call__(self, serialized):
        """Return (`Decoded` of arrays or None, repairs, fault, detail)."""
        try:
            return self._decoded(serialized), "", "", ""
        except Exception:  # not only TensorFlow's errors: its messages quote raw bytes
            repaired, fault, detail = repair(serialized, self._decoder)
        if fault:
            return None, "", fault, detail
        return self._decoded(repaired), detail, "", ""

    def _decoded(self, serialized):
        def as_array(value):
            return None if value is None else value.numpy()

        return tf.nest.map_structure(as_array, self._graph(serialized))


def _others(names):
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _mapped(function, items):
    """Yield `map(function, items)` in order, on all cores and with few items in memory."""
    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        pending = deque()
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > 2 * threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
