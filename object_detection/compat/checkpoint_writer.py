"""Checkpoints in TFOD 2.x's own form, which TFOD itself loads: the way back.

Such a file holds, besides the values, the graph of the Python objects that they belong to; TFOD
finds its variables by walking that graph with its own attributes' names. The graph written here
has every path of TFOD's that leads to a variable: the one that the key spells, and beside each
`layer_with_weights-N` of a Keras network the `layer-M` that counts all its layers.
"""

import re
from typing import NamedTuple

import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

from object_detection.compat import keras_layers
from object_detection.compat.checkpoint_map import variables_by_path
from object_detection.compat.checkpoint_names import SUFFIX
from object_detection.compat.variable_names import names_of

GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
_COUNTER = "save_counter"
_WEIGHTED = "layer_with_weights-"
_TOP_LATERAL = "backbone/lateral5/kernel"


class TfodForm(NamedTuple):
    """How a network is stored as TFOD 2.x stores it."""

    keys: dict[str, str]  # our path -> key
    graph: trackable_object_graph_pb2.TrackableObjectGraph


def form_of(network) -> TfodForm | None:
    """The form that TFOD 2.x has for a network; None for a network that is none of its own."""
    masks = getattr(network, "mask_stage", None)
    if masks is not None and masks.head.settings.spatial:
        return None
    names = names_of(network)
    paths = set(names.paths)
    if set(names.keys) != paths or set(names.variables) != paths:
        return None
    if any(p.startswith("backbone/lateral") for p in paths) and _TOP_LATERAL not in paths:
        return None  # TFOD builds, and stores, conv5 below lower pyramids too
    layers = keras_layers.positions(paths)
    for container, numbers in _containers(names.keys.values()).items():
        if numbers != set(range(len(layers.get(container, ())))):
            return None
    full_names = {key: names.variables[path] for path, key in names.keys.items()}
    full_names[_COUNTER + SUFFIX] = _COUNTER
    return TfodForm(dict(names.keys), _graph(full_names, layers))


def write(prefix, network, form: TfodForm) -> None:
    """Writes the variables of a network at `prefix`, as `tf.train.Checkpoint(model=...)` of TFOD.

    Args:
        prefix: the files' name without `.index`; its folder exists.
        network: `FasterRCNN`.
        form: from `form_of`.
    """
    variables = variables_by_path(network)
    tensors = {key: tf.convert_to_tensor(variables[path]) for path, key in form.keys.items()}
    tensors[_COUNTER + SUFFIX] = tf.constant(0, tf.int64)
    tensors[GRAPH_KEY] = tf.constant(form.graph.SerializeToString(deterministic=True))
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(tensors),
        shape_and_slices=[""] * len(tensors),
        tensors=list(tensors.values()),
    )


def _containers(keys):
    """{path of a Keras network: the numbers of its layers with weights}."""
    found: dict = {}
    for key in keys:
        match = re.match(rf"(.*)/{_WEIGHTED}(\d+)/", key)
        if match:
            found.setdefault(match[1], set()).add(int(match[2]))
    return found


def _graph(full_names, layers):
    """The object graph, its nodes in the order of a walk breadth first.

    Args:
        full_names: key -> the name that the variable has in TFOD.
        layers: path of a Keras network -> the place of each layer with weights among its layers.
    """
    root: dict = {}
    for key in full_names:
        node = root
        for name in key.removesuffix(SUFFIX).split("/"):
            node = node.setdefault(name, {})
    graph = trackable_object_graph_pb2.TrackableObjectGraph()
    graph.nodes.add()
    queue = [("", root, 0)]
    for path, children, number in queue:  # grows while it is walked
        graph.nodes[number].has_checkpoint_values.value = True
        if not children:
            key = path + SUFFIX
            graph.nodes[number].attributes.add(
                name="VARIABLE_VALUE", full_name=full_names[key], checkpoint_key=key
            )
        for name in sorted(children, key=_natural):
            inner = len(graph.nodes)
            graph.nodes.add()
            graph.nodes[number].children.add(node_id=inner, local_name=name)
            if name.startswith(_WEIGHTED):
                place = layers[path][int(name.removeprefix(_WEIGHTED))]
                graph.nodes[number].children.add(node_id=inner, local_name=f"layer-{place}")
            queue.append((f"{path}/{name}" if path else name, children[name], inner))
    return graph


def _natural(name):
    """Sorts layer-10 after layer-9."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]
