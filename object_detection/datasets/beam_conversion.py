"""The writing of records as an Apache Beam pipeline: for sets that one machine is too slow for.

In place of the processes of this machine, the workers of a Beam runner (Flink, Spark, Dataflow, or
several processes here) read images, rasterize masks and write shards. The annotations are read by
the launcher, which hands them on in files, not in the pipeline: that stays a few kilobytes however
large the set. Records, their order, findings and `--resume` are those of the local conversion.
"""

import io
import logging
import os
import pickle
import shutil
import tempfile
import uuid
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners import create_runner
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from object_detection.datasets import conversion
from object_detection.datasets.records import ShardedRecords
from object_detection.errors import AnnotationError

IMAGES_A_FILE = 64  # of the launcher's work lists


class WorkerPaths(NamedTuple):
    """What folders of the launcher are called where the workers run.

    A name with `://` is a file system that Beam knows, such as gs://bucket/folder: its files are
    copied to the worker when they are needed. All other paths are the same here and there.
    """

    names: tuple[tuple[str, str], ...] = ()  # folder here, its name there

    def there(self, path):
        """A path of the launcher, as a worker has to call it."""
        text = str(path)
        for here, there in self.names:
            if text == here or text.startswith(here + os.sep):
                return there + text[len(here) :].replace(os.sep, "/")
        return text


def parse_worker_paths(texts):
    """`WorkerPaths` of texts such as '/mnt/data=gs://bucket/data'; raises `AnnotationError`."""
    names = []
    for text in texts:
        here, sign, there = text.partition("=")
        if not (sign and here and there):
            raise AnnotationError(
                f"--worker_paths={text}: give FOLDER_HERE=ITS_NAME_THERE, such as "
                "/mnt/data=gs://bucket/data"
            )
        names.append((os.path.abspath(here), there.rstrip("/")))
    return WorkerPaths(tuple(names))


def check_runner(name):
    """Raises `AnnotationError` if Beam has no such runner, or it lacks a package."""
    try:
        create_runner(name)
    except (ValueError, ImportError, AttributeError) as error:
        raise AnnotationError(f"--runner={name}: {error}") from None


class BeamWriter(NamedTuple):
    """Writes shards by a Beam pipeline: what `conversion.convert` takes as `write_shards`."""

    runner: str
    arguments: tuple[str, ...] = ()  # the options of the runner
    worker_paths: WorkerPaths = WorkerPaths()

    def __call__(self, images, records, settings, notes, shards, *, title, num_workers):
        """Write the shards without notes, and notes on each.

        Raises:
            AnnotationError: the workers wrote where the launcher does not find it.
        """
        todo = [index for index in range(len(shards)) if index not in notes]
        lists = _hand_on(images, records.folder, [k for index in todo for k in shards[index]])
        paths, base = self.worker_paths, records.base.absolute()
        target = Target(str(base), records.num_shards, len(shards), len(images))
        with _pipeline(self.runner, self.arguments, num_workers) as pipeline:
            (
                pipeline
                | f"{title}: lists" >> beam.Create([paths.there(path) for path in lists])
                | "to all workers" >> beam.Reshuffle()
                | "read lists" >> beam.FlatMap(read_list)
                | "image by image" >> beam.Reshuffle()
                | "make records" >> beam.Map(make_record, settings, paths, len(shards))
                | "by shard" >> beam.GroupByKey()
                | "write shards" >> beam.Map(write_shard, target, paths)
            )
        _write_empty(records, [index for index in todo if not len(shards[index])])
        finished = records.unfinished()[1]
        missing = [index for index in todo if index not in finished]
        if missing:
            raise AnnotationError(
                f"the pipeline ended, but {len(missing)} of {len(shards)} shards are not in "
                f"{records.folder}: workers and launcher have to see one folder "
                "(--worker_paths says what the workers call it)"
            )
        notes.update((index, finished[index]) for index in todo)


class Target(NamedTuple):
    """The records as a worker has to know them."""

    base: str
    num_shards: int  # as the user gave it; 0: one file without a number
    num_files: int
    num_images: int


def read_list(path):
    """What the launcher handed on: (place, the pickled image, its digest) of some images."""
    with FileSystems.open(path) as file:
        return pickle.loads(file.read())


def make_record(handed, settings, paths, num_files):
    """Prepares one image; gives (shard, (place, `Prepared`))."""
    place, pickled, digest = handed
    with tempfile.TemporaryDirectory() as folder:
        image = _Unpickler(pickled, paths, folder).load()
        made = conversion.prepared(image, settings)
    findings = [each._replace(reason=each.reason.replace(folder, "")) for each in made.findings]
    return place % num_files, (place, made._replace(findings=tuple(findings), digest=digest))


def write_shard(grouped, target, paths):
    """Writes one shard with the records in their order, as the local conversion does.

    All of the shard's records are in memory meanwhile.
    """
    index, records = grouped[0], sorted(grouped[1], key=itemgetter(0))
    places = range(index, target.num_images, target.num_files)
    hidden = ShardedRecords(target.base, target.num_shards).folder
    with tempfile.TemporaryDirectory() as folder:
        scratch = ShardedRecords(Path(folder) / Path(target.base).name, target.num_shards)
        scratch.begin({})
        with scratch.open(index) as file:
            notes = conversion.write_shard(file, places, (made for _, made in records))
        scratch.finish(index, notes)
        # The notes last: a shard counts as finished by them.
        for path in sorted(scratch.folder.glob(f"{index:05d}*")):
            _publish(path, paths.there(hidden / path.name))
    return index


class _Pickler(pickle.Pickler):
    """Pickles paths by reference, wherever they occur."""

    def persistent_id(self, value):
        return str(value.absolute()) if isinstance(value, Path) else None


class _Unpickler(pickle.Unpickler):
    """Gives paths as the worker knows them; files of remote file systems are copied at once."""

    def __init__(self, pickled, paths, folder):
        super().__init__(io.BytesIO(pickled))
        self._paths, self._folder, self._copied = paths, folder, {}

    def persistent_load(self, name):
        there = self._paths.there(name)
        if "://" not in there:
            return Path(there)
        if name not in self._copied:
            # Under the launcher's path, so that a message can be given without the folder's name.
            copy = Path(self._folder + name)
            copy.parent.mkdir(parents=True, exist_ok=True)
            if FileSystems.exists(there):
                with FileSystems.open(there) as source, copy.open("wb") as file:
                    shutil.copyfileobj(source, file)
            self._copied[name] = copy
        return self._copied[name]


def _hand_on(images, folder, places):
    """Writes what the workers are to do into files of a folder; gives their paths."""
    work = folder / "work"
    work.mkdir(exist_ok=True)
    paths = []
    for first in range(0, len(places), IMAGES_A_FILE):
        handed = []
        for place in places[first : first + IMAGES_A_FILE]:
            buffer = io.BytesIO()
            _Pickler(buffer, protocol=5).dump(images[place])
            handed.append((place, buffer.getvalue(), conversion.image_digest(images[place])))
        paths.append((work / f"{first:09d}").absolute())
        paths[-1].write_bytes(pickle.dumps(handed))
    return paths


def _write_empty(records, indices):
    """Shards that get no image; the pipeline knows nothing of them."""
    for index in indices:
        with records.open(index) as file:
            notes = conversion.write_shard(file, (), iter(()))
        records.finish(index, notes)


def _publish(path, destination):
    """Copies a finished file to where the launcher looks for it, whole or not at all."""
    if "://" in destination:  # object stores show a file when it is whole
        with path.open("rb") as source, FileSystems.create(destination) as file:
            shutil.copyfileobj(source, file)
        return
    folder = Path(destination).parent
    if not folder.is_dir():
        raise FileNotFoundError(
            f"this worker has no folder {folder}: records need one that the launcher and all "
            "workers see (--worker_paths says what the workers call it)"
        )
    # Of a name of its own: a runner may do the same work twice, even at one time.
    temporary = folder / f".{path.name}.{uuid.uuid4().hex}"
    shutil.copyfile(path, temporary)
    os.replace(temporary, destination)


def _pipeline(runner, arguments, num_workers):
    """An empty pipeline on a runner; DirectRunner gets `num_workers` processes by default."""
    if runner != "DirectRunner":
        return beam.Pipeline(options=PipelineOptions([f"--runner={runner}", *arguments]))
    if not any(text.startswith("--direct_") for text in arguments):
        mode = "multi_processing" if num_workers > 1 else "in_memory"
        arguments += (f"--direct_num_workers={num_workers}", f"--direct_running_mode={mode}")
    logging.getLogger("apache_beam").setLevel(logging.WARNING)  # its workers' every step
    options = PipelineOptions(["--default_sdk_harness_log_level=WARNING", *arguments])
    # What "DirectRunner" ends in for pipelines like this, after it tried to download a program.
    return beam.Pipeline(runner=FnApiRunner(), options=options)
