"""The conversion as a Beam pipeline: the same files and reports as the local one writes."""

import importlib
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from object_detection.datasets import conversion
from object_detection.datasets.annotations import (
    AnnotatedImage,
    AnnotatedObject,
    Finding,
    MaskFile,
    Polygons,
)
from object_detection.datasets.examples import Settings
from object_detection.datasets.records import ShardedRecords
from object_detection.datasets.report import NOTED
from object_detection.errors import AnnotationError

pytest.importorskip("apache_beam", reason="the extra `beam` brings Apache Beam")
# Warnings of packages that Beam brings along are not ours to mend.
pytestmark = pytest.mark.filterwarnings("default")
beam_conversion = importlib.import_module("object_detection.datasets.beam_conversion")

SETTINGS = Settings({"cat": 1, "dog": 2}, include_masks=True)
TRIANGLE = Polygons(((2.0, 2.0, 12.0, 2.0, 2.0, 9.0),))
IN_MEMORY = ("--direct_num_workers=1", "--direct_running_mode=in_memory")


def with_a_word(image, path):
    """A `complete`, whose further file is named."""
    return image, (Finding(NOTED, f"there is {path.read_text()}", image.key),)


@pytest.fixture
def images(tmp_path):
    """Seventy images, among them one that is missing, one that is none, and masks in files."""
    folder = tmp_path / "photos"
    folder.mkdir()
    draw = np.random.default_rng(0)
    (folder / "further.txt").write_text("more")
    mask = np.zeros((10, 14), np.uint8)
    mask[3:7, 4:9] = 7
    Image.fromarray(mask).save(folder / "mask.png")
    made = []
    for number in range(70):
        path = folder / f"{number}.png"
        Image.fromarray(draw.integers(0, 255, (10, 14, 3), np.uint8)).save(path)
        kind = MaskFile(folder / "mask.png", (7,)) if number % 7 == 0 else TRIANGLE
        found = AnnotatedObject(f"object {number}", ("cat", "dog")[number % 2], mask=kind)
        made.append(AnnotatedImage(path.name, f"id-{number}", path.name, (found,), path))
    (folder / "5.png").unlink()
    (folder / "6.png").write_bytes(b"no image")
    made[9] = made[9]._replace(complete=partial(with_a_word, path=folder / "further.txt"))
    return made


def convert(images, folder, *, num_shards=3, **options):
    """Converts; gives {file name: bytes} and the report."""
    folder.mkdir(exist_ok=True)
    records = ShardedRecords(folder / "some.record", num_shards)
    report = conversion.convert(images, records, SETTINGS, title="some", **options)
    assert not records.folder.exists()
    return {path.name: path.read_bytes() for path in records.paths}, report


def findings_of(report):
    """As in the JSON, less the name of the folder."""
    said = report.to_dict()
    return {name: value for name, value in said.items() if name != "records"}


def test_the_files_and_the_report_are_those_of_the_local_conversion(images, tmp_path):
    locally, local_report = convert(images, tmp_path / "local")

    writer = beam_conversion.BeamWriter("DirectRunner")
    by_beam, beam_report = convert(images, tmp_path / "beam", write_shards=writer)

    assert by_beam == locally and len(locally) == 3
    assert findings_of(beam_report) == findings_of(local_report)
    assert beam_report.written["images"] == 68
    assert json.loads((tmp_path / "beam" / "some.record.report.json").read_text())


def test_several_processes(images, tmp_path):
    images[9] = images[9]._replace(complete=None)  # new processes cannot import this module
    locally, _ = convert(images, tmp_path / "local", num_shards=5)

    writer = beam_conversion.BeamWriter("DirectRunner")
    by_beam, _ = convert(
        images, tmp_path / "beam", num_shards=5, num_workers=2, write_shards=writer
    )

    assert by_beam == locally


@pytest.mark.parametrize("num_shards", [0, 100])
def test_one_file_without_a_number_and_shards_without_images(num_shards, images, tmp_path):
    locally, _ = convert(images, tmp_path / "local", num_shards=num_shards)

    writer = beam_conversion.BeamWriter("DirectRunner", IN_MEMORY)
    by_beam, _ = convert(images, tmp_path / "beam", num_shards=num_shards, write_shards=writer)

    assert by_beam == locally


def test_going_on_where_a_local_run_was_stopped(images, tmp_path, monkeypatch):
    whole, whole_report = convert(images, tmp_path / "local")
    folder = tmp_path / "stopped"
    folder.mkdir()
    records = ShardedRecords(folder / "some.record", 3)
    finish, done = ShardedRecords.finish, []

    def stop_after_the_first(self, index, notes):
        finish(self, index, notes)
        done.append(index)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ShardedRecords, "finish", stop_after_the_first)
        patch.setattr(ShardedRecords, "forget", lambda self: None)
        conversion.convert(images, records, SETTINGS, title="some")
    assert done == [0]

    writer = beam_conversion.BeamWriter("DirectRunner", IN_MEMORY)
    resumed, report = convert(images, folder, resume=True, write_shards=writer)

    assert resumed == whole
    assert findings_of(report) == findings_of(whole_report)
    again, _ = convert(images, folder, resume=True)  # by this machine: there is nothing to do
    assert again == whole


def test_workers_that_know_the_folder_by_another_name(images, tmp_path):
    locally, _ = convert(images, tmp_path / "local")
    (tmp_path / "elsewhere").symlink_to(tmp_path / "photos")
    seen = [image._replace(path=Path("no", "such", image.path.name)) for image in images]
    paths = beam_conversion.parse_worker_paths([f"no/such={tmp_path}/elsewhere"])

    writer = beam_conversion.BeamWriter("DirectRunner", IN_MEMORY, paths)
    by_beam, report = convert(seen, tmp_path / "beam", write_shards=writer)

    assert by_beam == locally
    assert report.written["images"] == 68
    again, _ = convert(seen, tmp_path / "beam", resume=True)  # the launcher knows them as its own
    assert again == locally


def test_files_of_another_file_system_are_copied_to_the_worker(images, tmp_path, monkeypatch):
    """Beam's own names for file systems stand in for gs:// here."""
    locally, local_report = convert(images, tmp_path / "local")
    opened = []
    for name in ("open", "create", "exists"):
        monkeypatch.setattr(
            beam_conversion.FileSystems, name, partial(_as_local, name, opened, tmp_path)
        )
    paths = beam_conversion.parse_worker_paths([f"{tmp_path}=mem://bucket"])

    writer = beam_conversion.BeamWriter("DirectRunner", IN_MEMORY, paths)
    by_beam, report = convert(images, tmp_path / "beam", write_shards=writer)

    assert by_beam == locally
    assert findings_of(report) == findings_of(local_report)
    assert "mem://bucket/photos/mask.png" in opened and "mem://bucket/photos/further.txt" in opened
    assert "mem://bucket/beam/.some.record.partial/00002.json" in opened


def _as_local(name, opened, root, path):
    opened.append(path)
    place = Path(path.replace("mem://bucket", str(root)))
    return place.exists() if name == "exists" else place.open("wb" if name == "create" else "rb")


def test_a_folder_that_workers_do_not_see(images, tmp_path):
    paths = beam_conversion.parse_worker_paths([f"{tmp_path}/beam={tmp_path}/nowhere"])
    writer = beam_conversion.BeamWriter("DirectRunner", IN_MEMORY, paths)

    with pytest.raises(Exception, match="No such file|has no folder"):
        convert(images, tmp_path / "beam", write_shards=writer)
    assert not (tmp_path / "beam" / ".some.record.partial").exists()


@pytest.mark.parametrize("text", ["", "a", "=b", "a="])
def test_worker_paths_that_are_none(text):
    with pytest.raises(AnnotationError, match="FOLDER_HERE=ITS_NAME_THERE"):
        beam_conversion.parse_worker_paths([text])


def test_worker_paths_end_at_names_of_folders():
    paths = beam_conversion.parse_worker_paths(["/mnt/data=gs://b/x/"])

    assert paths.there("/mnt/data/a/1.jpg") == "gs://b/x/a/1.jpg"
    assert paths.there("/mnt/data2/1.jpg") == "/mnt/data2/1.jpg"
    assert paths.there(Path("/mnt/data")) == "gs://b/x"


def test_a_runner_that_beam_does_not_have():
    with pytest.raises(AnnotationError, match="--runner=NoSuchRunner"):
        beam_conversion.check_runner("NoSuchRunner")
