"""Opens stored weights of every file format as one thing: names, shapes, and values on demand.

One weight at a time is in memory. An archive is unpacked, as far as it contains weights, into a
folder that is removed when the checkpoint is closed.
"""

import math
import mmap
import re
import shutil
import tempfile
import weakref
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import node_def_pb2
from tensorflow.core.protobuf import trackable_object_graph_pb2

from object_detection.checkpoints import location as locations
from object_detection.checkpoints.location import CheckpointLocation
from object_detection.checkpoints.names.tfod_tf1 import LEAVES
from object_detection.errors import CheckpointError, DamagedCheckpointError

SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"  # ends the keys of object-based checkpoints
GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"


class StoredCheckpoint:
    """Weights in a file; a context manager.

    Attributes:
        path: what was opened, for messages.
        file_format: "checkpoint", "saved_model" or the name of a `location.FileFormat`.
        shapes: {name: list of int}.
        is_object_based: whether the names are those of TensorFlow 2's object-based checkpoints.
    """

    def __init__(self, location: CheckpointLocation, reader, *, shown: str | None = None):
        """Keep an open reader.

        Args:
            location: what is open.
            reader: has `shapes` and `read(name)`; for the keys of an object graph `graph`.
            shown: the path to show, where it is not the location's own.
        """
        self.path = shown or location.path
        self.file_format = location.file_format
        self.shapes = reader.shapes
        self.is_object_based = any(name.endswith(SUFFIX) for name in self.shapes)
        self._reader = reader
        self._graph = getattr(reader, "graph", None)
        self._release = None

    def read(self, name: str) -> np.ndarray:
        """Return the value of a weight.

        Raises:
            DamagedCheckpointError: the file is damaged there.
        """
        try:
            return np.asarray(self._reader.read(name))
        except Exception as error:  # each reader has errors of its own for foreign bytes
            raise DamagedCheckpointError(
                f"{self.path} is damaged: '{name}' cannot be read ({first_line(error)}). "
                "Copy or download it again"
            ) from error

    def find(self, name: str) -> str | None:
        """Return the name under which the file holds what an object graph calls `name`."""
        if name in self.shapes:
            return name
        key = self._graph and self._graph.key_of(name.removesuffix(SUFFIX))
        return key if key in self.shapes else None

    def has_object(self, name: str) -> bool:
        """Return whether the file's object graph has an object at `name`."""
        return self._graph is not None and self._graph.has(name)

    def close(self) -> None:
        """Remove what was unpacked."""
        if self._release:
            self._release()

    def remove_on_close(self, folder: str) -> None:
        """Make `close`, or the end of this object, remove a folder."""
        self._release = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


def open_checkpoint(path: str | Path) -> StoredCheckpoint:
    """Open the weights that a user's path refers to.

    Args:
        path: a checkpoint's prefix or one of its files, a folder (of training, of an export, of
            the zoo, a SavedModel's), a frozen graph, a zoo archive, or Keras weights.

    Raises:
        CheckpointError: nothing readable there; the message says why and what to do.
    """
    location = locations.find(path)
    if location.file_format == "archive":
        return _open_archive(location.path)
    return StoredCheckpoint(location, _reader_of(location))


def load_saved_model(folder: str | Path):
    """Load a SavedModel to be run, as `tf.saved_model.load` does.

    Args:
        folder: with saved_model.pb.

    Raises:
        CheckpointError: it is incomplete or cannot be read.
    """
    folder = Path(folder)
    graph = str(folder / locations.SAVED_MODEL)
    locations.check_is_complete(CheckpointLocation("saved_model", graph))
    prefix = folder / "variables" / "variables"
    if Path(f"{prefix}.index").is_file():
        locations.check_is_complete(CheckpointLocation("checkpoint", str(prefix)))
    try:
        return tf.saved_model.load(str(folder))
    except Exception as error:  # TensorFlow has no error of its own for a damaged one
        reason = first_line(error)
        if isinstance(error, tf.errors.NotFoundError) and "Op type not registered" in reason:
            raise CheckpointError(f"{folder} cannot be run here: {reason}") from error
        raise CheckpointError(
            f"{folder} cannot be read as a SavedModel, it is cut off, damaged or something else: "
            f"{reason}. Copy it again with its folder 'variables', or export it again"
        ) from error


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, or the name of its class."""
    text = getattr(error, "message", None) or str(error)
    return (str(text).strip().splitlines() or [type(error).__name__])[0][:300]


def _open_archive(path):
    folder = tempfile.mkdtemp(prefix="checkpoint-")
    try:
        with locations.open_archive(path) as archive:
            for name in _members_to_unpack(path, archive.names):
                archive.extract(name, Path(folder))
        location = locations.find(folder)
        inside = str(Path(location.path).relative_to(folder))
        checkpoint = StoredCheckpoint(location, _reader_of(location), shown=f"{path} ({inside})")
    except CheckpointError as error:
        shutil.rmtree(folder, ignore_errors=True)
        inner = str(error).replace(folder, "").split(" In ''")[0]
        inner = inner if inner.startswith(str(path)) else f"{path}: {inner}"
        raise CheckpointError(inner) from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    checkpoint.remove_on_close(folder)
    return checkpoint


def _members_to_unpack(path, names):
    """The files of an archive that may be weights, only the best of its formats."""
    names = [name for name in names if locations.may_hold_weights(name)]
    if not names:
        raise CheckpointError(
            f"{path} is an archive without weights: no checkpoint, frozen graph, SavedModel or "
            "'.h5' in it"
        )
    plain = [n for n in names if not (n.endswith(".pb") or "/variables/" in f"/{n}")]
    # A SavedModel or a frozen graph next to a checkpoint holds the same weights again.
    has_checkpoint = any(name.endswith((".index", ".ckpt")) for name in plain)
    return plain if has_checkpoint else names


_DESCRIPTIONS = {
    "checkpoint": "a checkpoint",
    "frozen_graph": "a TensorFlow graph",
    "saved_model": "a SavedModel",
    "keras": "Keras weights",
}
_WITHOUT_WEIGHTS = {
    "frozen_graph": "no constants named as TFOD's variables; was its graph optimized for another "
    "program?",
    "saved_model": "neither variables nor constants named as TFOD's variables",
    "keras": "no layer of it has any",
}


def _reader_of(location):
    path, file_format = location.path, location.file_format
    try:
        if file_format == "checkpoint":
            return _CheckpointReader(path)
        if file_format == "frozen_graph":
            reader = GraphConstants(path)
        elif file_format == "saved_model":
            reader = _saved_model_reader(Path(path))
        elif file_format == "keras":
            reader = KerasWeights(path)
        else:
            reader = next(f for f in locations.FILE_FORMATS if f.name == file_format).reader(path)
    except CheckpointError:
        raise
    except Exception as error:  # each reader has errors of its own for foreign bytes
        raise DamagedCheckpointError(
            f"{path} cannot be read as {_DESCRIPTIONS.get(file_format, file_format)}, it is cut "
            f"off or something else: {first_line(error)}"
        ) from error
    if not reader.shapes:
        reason = _WITHOUT_WEIGHTS.get(file_format, "it is empty")
        raise CheckpointError(f"{path} can be read, but there are no weights in it: {reason}")
    return reader


def _saved_model_reader(folder):
    """Variables of a TF2 SavedModel, or of TF1's if it has any; else its graph's constants."""
    prefix = folder / "variables" / "variables"
    if Path(f"{prefix}.index").is_file():
        locations.check_is_complete(CheckpointLocation("checkpoint", str(prefix)))
        reader = _CheckpointReader(str(prefix))
        if reader.shapes:
            return reader
    graph = folder / locations.SAVED_MODEL
    locations.check_is_complete(CheckpointLocation("saved_model", str(graph)))
    return GraphConstants(graph, saved_model=True)


class _CheckpointReader:
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
        """Raise where the data files are smaller than the values that the index lists."""
        types = self._reader.get_variable_to_dtype_map()
        needs = sum(
            int(np.prod(shape, dtype=np.int64)) * types[name].size
            for name, shape in shapes.items()
            if types[name] != tf.string
        )
        has = locations.data_size(prefix)
        if Path(f"{prefix}.index").exists() and has < needs:
            raise DamagedCheckpointError(
                f"{prefix} is cut off: its data files have {has} bytes, its index requires at "
                f"least {needs}. Copy or download it again"
            )

    def _name_our_saved_model(self):
        """Our SavedModels hold a list of weights; each knows its path by its full name."""
        for full_name, key in self.graph.full_names("weights").items():
            if key in self.shapes and "/" in full_name:
                name = f"model/{full_name.split('/', 1)[1].replace('/', '..')}{SUFFIX}"
                self._aliases[name] = key
                self.shapes[name] = self.shapes.pop(key)


class ObjectGraph:
    """The object graph of a TF2 checkpoint: maps names of objects to keys.

    The key that TensorFlow wrote is one of the paths to a variable, the shortest; a SavedModel
    knows more paths than a checkpoint and starts at another root. So names are looked up by
    walking.

    Args:
        serialized: the bytes of the entry `_CHECKPOINTABLE_OBJECT_GRAPH`.
    """

    def __init__(self, serialized):
        nodes = trackable_object_graph_pb2.TrackableObjectGraph.FromString(serialized).nodes
        self._children = [{c.local_name: c.node_id for c in node.children} for node in nodes]
        self._values = [
            {a.name: (a.checkpoint_key, a.full_name) for a in node.attributes} for node in nodes
        ]

    def key_of(self, name):
        """Return the checkpoint's key of the variable at `name`, or None.

        Args:
            name: objects' names from the root on, `_model/_feature_extractor/.../kernel`.
        """
        node = self._node_at(name)
        if node is None or "VARIABLE_VALUE" not in self._values[node]:
            return None
        return self._values[node]["VARIABLE_VALUE"][0]

    def has(self, name):
        """Return whether there is an object at `name`."""
        return self._node_at(name) is not None

    def full_names(self, name):
        """Return {full name: key} of the variables that are children of the object at `name`."""
        node = self._node_at(name)
        children = {} if node is None else self._children[node]
        values = [self._values[child].get("VARIABLE_VALUE") for child in children.values()]
        return {full_name: key for key, full_name in filter(None, values)}

    def _node_at(self, name):
        node = 0
        for part in name.split("/") if name else ():
            if not self._children or part not in self._children[node]:
                return None
            node = self._children[node][part]
        return node


_LENGTH_DELIMITED = 2
_FIXED_SIZES = {1: 8, 5: 4}
_READ = "/read"
_MOST_NUMBERS = 1 << 27  # of a weight; the largest of a network here has 50 million
# Fields of the messages that are walked: GraphDef.node, SavedModel.meta_graphs,
# MetaGraphDef.graph_def, NodeDef.name, NodeDef.op.
_GRAPH_NODE, _SAVED_META_GRAPH, _META_GRAPH_DEF, _NODE_NAME, _NODE_OP = 1, 2, 2, 1, 2
_WEIGHT_ENDS = tuple("/" + leaf for leaf in LEAVES.values())


class GraphConstants:
    """The weights that a frozen TF1 graph or a TF1 SavedModel holds as constants of its graph.

    TFOD's TF1 exporter turns every variable into a `Const` node of the variable's name and leaves
    the variable's `Identity` (`<name>/read`) after it. The file is walked in place (protocol
    buffers' wire format), so that one weight at a time is in memory, not the graph.

    Args:
        path: a `frozen_inference_graph.pb`, or a `saved_model.pb` whose graph has constants.
        saved_model: whether it is the latter.

    Attributes:
        shapes: {variable name: list of int}.

    Raises:
        ValueError: the file is no graph, or is cut off.
    """

    def __init__(self, path, *, saved_model=False):
        self._path = path
        with _mapped(path) as buffer:
            graphs = [(0, len(buffer))]
            if saved_model:
                metas = _parts(buffer, graphs[0], _SAVED_META_GRAPH)
                graphs = [g for meta in metas for g in _parts(buffer, meta, _META_GRAPH_DEF)]
            self._spans = _weights_in(buffer, graphs[:1])
            self.shapes = {
                name: [d.size for d in _tensor_of(buffer, span).tensor_shape.dim]
                for name, span in self._spans.items()
            }

    def read(self, name):
        """Return the value of a weight."""
        with _mapped(self._path) as buffer:
            tensor = _tensor_of(buffer, self._spans[name])
        # One value may stand for all: a size that is damaged would be filled with it.
        if math.prod(self.shapes[name]) > max(_MOST_NUMBERS, len(tensor.tensor_content)):
            raise ValueError(f"its size is given as {self.shapes[name]}")
        return tf.make_ndarray(tensor)


@contextmanager
def _mapped(path):
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as buffer:
        yield buffer


def _weights_in(buffer, graphs):
    """{variable name: span of its Const node}."""
    constants, read = {}, set()
    for graph in graphs:
        for span in _parts(buffer, graph, _GRAPH_NODE):
            name, op = _name_and_op(buffer, span)
            if op == "Const":
                constants[name] = span
            elif op == "Identity" and name.endswith(_READ):
                read.add(name.removesuffix(_READ))
    weights = {}
    for name, span in constants.items():
        # Where constants were folded, the identity itself has become the constant.
        variable = name.removesuffix(_READ)
        if name != variable or name in read or name.endswith(_WEIGHT_ENDS):
            weights.setdefault(variable, span)
    return weights


def _tensor_of(buffer, span):
    node = node_def_pb2.NodeDef.FromString(buffer[span[0] : span[1]])
    return node.attr["value"].tensor


def _name_and_op(buffer, span):
    name = op = ""
    for number, (start, end) in _fields(buffer, *span):
        if number == _NODE_NAME:
            name = buffer[start:end].decode()
        elif number == _NODE_OP:
            op = buffer[start:end].decode()
        if name and op:
            break
    return name, op


def _parts(buffer, span, field):
    """The spans of a message's sub-messages of one field."""
    return [part for number, part in _fields(buffer, *span) if number == field]


def _fields(buffer, start, end):
    """Yields (field number, (start, end)) of the length-delimited fields of a message.

    Raises:
        ValueError: these bytes are no message.
    """
    while start < end:
        tag, start = _varint(buffer, start, end)
        number, kind = tag >> 3, tag & 7
        if kind == _LENGTH_DELIMITED:
            length, start = _varint(buffer, start, end)
            if number == 0 or start + length > end:
                raise ValueError("a message reaches beyond the end of the file")
            yield number, (start, start + length)
            start += length
        elif kind == 0:
            _, start = _varint(buffer, start, end)
        elif kind in _FIXED_SIZES:
            start += _FIXED_SIZES[kind]
        else:
            raise ValueError("not a protocol buffer")


def _varint(buffer, start, end):
    value = shift = 0
    while start < end and shift < 64:
        byte = buffer[start]
        start += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, start
        shift += 7
    raise ValueError("a number is cut off")


_KERAS_NORM = {
    4: ("gamma", "beta", "moving_mean", "moving_variance"),
    3: ("beta", "moving_mean", "moving_variance"),  # without a scale
}
_KERAS_CONV = {1: ("kernel",), 2: ("kernel", "bias")}


class KerasWeights:
    """Weights of Keras applications: legacy `.h5` files and Keras 3's `.weights.h5`.

    They are named `<layer>/<leaf>` in the order of the model's layers, with the leaves that our
    layers have: kernel, bias, gamma, beta, moving_mean, moving_variance.

    Attributes:
        shapes: {name: list of int}, in the order of the model's layers, as far as the file tells
            it: convolutions among themselves and norms among themselves.

    Raises:
        ValueError: the file has no weights of layers in it.
        OSError: it is no HDF5 file, or is cut off.
    """

    def __init__(self, path):
        import h5py  # slow to import

        self._path = path
        with h5py.File(path, "r") as file:
            group = file["model_weights"] if "model_weights" in file else file
            if "layer_names" in group.attrs:
                self._places = _legacy_places(group)
            elif "layers" in group:
                self._places = _numbered_places(group["layers"])
            else:
                raise ValueError(
                    f"no layers in it; its top groups: {', '.join(file) or 'no group'}"
                )
            self.shapes = {name: list(file[place].shape) for name, place in self._places.items()}

    def read(self, name):
        """Return the value of a weight."""
        import h5py

        with h5py.File(self._path, "r") as file:
            return file[self._places[name]][()]


def _legacy_places(group):
    """{layer/leaf: place in the file} where layers have names and weights too."""
    places = {}
    for layer in _texts(group.attrs["layer_names"]):
        for weight in _texts(group[layer].attrs["weight_names"]):
            leaf = weight.rsplit("/", 1)[-1].split(":")[0]
            places[f"{layer}/{leaf}"] = f"{group.name}/{layer}/{weight}"
    return places


def _numbered_places(layers):
    """{layer/leaf: place} where layers are numbered by class and weights by their order.

    Newer Keras notes each layer's own name with it; elsewhere the group's name serves.
    """
    places = {}
    for group in sorted(layers, key=_class_and_number):
        weights = layers[group].get("vars", {})
        leaves = _leaves_of(group, len(weights))
        own_name = weights.attrs.get("name", group) if len(weights) else group
        for number, leaf in enumerate(leaves):
            places[f"{own_name}/{leaf}"] = f"{layers.name}/{group}/vars/{number}"
    return places


def _leaves_of(group, count):
    if group.startswith("batch_normalization"):
        return _KERAS_NORM.get(count, ())
    return _KERAS_CONV.get(count, ())


def _class_and_number(group):
    match = re.fullmatch(r"(.*?)(?:_(\d+))?", group)
    return match[1], int(match[2] or 0)


def _texts(values):
    return [v.decode() if isinstance(v, bytes) else str(v) for v in values]
