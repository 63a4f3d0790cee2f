"""Records that servers of a tf.data service read and decode, beside those read here."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from made_records import record, write
from test_pipeline import BOX, READ, bad_records, build, ids

from object_detection.data import report
from object_detection.data.report import InputReport
from object_detection.errors import RecordError
from object_detection.ops import image

_COMMAND = [sys.executable, "-m", "object_detection.data_service", "--host=localhost"]


@pytest.fixture(scope="module")
def address():
    """Of two servers in processes of their own, which know nothing of this one's Python."""
    quiet = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True, "env": quiet}
    servers = [subprocess.Popen([*_COMMAND, "--port=0"], **how)]
    found = re.search('"(.*)"', servers[0].stdout.readline())[1]
    servers.append(subprocess.Popen([*_COMMAND, "--port=0", f"--dispatcher={found}"], **how))
    servers[1].stdout.readline()
    yield found
    for server in servers:
        server.kill()
        server.wait()
        server.stdout.close()


def by_id(batches):
    return {batch.image_id.numpy()[0].decode(): batch for batch in batches}


@pytest.mark.slow
def test_every_record_comes_once_an_epoch_with_the_same_numbers(tmp_path, address):
    files = [
        write(
            tmp_path / f"{k} [odd].record",
            [record([BOX] * (1 + seed % 3), seed=seed, masks=True) for seed in range(k, 12, 2)],
        )
        for k in range(2)
    ]
    options = {"masks": True, "crop_masks": True, "resizer": image.FixedShape(16, 20)}
    here = by_id(build(files, **options))
    found = list(build(files, data_service=address, read=READ._replace(num_epochs=2), **options))

    assert sorted(ids(found)) == sorted([*here] * 2)
    for batch in found:
        expected = here[batch.image_id.numpy()[0].decode()]
        np.testing.assert_array_equal(batch.images.pixels, expected.images.pixels)
        for ours, theirs in zip(*map(tf.nest.flatten, (batch.truth, expected.truth)), strict=True):
            assert (ours is None) == (theirs is None)
            if ours is not None:
                np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_what_is_wrong_is_named_here(tmp_path, address):
    faulty = bad_records()
    gray = record([BOX], seed=50, masks=True, xmin=[0])  # whole numbers: repaired in Python
    records = [record([BOX], seed=40, masks=True), *faulty.values(), gray]
    path, gone = write(tmp_path / "a.record", records), write(tmp_path / "b.record", records[:1])
    whole = (tmp_path / "a.record").read_bytes()
    (tmp_path / "a.record").write_bytes(whole + b"half a header")
    os.remove(gone)
    empty, dangling = tmp_path / "c.record", tmp_path / "d[0].record"
    empty.touch()
    dangling.symlink_to(gone)
    found = InputReport()
    files = [path, gone, str(empty), str(dangling)]
    batches = list(build(files, data_service=address, masks=True, found=found))

    assert sorted(ids(batches)) == ["id-40", "id-50"]
    counts = found.counts()
    assert {reason: counts[reason] for reason in faulty} == dict.fromkeys(faulty, 1)
    assert counts[report.REPAIRED] == counts[report.BROKEN_FILE] == 1
    assert counts[report.UNREADABLE_FILE] == 2
    assert counts[report.EMPTY_FILE] == 1


@pytest.mark.slow
def test_files_without_a_record_end_the_run(tmp_path, address):
    path = write(tmp_path / "a.record", [])
    found = InputReport()
    forever = READ._replace(num_epochs=0)
    with pytest.raises(RecordError, match="no record in 1 file"):
        list(build([path], data_service=address, read=forever, found=found))


def test_weights_are_refused(tmp_path):
    from object_detection.data import pipeline, reading
    from object_detection.data.decoder import DecoderOptions

    path = write(tmp_path / "a.record", [record([BOX])])
    options = pipeline.PipelineOptions(1, 4, image.Identity(), data_service="grpc://nowhere:1")
    with pytest.raises(RecordError, match="cannot be combined with InputReader.data_service"):
        pipeline.build(
            reading.Sources([[path], [path]], [1.0, 2.0], READ),
            DecoderOptions(num_classes=1, class_ids={"cat": 1}),
            options,
            InputReport(),
        )
