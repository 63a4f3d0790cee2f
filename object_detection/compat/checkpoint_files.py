"""Every form in which weights are stored, opened as one thing: names, shapes, and values on demand.

One weight at a time is in memory. An archive is unpacked, as far as it holds weights, into a folder
that goes away when the `Stored` is closed.
"""

import shutil
import tempfile
import weakref
from pathlib import Path

import numpy as np
import tensorflow as tf

from object_detection.compat import archives, checkpoint_kinds, checkpoint_paths
from object_detection.compat.checkpoint_names import SUFFIX
from object_detection.compat.checkpoint_paths import Place
from object_detection.compat.graph_constants import GraphConstants
from object_detection.compat.object_names import GRAPH_KEY, ObjectGraph
from object_detection.errors import CheckpointError


class Stored:
    """Weights in a file; a context manager.

    Attributes:
        path: what was opened.
        form: of the file: "checkpoint", "saved_model", "frozen_graph" or "keras".
        kind: one of `checkpoint_kinds.KINDS`, told from the names.
        shapes: {name: list of int}.
    """

    def __init__(self, place: Place, source, *, shown=None):
        """
        Args:
            place: what is open.
            source: has `shapes` and `read(name)`; for the keys of an object graph `graph`.
            shown: the path to show, where it is not the place's own.
        """
        self.path = shown or place.path
        self.form = place.form
        self.shapes = source.shapes
        self.kind = checkpoint_kinds.kind_of(self.shapes, keras=place.form == "keras")
        self._source = source
        self._release = None

    def read(self, name):
        """The value of a weight, an array.

        Raises:
            CheckpointError: the file is damaged there.
        """
        try:
            return np.asarray(self._source.read(name))
        except Exception as error:  # each reader has errors of its own for foreign bytes
            raise CheckpointError(
                f"{self.path} is damaged: '{name}' cannot be read ({_first_line(error)}). "
                "Copy or download it again"
            ) from error

    def find(self, name):
        """The name under which the file holds what an object graph calls `name`, or None."""
        if name in self.shapes:
            return name
        graph = getattr(self._source, "graph", None)
        key = graph and graph.key_of(name.removesuffix(SUFFIX))
        return key if key in self.shapes else None

    def has_object(self, name):
        """Whether the file's object graph has an object at `name`."""
        graph = getattr(self._source, "graph", None)
        return graph is not None and graph.has(name)

    def close(self):
        """Removes what was unpacked."""
        if self._release:
            self._release()

    def remove_on_close(self, folder):
        """Makes `close`, or the end of this object, remove a folder."""
        self._release = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


def open_stored(path) -> Stored:
    """Opens the weights that a user's path means.

    Args:
        path: a checkpoint's prefix or one of its files, a folder (of training, of an export, of
            the zoo, a SavedModel's), a frozen graph, a zoo archive, or Keras weights.

    Raises:
        CheckpointError: nothing readable there; the message says why and what to do.
    """
    place = checkpoint_paths.find(path)
    if place.form == "archive":
        return _open_archive(place.path)
    return Stored(place, _source_of(place))


def load_saved_model(folder):
    """Loads a SavedModel to be run, as `tf.saved_model.load` does.

    Args:
        folder: with saved_model.pb.

    Raises:
        CheckpointError: it is not whole or cannot be read.
    """
    folder = Path(folder)
    checkpoint_paths.check_is_whole(Place("saved_model", str(folder / "saved_model.pb")))
    prefix = folder / "variables" / "variables"
    if Path(f"{prefix}.index").is_file():
        checkpoint_paths.check_is_whole(Place("checkpoint", str(prefix)))
    try:
        return tf.saved_model.load(str(folder))
    except Exception as error:  # TensorFlow has no error of its own for a damaged one
        reason = _first_line(error)
        if isinstance(error, tf.errors.NotFoundError) and "Op type not registered" in reason:
            raise CheckpointError(f"{folder} cannot be run here: {reason}") from error
        raise CheckpointError(
            f"{folder} cannot be read as a SavedModel, it is cut off, damaged or something else: "
            f"{reason}. Copy it again with its folder 'variables', or export it again"
        ) from error


class _Checkpoint:
    """TensorFlow's checkpoint files, name-based or object-based."""

    def __init__(self, prefix):
        self._reader = tf.train.load_checkpoint(prefix)
        shapes = dict(self._reader.get_variable_to_shape_map())
        self._check_size(prefix, shapes)
        self.graph = None
        if GRAPH_KEY in shapes:
            self.graph = ObjectGraph(self._reader.get_tensor(GRAPH_KEY))
            del shapes[GRAPH_KEY]
        self.shapes = {name: list(shape) for name, shape in sorted(shapes.items())}
        self._aliases = {}
        if self.graph and not any(name.startswith("model/") for name in shapes):
            self._name_our_saved_model()

    def read(self, name):
        return self._reader.get_tensor(self._aliases.get(name, name))

    def _check_size(self, prefix, shapes):
        """Raises where the data files are smaller than the numbers that the index names."""
        types = self._reader.get_variable_to_dtype_map()
        needs = sum(
            int(np.prod(shape, dtype=np.int64)) * types[name].size
            for name, shape in shapes.items()
            if types[name] != tf.string
        )
        has = checkpoint_paths.data_size(prefix)
        if Path(f"{prefix}.index").exists() and has < needs:
            raise CheckpointError(
                f"{prefix} is cut off: its data files have {has} bytes, its index speaks of at "
                f"least {needs}. Copy or download it again"
            )

    def _name_our_saved_model(self):
        """Our SavedModels hold a list of weights; each knows its path by its full name."""
        for full_name, key in self.graph.full_names("weights").items():
            if key in self.shapes and "/" in full_name:
                name = f"model/{full_name.split('/', 1)[1].replace('/', '..')}{SUFFIX}"
                self._aliases[name] = key
                self.shapes[name] = self.shapes.pop(key)


def _source_of(place):
    try:
        if place.form == "checkpoint":
            return _Checkpoint(place.path)
        if place.form == "frozen_graph":
            source = GraphConstants(place.path)
        elif place.form == "saved_model":
            source = _saved_model(Path(place.path))
        else:
            from object_detection.compat.keras_files import KerasWeights  # h5py is slow to come

            source = KerasWeights(place.path)
    except CheckpointError:
        raise
    except Exception as error:  # each reader has errors of its own for foreign bytes
        raise CheckpointError(_unreadable(place, error)) from error
    if not source.shapes:
        raise CheckpointError(
            f"{place.path} can be read, but there are no weights in it: {_EMPTY[place.form]}"
        )
    return source


_EMPTY = {
    "frozen_graph": "no constants named as TFOD's variables; was its graph optimized for another "
    "program?",
    "saved_model": "neither variables nor constants named as TFOD's variables",
    "keras": "no layer of it has any",
}


def _saved_model(folder):
    """Variables of a TF2 SavedModel, or of TF1's if it has any; else its graph's constants."""
    prefix = folder / "variables" / "variables"
    if Path(f"{prefix}.index").is_file():
        checkpoint_paths.check_is_whole(Place("checkpoint", str(prefix)))
        source = _Checkpoint(str(prefix))
        if source.shapes:
            return source
    checkpoint_paths.check_is_whole(Place("saved_model", str(folder / "saved_model.pb")))
    return GraphConstants(folder / "saved_model.pb", saved_model=True)


def _unreadable(place, error):
    what = {
        "checkpoint": "as a checkpoint",
        "frozen_graph": "as a TensorFlow graph",
        "saved_model": "as a SavedModel",
        "keras": "as Keras weights",
    }[place.form]
    return (
        f"{place.path} cannot be read {what}, it is cut off or something else: {_first_line(error)}"
    )


def _first_line(error):
    return str(error).strip().split("\n")[0] or type(error).__name__


def _open_archive(path):
    folder = tempfile.mkdtemp(prefix="checkpoint-")
    try:
        _unpack(path, Path(folder))
        place = checkpoint_paths.find(folder)
        inside = str(Path(place.path).relative_to(folder))
        stored = Stored(place, _source_of(place), shown=f"{path} ({inside})")
    except CheckpointError as error:
        shutil.rmtree(folder, ignore_errors=True)
        inner = str(error).replace(folder, "").split(" In ''")[0]
        inner = inner if inner.startswith(str(path)) else f"{path}: {inner}"
        raise CheckpointError(inner) from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    stored.remove_on_close(folder)
    return stored


def _unpack(path, folder):
    """Writes the files of an archive that may be weights, the best of its forms only."""
    with archives.opened(path) as archive:
        for name in _chosen_members(path, archive.names):
            archive.extract(name, folder)


def _chosen_members(path, names):
    names = [name for name in names if checkpoint_paths.is_name_of_weights(name)]
    if not names:
        raise CheckpointError(
            f"{path} is an archive without weights: no checkpoint, frozen graph, SavedModel or "
            "'.h5' in it"
        )
    plain = [name for name in names if not _is_graph(name)]
    # A SavedModel or a frozen graph beside a checkpoint holds the same weights once more.
    has_checkpoint = any(name.endswith((".index", ".ckpt")) for name in plain)
    return plain if has_checkpoint else names


def _is_graph(name):
    return name.endswith(".pb") or "/variables/" in f"/{name}"
