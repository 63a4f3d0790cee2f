"""Writes checkpoints in TFOD 2.x's own layout, and gives a network TFOD's tree of objects.

Such a file holds, besides the values, the graph of the Python objects that they belong to; TFOD
finds its variables by walking that graph with its own attributes' names. The graph written here
has every path of TFOD's that leads to a variable: the one that the key spells, and next to each
`layer_with_weights-N` of a Keras network the `layer-M` that counts all its layers.

The other way round, `tf.train.Checkpoint` restores an object-based checkpoint by walking the tree
of names in the file and asking the program's objects for a child of each name. The `Node`s here
have the children that TFOD's models have, and also answer to the flat names of our training
checkpoints. Saving writes each variable once: under TFOD's names where all of a network have one,
else under ours.
"""

import re
from typing import NamedTuple

import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

from object_detection.checkpoints.names import SUFFIX, tfod_tf2
from object_detection.checkpoints.open import GRAPH_KEY
from object_detection.checkpoints.variables import names_of, variables_by_path

_COUNTER = "save_counter"
_WEIGHTED = "layer_with_weights-"
_TOP_LATERAL = "backbone/lateral5/kernel"
_PROPOSALS = "_feature_extractor_for_proposal_features"
_ROOT = "model/"


class TfodLayout(NamedTuple):
    """How a network is stored as TFOD 2.x stores it."""

    keys: dict[str, str]  # our path -> key
    graph: trackable_object_graph_pb2.TrackableObjectGraph


def layout_of(network) -> TfodLayout | None:
    """Return how TFOD 2.x stores a network; None for a network that TFOD cannot build."""
    masks = getattr(network, "mask_stage", None)
    if masks is not None and masks.head.settings.spatial:
        return None
    names = names_of(network)
    paths = set(names.paths)
    if set(names.keys) != paths or set(names.variables) != paths:
        return None
    if any(p.startswith("backbone/lateral") for p in paths) and _TOP_LATERAL not in paths:
        return None  # TFOD builds, and stores, conv5 below lower pyramids too
    layers = tfod_tf2.layer_positions(paths)
    for container, numbers in _containers(names.keys.values()).items():
        if numbers != set(range(len(layers.get(container, ())))):
            return None
    full_names = {key: names.variables[path] for path, key in names.keys.items()}
    full_names[_COUNTER + SUFFIX] = _COUNTER
    return TfodLayout(dict(names.keys), _graph(full_names, layers))


def write(prefix, network, layout: TfodLayout) -> None:
    """Write the variables of a network at `prefix`, as TFOD's `tf.train.Checkpoint(model=...)`.

    Args:
        prefix: the files' name without `.index`; its folder exists.
        network: `FasterRCNN`.
        layout: from `layout_of`.
    """
    variables = variables_by_path(network)
    tensors = {key: tf.convert_to_tensor(variables[path]) for path, key in layout.keys.items()}
    tensors[_COUNTER + SUFFIX] = tf.constant(0, tf.int64)
    tensors[GRAPH_KEY] = tf.constant(layout.graph.SerializeToString(deterministic=True))
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(tensors),
        shape_and_slices=[""] * len(tensors),
        tensors=list(tensors.values()),
    )


def _containers(keys):
    """{path of a Keras network: the numbers of its layers with weights}."""
    numbers: dict = {}
    for key in keys:
        match = re.match(rf"(.*)/{_WEIGHTED}(\d+)/", key)
        if match:
            numbers.setdefault(match[1], set()).add(int(match[2]))
    return numbers


def _graph(full_names, layers):
    """The object graph, its nodes in the order of a walk breadth first.

    Args:
        full_names: key -> the name that the variable has in TFOD.
        layers: path of a Keras network -> the position of each layer with weights.
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


class Node(tf.__internal__.tracking.Trackable):
    """An object of the tree; its children are attributes, and items where they are numbered.

    Args:
        children: {name: `Node` or variable}, which are saved too.
        synonyms: {name: `Node` or variable} that are found, but not saved.
    """

    def __init__(self, children, synonyms=None):
        self.children = children
        self.synonyms = synonyms or {}

    def _trackable_children(self, save_type="checkpoint", cache=None, **kwargs):
        """Return the objects that this one refers to (TensorFlow's hook)."""
        del save_type, cache, kwargs
        return self.children

    def _lookup_dependency(self, name, cached_dependencies=None):
        """Return the object that a checkpoint's value of this name is for (TensorFlow's hook)."""
        del cached_dependencies
        return self.children.get(name, self.synonyms.get(name))

    def __getattr__(self, name):
        for known in (self.__dict__.get("children", {}), self.__dict__.get("synonyms", {})):
            if name in known:
                return known[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __getitem__(self, index):
        return self.children[str(index)]


def children_of(network, *, extractors_only=False):
    """Return the children and synonyms of a network as TFOD's model object.

    Args:
        network: `FasterRCNN`.
        extractors_only: without the first stage's and the second stage's heads.

    Returns:
        {name: `Node` or variable} twice: children and synonyms, as `Node` takes them.
    """
    variables = {path: v.value for path, v in variables_by_path(network).items()}
    keys = object_names_of(network)
    if extractors_only:
        variables = {path: v for path, v in variables.items() if _in_extractor(path)}
        keys = {path: key for path, key in keys.items() if path in variables}
    ours = {path.replace("/", "."): variable for path, variable in variables.items()}
    tree = {}
    for path, key in keys.items():
        *folders, leaf = key.split("/")
        branch = tree
        for folder in folders:
            branch = branch.setdefault(folder, {})
        branch[leaf] = variables[path]
    tfods = _node(tree).children
    return (tfods, ours) if keys.keys() == variables.keys() else (ours, tfods)


def object_names_of(network) -> dict[str, str]:
    """Return {path: TFOD's name below the model, "a/b/kernel"}, of the paths that TFOD has."""
    keys = names_of(network).keys
    return {path: key.removeprefix(_ROOT).removesuffix(SUFFIX) for path, key in keys.items()}


def backbone_of(network):
    """Return the `Node` that TFOD calls `feature_extractor.classification_backbone`."""
    children, synonyms = children_of(network, extractors_only=True)
    node = {**children, **synonyms}.get(_PROPOSALS)
    if node is None:
        return Node({n: v for n, v in children.items() if n.startswith("backbone.")})
    return node.children.get("classification_backbone", node)


def _node(branch):
    return Node({k: _node(v) if isinstance(v, dict) else v for k, v in branch.items()})


def _in_extractor(path):
    """Whether a variable is one of both feature extractors, as TFOD divides the model."""
    return path.startswith(("backbone/", "roi_stage/")) and not path.startswith("roi_stage/head/")
