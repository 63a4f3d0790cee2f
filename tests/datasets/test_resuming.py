"""Conversions that go on where a stopped one was, and those that must not."""

import io
import os

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from object_detection.datasets import conversion
from object_detection.datasets.annotations import AnnotatedImage, AnnotatedObject, Finding
from object_detection.datasets.conversion import convert, num_shards_for
from object_detection.datasets.examples import Settings
from object_detection.datasets.records import ShardedRecords
from object_detection.datasets.report import NOTED
from object_detection.errors import AnnotationError
from object_detection.structures.masks import CroppedMask

SETTINGS = Settings({"cat": 1}, include_masks=True)


def _images(folder, count=10):
    """Images in files; the box of every third crosses the border."""
    images = []
    for number in range(count):
        path = folder / f"{number}.png"
        Image.new("RGB", (20, 10), (number, 0, 0)).save(path)
        right = 25.0 if number % 3 == 0 else 6.0
        found = AnnotatedObject(
            f"object {number}", "cat", (1.0, 2.0, 5.0, right), CroppedMask(np.ones((4, 4)), 1, 2)
        )
        images.append(AnnotatedImage(path.name, str(number), path.name, (found,), path=path))
    return images


def _convert(images, folder, *, settings=SETTINGS, num_shards=4, **options):
    records = ShardedRecords(folder / "x.record", num_shards)
    return convert(images, records, settings, title="train", **options), records


def _stopped(images, folder, monkeypatch, *, after, **options):
    """A conversion that breaks off before image number `after` (in the order of the shards)."""
    calls = []

    def prepared(image, settings):
        calls.append(image)
        if len(calls) > after:
            raise KeyboardInterrupt
        return real(image, settings)

    real = conversion.prepared
    with monkeypatch.context() as patch:
        patch.setattr(conversion, "prepared", prepared)
        with pytest.raises(KeyboardInterrupt):
            _convert(images, folder, **options)


def _bytes(records):
    return [path.read_bytes() for path in records.paths]


@pytest.fixture
def images(tmp_path):
    (tmp_path / "images").mkdir()
    return _images(tmp_path / "images")


@pytest.mark.parametrize("after", [0, 2, 3, 6, 9])
def test_it_goes_on_and_ends_as_one_run_would(tmp_path, images, monkeypatch, after):
    whole, expected = _convert(images, tmp_path / "whole", findings=[Finding(NOTED, "n", "k")])
    _stopped(images, tmp_path / "half", monkeypatch, after=after)
    assert not tf.io.gfile.glob(str(tmp_path / "half" / "x.record*"))
    done = []
    real = conversion.prepared
    monkeypatch.setattr(
        conversion, "prepared", lambda *given: done.append(given[0].key) or real(*given)
    )

    report, records = _convert(
        images, tmp_path / "half", resume=True, findings=[Finding(NOTED, "n", "k")]
    )

    # Shards of 3, 3, 2 and 2 images: finished ones are not made again.
    finished = sum(size for size, end in ((3, 3), (3, 6), (2, 8), (2, 10)) if after >= end)
    assert len(done) == 10 - finished
    assert _bytes(records) == _bytes(expected)
    assert report.to_dict() | {"records": ""} == whole.to_dict() | {"records": ""}
    assert report.names["clipped objects"] == {
        "the box crosses the border of the image": ["object 0", "object 3", "object 6", "object 9"]
    }
    assert not records.folder.exists()


def test_a_complete_conversion_is_left_as_it_is(tmp_path, images, monkeypatch):
    first, records = _convert(images, tmp_path / "out")
    before = [path.stat().st_mtime_ns for path in records.paths]
    monkeypatch.setattr(conversion, "prepared", None)

    report, _ = _convert(images, tmp_path / "out", resume=True)

    assert report.to_dict() == first.to_dict()
    assert [path.stat().st_mtime_ns for path in records.paths] == before


def test_a_complete_conversion_of_other_inputs_is_made_anew(tmp_path, images):
    _convert(images, tmp_path / "out")

    report, _ = _convert(images[:8], tmp_path / "out", resume=True)

    assert report.written["images"] == 8


def test_without_resume_everything_begins_anew(tmp_path, images, monkeypatch):
    _stopped(images, tmp_path / "out", monkeypatch, after=7)

    report, _ = _convert(images[:5], tmp_path / "out")

    assert report.written["images"] == 5


def _other_box(images):
    moved = images[4].objects[0]._replace(box=(1.0, 2.0, 5.0, 7.0))
    images[4] = images[4]._replace(objects=(moved,))


def _other_pixels(images):
    os.utime(images[0].path, ns=(1, 1))


def _one_more(images):
    images.append(images[0])


@pytest.mark.parametrize(
    ("change", "options", "why"),
    [
        (_other_box, {}, "files of shard 0"),  # image 4 of 4 shards
        (_other_pixels, {}, "files of shard 0"),
        (_one_more, {}, "number of images"),
        (None, {"settings": SETTINGS._replace(include_masks=False)}, "include_masks"),
        (None, {"settings": SETTINGS._replace(mask_storage="box")}, "mask_storage"),
        (None, {"settings": SETTINGS._replace(class_ids={"cat": 2})}, "label map"),
        (None, {"num_shards": 5}, "num_shards"),
    ],
)
def test_other_inputs_are_not_mixed_in(tmp_path, images, monkeypatch, change, options, why):
    _stopped(images, tmp_path / "out", monkeypatch, after=4)
    if change:
        change(images)

    with pytest.raises(AnnotationError, match=f"--resume: .*x.record .*{why}.*without --resume"):
        _convert(images, tmp_path / "out", resume=True, **options)


def test_what_changed_only_where_nothing_is_written_yet_does_no_harm(tmp_path, images, monkeypatch):
    _stopped(images, tmp_path / "out", monkeypatch, after=4)  # shard 0 is whole
    images[1] = images[1]._replace(objects=())

    report, _ = _convert(images, tmp_path / "out", resume=True)

    assert report.written["objects"] == 9


def test_the_number_of_processes_may_differ(tmp_path, images, monkeypatch):
    _, expected = _convert(images, tmp_path / "whole")
    _stopped(images, tmp_path / "out", monkeypatch, after=4)

    _, records = _convert(images, tmp_path / "out", resume=True, num_workers=2)

    assert _bytes(records) == _bytes(expected)


def test_what_nobody_thought_of_costs_one_image(tmp_path, images):
    images[1] = images[1]._replace(objects=("no object",))

    report, _ = _convert(images, tmp_path / "out")

    assert report.written["images"] == 9
    (reason,) = report.names["skipped images"]
    assert reason.startswith("it cannot be converted (AttributeError: ")


def test_the_number_of_shards_by_their_size(tmp_path):
    stream = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (100, 333, 3), np.uint8)
    Image.fromarray(noise).save(stream, "PNG")  # 100 kB
    image = AnnotatedImage("a.png", "1", "a.png", encoded=stream.getvalue())

    assert num_shards_for([image] * 100, SETTINGS, 1) in (10, 11)  # 100 times 0.1 MB
    assert num_shards_for([image] * 100, SETTINGS, 10.5) == 1
    assert num_shards_for([], SETTINGS, 10) == 1
    assert num_shards_for([image._replace(encoded=b"broken")], SETTINGS, 10) == 1
