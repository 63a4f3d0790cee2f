"""The weights that a frozen TF1 graph or a TF1 SavedModel holds as constants of its graph.

TFOD's TF1 exporter turns every variable into a `Const` node of the variable's name and leaves the
variable's `Identity` (`<name>/read`) behind it. The file is walked in place (protocol buffers' wire
format), so that one weight at a time is in memory, not the graph.
"""

import math
import mmap
from contextlib import contextmanager

import tensorflow as tf
from tensorflow.core.framework import node_def_pb2

from object_detection.compat.tf1_names import LEAVES

_LENGTH_DELIMITED = 2
_FIXED_SIZES = {1: 8, 5: 4}
_READ = "/read"
_MOST_NUMBERS = 1 << 27  # of a weight; the largest of a network here has 50 million
# Fields of the messages that are walked: GraphDef.node, SavedModel.meta_graphs,
# MetaGraphDef.graph_def, NodeDef.name, NodeDef.op.
_GRAPH_NODE, _SAVED_META_GRAPH, _META_GRAPH_DEF, _NODE_NAME, _NODE_OP = 1, 2, 2, 1, 2
_WEIGHT_ENDS = tuple("/" + leaf for leaf in LEAVES.values())


class GraphConstants:
    """Weights by variable name, read one at a time.

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
        """The value of a weight, an array."""
        with _mapped(self._path) as buffer:
            tensor = _tensor_of(buffer, self._spans[name])
        # One value may stand for all: a size that is damaged would be filled with it.
        if math.prod(self.shapes[name]) > max(_MOST_NUMBERS, len(tensor.tensor_content)):
            raise ValueError(f"its size is said to be {self.shapes[name]}")
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


def _parts(buffer, span, wanted):
    """The spans of a message's sub-messages of one field."""
    return [part for number, part in _fields(buffer, *span) if number == wanted]


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
            raise ValueError("no protocol buffer")


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
