"""Converts annotated images of any format to record files.

Also what concerns a data set as a whole: unique ids, a split, and digests of the inputs, by which a
later run sees what changed.
"""

import hashlib
import io
import math
import pickle
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from object_detection import __version__
from object_detection.datasets import checking, workers
from object_detection.datasets.annotations import Finding
from object_detection.datasets.examples import ImageFeatures, encode_example, features_of
from object_detection.datasets.records import frame
from object_detection.datasets.report import NOTED, SKIPPED_IMAGE, SKIPPED_OBJECT, Report
from object_detection.errors import AnnotationError

SAMPLE = 48  # images from which the size of the records is estimated


class NoMasksError(AnnotationError):
    """A set that is to be written with masks and has none."""


class Prepared(NamedTuple):
    """One image on its way from a worker: what is written, and its findings."""

    record: bytes | None  # as in a record file; None: the image is skipped
    classes: dict[str, int]  # name -> objects written
    crowds: int
    findings: tuple[Finding, ...]
    digest: str  # of what the record was made from


def prepared(image, settings):
    """Makes the record of one `AnnotatedImage`; the work of a worker process."""
    try:
        made = features_of(image, settings)
        record = None if made.features is None else frame(encode_example(made.features))
    except Exception as error:  # what nobody thought of costs this image, not the others
        reason = f"it cannot be converted ({type(error).__name__}: {error})"
        made = ImageFeatures(None, (), 0, (Finding(SKIPPED_IMAGE, reason, image.key),))
        record = None
    digest = image_digest(image)
    classes = dict(Counter(made.classes))
    return Prepared(record, classes, made.crowds, made.findings, digest)


def convert(
    images,
    records,
    settings,
    *,
    title,
    num_workers=1,
    resume=False,
    findings=(),
    write_shards=None,
):
    """Writes annotated images as records: image i to shard i modulo their number, in order.

    Args:
        images: the `AnnotatedImage`s, a sequence.
        records: the `ShardedRecords` to write.
        settings: the `Settings` of `example_features`.
        title: what the progress bar and the report call this set.
        num_workers: processes that read images and rasterize masks; 1 does it in this one.
        resume: go on where a stopped run of the same inputs was.
        findings: of the annotations as a whole, for the report.
        write_shards: what does the work in place of processes of this machine, a `BeamWriter`.

    Returns:
        The `Report`; it is also next to the records, as text and as JSON.

    Raises:
        NoMasksError: masks are to be written, and no object of the set has one.
        AnnotationError: `resume`, and the inputs are not those of the stopped run.
    """
    if settings.include_masks:
        check_masks(images, title)
    inputs = describe_inputs(settings, records.num_shards, len(images), __version__)
    count = len(records.paths)
    shards = [range(index, len(images), count) for index in range(count)]
    if resume and _is_complete(images, records, inputs, shards):
        report = Report.load(records.base)
        report.failure = _failure(report, images)
        return report
    notes = _kept(images, records, inputs, shards) if resume else {}
    if not notes:
        records.begin(inputs)
    try:
        write = write_shards or _write
        write(images, records, settings, notes, shards, title=title, num_workers=num_workers)
    except BaseException:
        if not notes:
            records.forget()
        raise
    report = _report(title, records, notes, findings, settings)
    records.appear()
    for path in records.strangers():
        report.note("record files of another run lie here too; a pattern may match them", path.name)
    made_from = inputs | {"shards": [notes[index]["digest"] for index in range(count)]}
    report.save(records.base, made_from)
    records.forget()
    report.failure = _failure(report, images)
    return report


def check_masks(images, title):
    """Refuse a set that is to be written with masks and has none.

    Reads no mask. Images whose objects only the workers read are left to them.

    Args:
        images: the `AnnotatedImage`s.
        title: name of the set, for the message.

    Raises:
        NoMasksError: there are objects, and not one has a mask.
    """
    objects, first = 0, None
    for image in images:
        if image.complete or any(annotated.mask is not None for annotated in image.objects):
            return
        objects += len(image.objects)
        first = first or next(iter(image.objects), None)
    if first is not None:
        fault = first.mask_fault or checking.NO_MASK
        raise NoMasksError(
            f"{title}: masks are to be written, and none of its {objects} objects has one "
            f"({first.key}: {fault}). Annotate outlines, or write boxes only: converters do so "
            "without --include_masks"
        )


def _failure(report, images):
    """Why the records of a set are of no use, as a sentence; None where they are of use."""
    what, groups = "image", (SKIPPED_IMAGE,)
    if report.written["images"]:
        if report.written["objects"] or not _lost_objects(report, images):
            return None
        what, groups = "object", (SKIPPED_OBJECT, SKIPPED_IMAGE)
    reasons = report.reasons(groups) or [f"the annotations name no {what}"]
    return (
        f"a split has no {what} that could be written: {report.title}. {'; '.join(reasons)}. "
        f"All names: {report.path}"
    )


def _lost_objects(report, images):
    """Whether objects were skipped, or may have been with their images."""
    if report.count(SKIPPED_OBJECT):
        return True
    if not report.count(SKIPPED_IMAGE):
        return False
    return any(image.complete or image.objects for image in images)


def _write(images, records, settings, notes, shards, *, title, num_workers):
    """Write the shards without notes, one after another, and notes on each."""
    todo = [index for index in range(len(shards)) if index not in notes]
    items = (images[place] for index in todo for place in shards[index])
    done = len(images) - sum(len(shards[index]) for index in todo)
    with (
        workers.mapped(prepared, items, settings, num_workers) as made,
        # disable=None: no bar where the output is not a terminal.
        tqdm(made, title, len(images), initial=done, unit="image", disable=None) as bar,
    ):
        results = iter(bar)
        for index in todo:
            with records.open(index) as file:
                shard_notes = write_shard(file, shards[index], results)
            records.finish(index, shard_notes)
            notes[index] = shard_notes


def write_shard(file, places, results):
    """Writes one shard; gives what is to be known of it, as plain values."""
    written, classes, findings, digests = Counter(), Counter(), [], []
    for place in places:
        result = next(results)
        digests.append(result.digest)
        findings += [(place, *finding) for finding in result.findings]
        if result.record is None:
            continue
        file.write(result.record)
        written["images"] += 1
        written["images without objects"] += not result.classes
        written["crowds"] += result.crowds
        classes.update(result.classes)
    digest = shard_digest(digests)
    return {"digest": digest, "written": written, "classes": classes, "findings": findings}


def _report(title, records, notes, findings, settings):
    """The report on all shards, its findings in the order of the images."""
    report = Report(title, records.pattern)
    report.add(findings)
    for entries in notes.values():
        report.written.update(entries["written"])
        report.objects_of_class.update(entries["classes"])
    objects = report.objects_of_class.total()
    report.written["objects"] = objects
    report.written["masks"] = objects if settings.include_masks else 0
    entries = [entry for each in notes.values() for entry in each["findings"]]
    report.add(Finding(*entry[1:]) for entry in sorted(entries, key=lambda entry: entry[0]))
    return report


def _kept(images, records, inputs, shards):
    """Notes on the shards of a stopped run that can be kept.

    Raises:
        AnnotationError: they are of other inputs.
    """
    before, notes = records.unfinished()
    if before is None or not notes:
        return {}
    changed = [name for name in inputs if before.get(name) != inputs[name]]
    if not changed:
        changed = [
            f"the annotations or image files of shard {index}"
            for index, shard_notes in notes.items()
            if shard_notes["digest"] != _digest_of(images, shards[index])
        ]
    if changed:
        raise AnnotationError(
            f"--resume: {records.base} was begun with other inputs. What changed: "
            f"{', '.join(changed[:5])}. Run it without --resume to begin anew"
        )
    return notes


def _is_complete(images, records, inputs, shards):
    """Whether the records lie there, whole and made from these very inputs."""
    if records.folder.exists() or not all(path.is_file() for path in records.paths):
        return False
    before = Report.made_from(records.base)
    return before is not None and before == inputs | {
        "shards": [_digest_of(images, places) for places in shards]
    }


def _digest_of(images, places):
    return shard_digest(image_digest(images[place]) for place in places)


def num_shards_for(images, settings, megabytes):
    """Return the number of shards of about `megabytes` (10 ** 6 bytes) that the records need.

    The image files' sizes are known; a few records give the ratio of the sizes.
    """
    step = max(len(images) // SAMPLE, 1)
    of_files = sum(map(_bytes_of, images))
    of_sampled_files = sum(map(_bytes_of, images[::step]))
    of_sampled_records = sum(
        len(prepared(image, settings).record or b"") for image in images[::step]
    )
    ratio = of_sampled_records / of_sampled_files if of_sampled_files else 1.0
    return max(math.ceil(of_files * ratio / (megabytes * 1e6)), 1)


def _bytes_of(image):
    if image.encoded is not None:
        return len(image.encoded)
    try:
        return image.path.stat().st_size
    except OSError:
        return 0


class _Pickler(pickle.Pickler):
    """Bytes that depend only on values; for a file, on its name, size and time."""

    def reducer_override(self, value):
        if not isinstance(value, Path):
            return NotImplemented
        try:
            state = value.stat()
        except (OSError, ValueError):  # not there, or a name that no file can have
            return str, (str(value),)
        return str, (f"{value} {state.st_size} {state.st_mtime_ns}",)


def image_digest(image):
    """The digest of an `AnnotatedImage` and of the files it names: 16 hexadecimal digits."""
    buffer = io.BytesIO()
    pickler = _Pickler(buffer, protocol=5)
    pickler.fast = True  # no references to what came before: equal values give equal bytes
    pickler.dump(tuple(image))
    return hashlib.sha256(buffer.getbuffer()).hexdigest()[:16]


def shard_digest(digests):
    """The digest of a shard, of those of its images in order."""
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:16]


def describe_inputs(settings, num_shards, num_images, version):
    """What holds for all shards, as plain values whose names say what changed.

    Args:
        settings: the `Settings` of `example_features`.
        num_shards: as the user gave it.
        num_images: of the whole set.
        version: of this package.
    """
    labels = repr(sorted(settings.class_ids.items()))
    return {
        "version": version,
        "include_masks": settings.include_masks,
        "mask_storage": settings.mask_storage,
        "bit_depth": settings.bit_depth,
        "num_shards": num_shards,
        "number of images": num_images,
        "label map": hashlib.sha256(labels.encode()).hexdigest()[:16],
    }


def with_unique_ids(annotations):
    """An `AnnotationSet` in which no two images have one `source_id`; each new one is a finding.

    Evaluation tells images apart by it: of two with one id, one would be left out.
    """
    taken = {image.source_id for image in annotations.images}
    if len(taken) == len(annotations.images):
        return annotations
    seen, images, findings = set(), [], []
    reason = "another image has the same source_id: it was given a new one"
    for image in annotations.images:
        new, number = image.source_id, 2
        if new in seen:
            while new in taken:
                new, number = f"{image.source_id}_{number}", number + 1
            findings.append(Finding(NOTED, reason, f"{image.key}: {image.source_id} is now {new}"))
            image = image._replace(source_id=new)
        seen.add(new)
        taken.add(new)
        images.append(image)
    return annotations._replace(images=tuple(images), findings=(*annotations.findings, *findings))


def split_off(annotations, fraction, seed):
    """Sets a share of the images aside.

    Which ones depends on their `source_id` and the seed: not on their order, and hardly on
    what other images there are.

    Args:
        annotations: the `AnnotationSet`, its ids unique.
        fraction: of the images that are set aside, above 0 and below 1; at least one is, and at
            least one stays.
        seed: a whole number.

    Returns:
        The `AnnotationSet`s of those that stay (with the findings about the whole set) and of those
        set aside, both in the order they had.

    Raises:
        AnnotationError: there are fewer than two images.
    """
    count = len(annotations.images)
    if count < 2:
        raise AnnotationError(f"{annotations.source}: {count} image cannot be split in two")
    number_aside = min(max(round(count * fraction), 1), count - 1)

    def rank(place):
        text = f"{seed}:{annotations.images[place].source_id}"
        return hashlib.sha256(text.encode(errors="surrogateescape")).digest(), place

    aside = set(sorted(range(count), key=rank)[:number_aside])
    stay = Subset(annotations.images, [place for place in range(count) if place not in aside])
    away = Subset(annotations.images, sorted(aside))
    return annotations._replace(images=stay), annotations._replace(images=away, findings=())


class Subset(Sequence):
    """Some of a sequence's items, not copied: a large set makes its images as they are asked for.

    Args:
        items: the sequence.
        places: of the items in it.
    """

    def __init__(self, items, places):
        self._items, self._places = items, places

    def __len__(self):
        return len(self._places)

    def __getitem__(self, place):
        if isinstance(place, slice):
            return Subset(self._items, self._places[place])
        return self._items[self._places[place]]
