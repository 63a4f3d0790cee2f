"""Finds the weights that a path refers to, and the pipeline.config stored with them.

Every path that people put into `fine_tune_checkpoint` is understood: a checkpoint, a SavedModel, a
frozen graph, Keras weights, or an archive of one of these. For anything missing or incomplete the
message says what was looked for and what is nearby. TensorFlow is not needed here.
"""

import difflib
import logging
import re
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple

from object_detection import addresses
from object_detection.errors import CheckpointError, DamagedCheckpointError

FROZEN_GRAPH = "frozen_inference_graph.pb"
SAVED_MODEL = "saved_model.pb"
CONFIG = "pipeline.config"
# Where a folder has a pipeline.config of the user's, the config as run is stored next to it.
RESOLVED_CONFIG = "pipeline.resolved.config"

_CHUNK = 1 << 20  # bytes
_ZIP = b"PK\x03\x04"
_TABLE_MAGIC = bytes.fromhex("57fb808b247547db")  # ends .index files and TF1's oldest checkpoints
_SHARD = r"(.+)\.data-(\d{5})-of-(\d{5})"
_CLOCK = 2.0  # seconds by which the times of files written together may differ
_LARGEST_CONFIG = 1 << 24  # bytes; configs have some thousands
_LOOKED_FOR = (
    "a prefix with its '.index' and '.data-...' files, a folder with a 'checkpoint' file or "
    f"'*.index' in it or in its 'checkpoint' folder, a SavedModel folder, a '{FROZEN_GRAPH}', "
    "a zoo '.tar.gz' or another archive, or Keras' '.h5' or '.keras' weights"
)

_log = logging.getLogger(__name__)


class CheckpointLocation(NamedTuple):
    """Where weights are stored."""

    file_format: str  # "checkpoint", "saved_model" or the name of a `FileFormat`
    path: str  # of a checkpoint its prefix, of a SavedModel its folder, else the file


class FileFormat(NamedTuple):
    """A format of single files, recognized by suffix or by the first bytes.

    `reader` takes the path; the object that it returns has `shapes` ({name: list of int}) and
    `read(name)`. It is None for the formats that `open` has readers of its own for.
    """

    name: str
    suffixes: tuple[str, ...]
    signatures: tuple[bytes, ...] = ()
    reader: Callable[[str], Any] | None = None


FILE_FORMATS = [
    FileFormat(
        "archive",
        (
            *(".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2"),
            *(".zip", ".keras"),
        ),
        (b"\x1f\x8b", b"\xfd7zXZ\x00", b"BZh", _ZIP),  # gzip, xz, bzip2, zip
    ),
    FileFormat("frozen_graph", (".pb",)),
    FileFormat("keras", (".h5", ".hdf5"), (b"\x89HDF",)),
]


def find(path: str | Path) -> CheckpointLocation:
    """Return the location of the weights that a user's path refers to.

    Raises:
        CheckpointError: nothing there; the message says what was looked for and what is near.
    """
    problem = addresses.problem_with(path, "weights")
    if problem:
        raise CheckpointError(f"the path of the weights {problem}")
    path = Path(str(path).rstrip("/") or "/").expanduser()
    location = _checkpoint_at(path) or (_file_at(path) if path.is_file() else None)
    if location is None and path.is_dir():
        location = _in_folder(path)
    if location is None:
        raise CheckpointError(_describe_nothing_at(path))
    if location.file_format != "saved_model":
        check_is_complete(location)
    return location


def check_is_complete(location: CheckpointLocation) -> None:
    """Raise DamagedCheckpointError where files are missing, empty, git-lfs pointers or web pages.

    Damage that only the content of a file shows is found when it is read.
    """
    if location.file_format != "checkpoint":
        _check_content(Path(location.path))
        return
    prefix = Path(location.path)
    if not Path(f"{prefix}.index").exists():  # TF1's oldest form: one file
        _check_content(prefix)
        return
    _check_content(Path(f"{prefix}.index"))
    shards: dict[int, list[int]] = {}
    for file in prefix.parent.glob(_escape_glob(prefix.name) + ".data-*"):
        match = re.fullmatch(_SHARD, file.name)
        if match:
            shards.setdefault(int(match[3]), []).append(int(match[2]))
            _check_content(file)
    if not shards:
        raise DamagedCheckpointError(
            f"{prefix}.index has no data file: '{prefix.name}.data-...' is missing in the same "
            "folder. Copy both files."
        )
    count, numbers = max(shards.items(), key=lambda item: len(item[1]))
    missing = sorted(set(range(count)) - set(numbers))
    if missing:
        name = f"{prefix.name}.data-{missing[0]:05d}-of-{count:05d}"
        raise DamagedCheckpointError(
            f"{prefix} is a checkpoint of {count} data files, and {len(missing)} are missing: "
            f"'{name}'" + (" and others" if len(missing) > 1 else "")
        )


def data_size(prefix: str | Path) -> int:
    """Return the number of bytes in the data files of a checkpoint."""
    prefix = Path(prefix)
    files = prefix.parent.glob(_escape_glob(prefix.name) + ".data-*")
    return sum(file.stat().st_size for file in files)


def may_hold_weights(name: str) -> bool:
    """Return whether a file of this name in an archive may be part of weights."""
    path = Path(name)
    return (
        path.name in ("checkpoint", FROZEN_GRAPH, SAVED_MODEL)
        or path.suffix in (".index", ".ckpt", *_weight_suffixes())
        or ".data-" in path.name
    )


def _weight_suffixes():
    """The suffixes of files that are always weights; a `.pb` may be any graph."""
    own = (f for f in FILE_FORMATS if f.name not in ("archive", "frozen_graph"))
    return [suffix for file_format in own for suffix in file_format.suffixes]


def _checkpoint_at(path):
    """The checkpoint whose prefix, or one of whose files, is `path`."""
    name = re.sub(r"\.(index|meta|data-\d{5}-of-\d{5})$", "", str(path))
    if Path(name + ".index").is_file():
        return CheckpointLocation("checkpoint", name)
    if name != str(path) and path.is_file():
        raise CheckpointError(
            f"{path} is one file of a checkpoint, but '{Path(name).name}.index' is missing in the "
            "same folder. Copy all files of the checkpoint."
        )
    return None


def _file_at(path):
    lower = path.name.lower()
    if path.name == "checkpoint":
        return _in_folder(path.parent)
    if path.name == SAVED_MODEL:
        return CheckpointLocation("saved_model", str(path.parent))
    for file_format in FILE_FORMATS:
        if lower.endswith(file_format.suffixes):
            return CheckpointLocation(file_format.name, str(path))
    _check_content(path)
    with open(path, "rb") as file:
        start = file.read(8)
        file.seek(max(0, path.stat().st_size - 8))
        end = file.read()
    for file_format in FILE_FORMATS:
        if start.startswith(file_format.signatures):
            return CheckpointLocation(file_format.name, str(path))
    if end == _TABLE_MAGIC or lower.endswith(".ckpt"):
        return CheckpointLocation("checkpoint", str(path))
    raise CheckpointError(f"{path} is a file, but no weights of a known format: {_LOOKED_FOR}")


def _in_folder(folder):
    """The best of what a folder holds: a checkpoint before a graph, a training's newest."""
    for inner in (folder, folder / "checkpoint"):
        location = _latest(inner) if inner.is_dir() else None
        if location:
            return location
    # A TF1 export has the same weights in both; the frozen graph is the simpler file.
    if (folder / FROZEN_GRAPH).is_file():
        return CheckpointLocation("frozen_graph", str(folder / FROZEN_GRAPH))
    for inner in (folder, folder / "saved_model"):
        if (inner / SAVED_MODEL).is_file():
            return CheckpointLocation("saved_model", str(inner))
    for suffix in (*_weight_suffixes(), ".keras", ".ckpt"):
        files = sorted(folder.glob(f"*{suffix}"))
        if len(files) == 1:
            return _file_at(files[0])
    below = [inner for inner in sorted(folder.iterdir()) if inner.is_dir()]
    # An unpacked archive is one folder deeper.
    return _in_folder(below[0]) if len(below) == 1 and _holds_only_folders(folder) else None


def _holds_only_folders(folder):
    return all(p.is_dir() or p.name.startswith(".") for p in folder.iterdir())


def _latest(folder):
    """The newest checkpoint of a folder; of a state file's path only the name is used."""
    if not (folder / "checkpoint").is_dir():
        state = _state_of(folder)
        if state:
            for prefix in (folder / Path(state).name, folder / state):
                if Path(f"{prefix}.index").is_file():
                    return CheckpointLocation("checkpoint", str(prefix))
    files = [f for f in folder.glob("*.index") if f.is_file()]
    if not files:
        return None
    newest = max(files, key=lambda f: _number_in(f.name))
    return CheckpointLocation("checkpoint", str(newest).removesuffix(".index"))


def _state_of(folder):
    """What the folder's state file calls the latest checkpoint, or None."""
    try:
        text = (folder / "checkpoint").read_text()
    except (OSError, UnicodeDecodeError):
        return None
    match = re.search(r'^model_checkpoint_path:\s*"(.+)"', text, re.MULTILINE)
    return match[1] if match else None


def _number_in(name):
    numbers = re.findall(r"\d+", name)
    return int(numbers[-1]) if numbers else -1


def _check_content(file):
    """Raise where a file holds something else than its name says."""
    try:
        with open(file, "rb") as opened:
            start = opened.read(64)
    except OSError as error:
        raise DamagedCheckpointError(f"{file} cannot be read: {error.strerror}") from error
    if start.startswith(b"version https://git-lfs"):
        raise DamagedCheckpointError(
            f"{file} is a git-lfs pointer, not the file itself: run `git lfs pull` in its "
            "repository, or download it in full"
        )
    if not start:
        raise DamagedCheckpointError(f"{file} is empty: copy or download it again")
    if start.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        raise DamagedCheckpointError(
            f"{file} is a web page, not weights: the download gave an error page; download again"
        )


def _describe_nothing_at(path):
    text = f"no checkpoint at '{path}': neither {_LOOKED_FOR}"
    folder = path if path.is_dir() else path.parent
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    if not path.is_dir() and folder != path.parent:
        return f"{text}. Its folder does not exist; the path is right up to '{folder}'."
    prefixes = {re.sub(r"\.(index|meta|data-.*)$", "", p.name) for p in folder.iterdir()}
    near = difflib.get_close_matches(path.name, prefixes, n=4, cutoff=0.4)
    near = sorted(prefixes)[:8] if path.is_dir() else near or sorted(prefixes)[:8]
    if not near:
        return f"{text}. The folder '{folder}' is empty."
    return f"{text}. In '{folder}' there is: {', '.join(near)}"


def _escape_glob(name):
    """A name as a glob pattern that matches only it."""
    return re.sub(r"([*?\[])", r"[\1]", name)


class Archive:
    """An open archive: tar, plain or compressed, or zip (Keras' `.keras` files are zip too).

    Args:
        path: of the file.
        opened: the `tarfile.TarFile` or `zipfile.ZipFile` of it.

    Attributes:
        names: of the files in it, in their order.
    """

    def __init__(self, path, opened: tarfile.TarFile | zipfile.ZipFile):
        self._path, self._opened = path, opened
        if isinstance(opened, zipfile.ZipFile):
            members = {m.filename: m for m in opened.infolist() if not m.is_dir()}
        else:
            members = {m.name: m for m in opened if m.isfile()}
        self._members = members
        self.names = tuple(members)

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Open a member to read bytes from."""
        member = self._members[name]
        is_zip = isinstance(self._opened, zipfile.ZipFile)
        with self._opened.open(member) if is_zip else self._opened.extractfile(member) as file:
            yield file

    def extract(self, name: str, folder: Path) -> None:
        """Write a member to its place below a folder.

        Raises:
            CheckpointError: its name leads out of the folder.
        """
        inner = PurePosixPath(name)
        if inner.is_absolute() or ".." in inner.parts or "\\" in name or ":" in inner.parts[0]:
            raise CheckpointError(
                f"{self._path} is refused: its member '{name}' would be written outside the "
                "folder it is unpacked in"
            )
        target = folder.joinpath(*inner.parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        with self.open(name) as packed, open(target, "wb") as file:
            shutil.copyfileobj(packed, file, _CHUNK)


@contextmanager
def open_archive(path: str | Path) -> Iterator[Archive]:
    """Open an archive of any kind.

    Raises:
        CheckpointError: it is no archive, is damaged, or a member cannot be unpacked; also from
            what the caller reads of it.
    """
    try:
        # By its start: a plain tar that ends with a zip file would pass for one by its end.
        with open(path, "rb") as file:
            is_zip = file.read(len(_ZIP)) == _ZIP
        with zipfile.ZipFile(path) if is_zip else tarfile.open(path, "r:*") as opened:
            yield Archive(path, opened)
    except CheckpointError:
        raise
    except OSError as error:
        if error.errno is None:  # of a decompressor, not of the disk
            raise CheckpointError(_describe_damage(path, error)) from error
        raise CheckpointError(f"{path} cannot be unpacked: {error}") from error
    except Exception as error:  # every decompressor has errors of its own
        raise CheckpointError(_describe_damage(path, error)) from error


def _describe_damage(path, error):
    reason = str(error).strip().split("\n")[0] or type(error).__name__
    return f"{path} cannot be unpacked, it is cut off or no archive: {reason}. Download it again"


def config_in_folder(folder: str | Path) -> Path | None:
    """Return the path of the config as run that a folder holds, or None.

    `pipeline.resolved.config` comes first: it exists only next to a pipeline.config that the user
    wrote, which may lack the run's overrides.
    """
    paths = [Path(folder) / name for name in (RESOLVED_CONFIG, CONFIG)]
    paths = [path for path in paths if path.is_file()]
    if len(paths) == 2 and paths[1].stat().st_mtime > paths[0].stat().st_mtime + _CLOCK:
        _log.warning(
            "%s is newer than %s, which is the config as run and is read. To use the newer one, "
            "give its path.",
            paths[1],
            paths[0].name,
        )
    return paths[0] if paths else None


def find_config(path: str | Path) -> tuple[str, bytes] | None:
    """Return (where it is, its bytes) of the config stored with weights, or None without one.

    Args:
        path: see `open.open_checkpoint`.

    Raises:
        CheckpointError: no weights at `path`, or an archive that cannot be read.
    """
    location = find(path)
    if location.file_format == "archive":
        return _config_in_archive(location.path)
    inner = Path(location.path)
    # For checkpoint/ckpt-0 and saved_model/ the export's folder is the one above.
    folders = (inner, inner.parent, inner.parent.parent)
    config = next(filter(None, map(config_in_folder, folders)), None)
    return None if config is None else (str(config), config.read_bytes())


def _config_in_archive(path):
    with open_archive(path) as archive:
        names = {Path(name).name: name for name in reversed(archive.names)}
        name = names.get(RESOLVED_CONFIG, names.get(CONFIG))
        if name is None:
            return None
        with archive.open(name) as file:
            return f"{path} ({name})", file.read(_LARGEST_CONFIG)
