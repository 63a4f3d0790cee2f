"""What a user's path to weights means: a checkpoint, a SavedModel, a frozen graph, Keras weights.

Every path that people put into `fine_tune_checkpoint` is understood; what is not there or not whole
is told with what was looked for and what lies near.
"""

import difflib
import re
from pathlib import Path
from typing import NamedTuple

from object_detection import addresses
from object_detection.errors import CheckpointError

FROZEN_GRAPH = "frozen_inference_graph.pb"
SAVED_MODEL = "saved_model.pb"
_ARCHIVES = (
    *(".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2"),
    *(".zip", ".keras"),
)
_ARCHIVE_STARTS = (b"\x1f\x8b", b"\xfd7zXZ\x00", b"BZh", b"PK\x03\x04")  # gzip, xz, bzip2, zip
_KERAS = (".h5", ".hdf5")
_TABLE_MAGIC = bytes.fromhex("57fb808b247547db")  # ends .index files and TF1's oldest checkpoints
_SHARD = r"(.+)\.data-(\d{5})-of-(\d{5})"
_LOOKED_FOR = (
    "a prefix with its '.index' and '.data-...' files, a folder with a 'checkpoint' file or "
    f"'*.index' in it or in its 'checkpoint' folder, a SavedModel folder, a '{FROZEN_GRAPH}', "
    "a zoo '.tar.gz' or another archive, or Keras' '.h5' or '.keras' weights"
)


class Place(NamedTuple):
    """Where weights lie."""

    form: str  # "checkpoint", "saved_model", "frozen_graph", "keras" or "archive"
    path: str  # of a checkpoint its prefix, of a SavedModel its folder, else the file


def find(path) -> Place:
    """The place that a user's path means.

    Raises:
        CheckpointError: nothing there; the message says what was looked for and what is near.
    """
    fault = addresses.fault_of(path, "weights")
    if fault:
        raise CheckpointError(f"the path of the weights {fault}")
    path = Path(str(path).rstrip("/") or "/").expanduser()
    found = _checkpoint_at(path) or (_file_at(path) if path.is_file() else None)
    if found is None and path.is_dir():
        found = _in_folder(path)
    if found is None:
        raise CheckpointError(_nothing_at(path))
    if found.form != "saved_model":
        check_is_whole(found)
    return found


def check_is_whole(place: Place) -> None:
    """Raises CheckpointError where files of a place are missing or no more than a download's husk.

    What a cut-off file itself would show is found where it is read.
    """
    if place.form != "checkpoint":
        _check_content(Path(place.path))
        return
    prefix = Path(place.path)
    if not Path(f"{prefix}.index").exists():  # TF1's oldest form: one file
        _check_content(prefix)
        return
    _check_content(Path(f"{prefix}.index"))
    shards = {}
    for file in prefix.parent.glob(_escaped(prefix.name) + ".data-*"):
        match = re.fullmatch(_SHARD, file.name)
        if match:
            shards.setdefault(int(match[3]), []).append(int(match[2]))
            _check_content(file)
    if not shards:
        raise CheckpointError(
            f"{prefix}.index is there, but its data is not: no '{prefix.name}.data-...' beside it. "
            "Copy both files."
        )
    count, numbers = max(shards.items(), key=lambda item: len(item[1]))
    missing = sorted(set(range(count)) - set(numbers))
    if missing:
        name = f"{prefix.name}.data-{missing[0]:05d}-of-{count:05d}"
        raise CheckpointError(
            f"{prefix} is a checkpoint of {count} data files, of which {len(missing)} are not "
            f"there: '{name}'" + (" and others" if len(missing) > 1 else "")
        )


def data_size(prefix):
    """Bytes in the data files of a checkpoint."""
    prefix = Path(prefix)
    files = prefix.parent.glob(_escaped(prefix.name) + ".data-*")
    return sum(file.stat().st_size for file in files)


def _checkpoint_at(path):
    """The checkpoint whose prefix, or one of whose files, is `path`."""
    name = re.sub(r"\.(index|meta|data-\d{5}-of-\d{5})$", "", str(path))
    if Path(name + ".index").is_file():
        return Place("checkpoint", name)
    if name != str(path) and path.is_file():
        # A data or graph file alone: what is missing is the index.
        raise CheckpointError(
            f"{path} is one file of a checkpoint, but '{Path(name).name}.index' is not beside it. "
            "Copy all files of the checkpoint."
        )
    return None


def _file_at(path):
    lower = path.name.lower()
    if path.name == "checkpoint":
        return _in_folder(path.parent)
    if path.name == SAVED_MODEL:
        return Place("saved_model", str(path.parent))
    if lower.endswith(_ARCHIVES):
        return Place("archive", str(path))
    if lower.endswith(_KERAS):
        return Place("keras", str(path))
    if lower.endswith(".pb"):
        return Place("frozen_graph", str(path))
    _check_content(path)
    with open(path, "rb") as file:
        start = file.read(8)
        file.seek(max(0, path.stat().st_size - 8))
        end = file.read()
    if start.startswith(_ARCHIVE_STARTS):
        return Place("archive", str(path))
    if start.startswith(b"\x89HDF"):
        return Place("keras", str(path))
    if end == _TABLE_MAGIC or lower.endswith(".ckpt"):
        return Place("checkpoint", str(path))
    raise CheckpointError(f"{path} is a file, but no weights of a known form: {_LOOKED_FOR}")


def _in_folder(folder):
    """The best of what a folder holds: a checkpoint before a graph, a training's newest."""
    for inner in (folder, folder / "checkpoint"):
        found = _latest(inner) if inner.is_dir() else None
        if found:
            return found
    # A TF1 export has the same weights in both; the frozen graph is the plainer file.
    if (folder / FROZEN_GRAPH).is_file():
        return Place("frozen_graph", str(folder / FROZEN_GRAPH))
    for inner in (folder, folder / "saved_model"):
        if (inner / SAVED_MODEL).is_file():
            return Place("saved_model", str(inner))
    for suffix in (*_KERAS, ".keras", ".ckpt"):
        files = sorted(folder.glob(f"*{suffix}"))
        if len(files) == 1:
            return _file_at(files[0])
    below = [inner for inner in sorted(folder.iterdir()) if inner.is_dir()]
    # An unpacked archive lies one folder deeper.
    return _in_folder(below[0]) if len(below) == 1 and _holds_nothing_else(folder) else None


def _holds_nothing_else(folder):
    return all(p.is_dir() or p.name.startswith(".") for p in folder.iterdir())


def _latest(folder):
    """The newest checkpoint of a folder; a state file of another machine is read by its names."""
    if not (folder / "checkpoint").is_dir():
        state = _state_of(folder)
        if state:
            for prefix in (folder / Path(state).name, folder / state):
                if Path(f"{prefix}.index").is_file():
                    return Place("checkpoint", str(prefix))
    files = [f for f in folder.glob("*.index") if f.is_file()]
    if not files:
        return None
    newest = max(files, key=lambda f: _number_in(f.name))
    return Place("checkpoint", str(newest).removesuffix(".index"))


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
    """Raises where a file holds something else than its name says."""
    try:
        with open(file, "rb") as opened:
            start = opened.read(64)
    except OSError as error:
        raise CheckpointError(f"{file} cannot be read: {error.strerror}") from error
    if start.startswith(b"version https://git-lfs"):
        raise CheckpointError(
            f"{file} is a git-lfs pointer, not the file itself: run `git lfs pull` in its "
            "repository, or download it in full"
        )
    if not start:
        raise CheckpointError(f"{file} is empty: copy or download it again")
    if start.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        raise CheckpointError(
            f"{file} is a web page, not weights: the download gave an error page; download again"
        )


def _nothing_at(path):
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


def _escaped(name):
    """A name as a glob pattern that matches it alone."""
    return re.sub(r"([*?\[])", r"[\1]", name)


def is_name_of_weights(name):
    """Whether a file of this name in an archive may be part of weights."""
    path = Path(name)
    return (
        path.name in ("checkpoint", FROZEN_GRAPH, SAVED_MODEL)
        or path.suffix in (".index", ".ckpt", *_KERAS)
        or ".data-" in path.name
    )
