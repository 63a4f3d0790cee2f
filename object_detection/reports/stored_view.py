"""Record files looked at as they are stored: every record decoded, its objects checked."""

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
from object_detection.reports import object_checks, raw_records
from object_detection.reports.facts import (
    LOOK,
    LOST,
    Finding,
    ImageFacts,
    nothing_known,
    severity_of,
)

_FAULTS_OF_MASKS = {report.MASK_COUNT, report.BAD_MASK, report.MASK_SIZE, report.WRONG_TYPE}


class Looked(NamedTuple):
    """A record's facts, and what tells it from other records."""

    facts: ImageFacts
    path: str
    index: int
    digest: bytes  # of the image file


class StoredView:
    """Looks at records one by one.

    Args:
        files: paths of the record files.
        classes: the `Classes` of the records.
        num_classes: ids above it are told as lost.
        ignore_texts: objects with one of these texts are ignore regions.
    """

    def __init__(self, files, classes, num_classes, ignore_texts=()):
        self.files = files
        self.classes = classes
        # What is wrong with whole files; records are decoded here and told of in their facts.
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
        """Looks at all records, or at one of `keep_every`; yields `Looked` in their order."""
        records = raw_records.read(self.files, self.file_report, keep_every=keep_every)
        yield from _mapped(self._look, records)

    def examples(self, wanted):
        """Decodes chosen records again, to draw them.

        Args:
            wanted: set of (path, index).

        Yields:
            (path, index, `Example` of numpy arrays, or None where there is no picture).
        """
        quiet = report.InputReport(name="records")
        paths = [path for path in self.files if any(path == place for place, _ in wanted)]
        for serialized, path, index in raw_records.read(paths, quiet):
            if (path, index) in wanted:
                decoded, _ = self._decode(raw_records.parse(serialized, path, index))
                yield path, index, decoded and decoded.example

    def decoded(self):
        """Decodes all records; yields (`RawRecord`, `Example` of numpy arrays or None, findings).

        Training leaves out a record of which only the masks cannot be decoded: so it is here.
        """

        def decode(record):
            raw = raw_records.parse(*record)
            decoded, findings = self._decode(raw)
            is_bad = any(finding.reason in _FAULTS_OF_MASKS for finding in findings)
            return raw, None if is_bad or decoded is None else decoded.example, findings

        yield from _mapped(decode, raw_records.read(self.files, self.file_report))

    def _look(self, record):
        raw = raw_records.parse(*record)
        digest = hashlib.sha256(raw.encoded).digest()[:12] if raw.encoded else b""
        decoded, findings = self._decode(raw)
        if decoded is None:
            facts = nothing_known(raw.id or raw.place, raw.place, tuple(findings))
        else:
            facts = self._facts(raw, decoded.example, findings)
        return Looked(facts, raw.path, raw.index, digest)

    def _decode(self, raw):
        """(`Decoded` of numpy arrays or None, list of `Finding`s)."""
        decoded, repairs, fault, detail = self._decoders[raw.mask_kind](raw.serialized)
        findings = []
        if fault:
            findings.append(Finding(LOST, fault, detail))
            if fault in _FAULTS_OF_MASKS:  # its image and boxes can still be shown
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
            masks = object_checks.extents_in_image(example.masks.pixels, size)
        findings += self._about_record(raw, size)
        findings += object_checks.findings_of(
            size, boxes, example.classes, example.crowd, example.difficult, masks
        )
        return ImageFacts(
            id=raw.id or raw.place,
            place=raw.place,
            size=size,
            boxes=boxes,
            classes=example.classes,
            crowd=example.crowd,
            difficult=example.difficult,
            mask_area=None if masks is None else masks[1],
            findings=tuple(findings),
        )

    def _about_record(self, raw, size):
        """What the record states beside its objects, against what is so."""
        if raw.stated_size and raw.stated_size != size:
            detail = "{} x {} is stated, the image is {} x {}".format(*raw.stated_size, *size)
            yield Finding(LOOK, object_checks.OTHER_SIZE, detail)
        if self.classes.is_given and len(raw.labels) == len(raw.texts):
            meant = [self.classes.ids.get(text.decode("utf-8", "replace")) for text in raw.texts]
            differ = [
                f"{text.decode('utf-8', 'replace')} is {label}, not {number}"
                for text, label, number in zip(raw.texts, raw.labels, meant, strict=True)
                if number is not None and number != label
            ]
            if differ:
                detail = ", ".join(dict.fromkeys(differ))
                yield Finding(LOOK, object_checks.OTHER_LABEL, detail, len(differ))


def about_the_set(looked):
    """The facts with what only shows when the records are seen together.

    Args:
        looked: list of all `Looked`.

    Returns:
        List of `ImageFacts`.
    """
    of_id, of_image = defaultdict(list), defaultdict(list)
    for each in looked:
        of_id[each.facts.id].append(each.facts.place)
        if each.digest:
            of_image[each.digest].append(each.facts.place)
    any_masks = any(each.facts.mask_area is not None for each in looked)
    told = []
    for each in looked:
        facts, more = each.facts, []
        if len(of_image[each.digest]) > 1:
            more.append(Finding(LOOK, object_checks.SAME_IMAGE, _others(of_image[each.digest])))
        if len(of_id[facts.id]) > 1:
            more.append(Finding(LOOK, object_checks.SAME_ID, _others(of_id[facts.id])))
        if any_masks and len(facts.boxes) and facts.mask_area is None:
            more.append(Finding(LOOK, object_checks.NO_MASKS, "", len(facts.boxes)))
        told.append(facts._replace(findings=(*facts.findings, *more)))
    return told


class _InGraph:
    """A decoder as a graph, with the slow way for what the graph cannot decode."""

    def __init__(self, options):
        self._decoder = Decoder(options)
        signature = [tf.TensorSpec([], tf.string)]
        self._graph = tf.function(self._decoder, input_signature=signature, autograph=False)

    def __call__(self, serialized):
        """(`Decoded` of numpy arrays or None, repairs, fault, detail)."""
        try:
            return self._decoded(serialized), "", "", ""
        except Exception:  # also of another kind than TensorFlow's: its messages quote raw bytes
            repaired, fault, detail = repair(serialized, self._decoder)
        if fault:
            return None, "", fault, detail
        return self._decoded(repaired), detail, "", ""

    def _decoded(self, serialized):
        def as_array(value):
            return None if value is None else value.numpy()

        return tf.nest.map_structure(as_array, self._graph(serialized))


def _others(places):
    return ", ".join(places[:3]) + (", ..." if len(places) > 3 else "")


def _mapped(function, items):
    """`map(function, items)`, in order, on all cores and with few items under way."""
    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        under_way = deque()
        for item in items:
            under_way.append(pool.submit(function, item))
            if len(under_way) > 2 * threads:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
