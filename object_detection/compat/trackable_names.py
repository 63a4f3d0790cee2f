"""A network's variables where `tf.train.Checkpoint` looks for them: under TFOD's names and ours.

TensorFlow restores an object-based checkpoint by walking the tree of names in the file and asking
the program's objects for a child of each name. The nodes here have the children that TFOD's models
have (TF2 extractors), and answer to the flat names of our training checkpoints besides. Saving
writes each variable once: under TFOD's names where all of a network have one, else under ours.
"""

import tensorflow as tf

from object_detection.compat.checkpoint_map import variables_by_path
from object_detection.compat.checkpoint_names import SUFFIX
from object_detection.compat.variable_names import names_of

_PROPOSALS = "_feature_extractor_for_proposal_features"
_ROOT = "model/"


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
        """TensorFlow's question: which objects hang on this one."""
        del save_type, cache, kwargs
        return self.children

    def _lookup_dependency(self, name, cached_dependencies=None):
        """TensorFlow's question: which object of this name a checkpoint's value is for."""
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
    """The children and synonyms of a network as TFOD's model object.

    Args:
        network: `FasterRCNN`.
        extractors_only: without the first stage's and the second stage's heads.

    Returns:
        {name: `Node` or variable} twice: children and synonyms, as `Node` takes them.
    """
    variables = {path: v.value for path, v in variables_by_path(network).items()}
    keys = keys_of(network)
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


def keys_of(network):
    """{path: TFOD's name below the model, "a/b/kernel"}; without those that TFOD has not got."""
    keys = names_of(network).keys
    return {path: key.removeprefix(_ROOT).removesuffix(SUFFIX) for path, key in keys.items()}


def backbone_of(network):
    """The `Node` that TFOD calls `feature_extractor.classification_backbone`."""
    children, synonyms = children_of(network, extractors_only=True)
    node = {**children, **synonyms}.get(_PROPOSALS)
    if node is None:
        return Node({n: v for n, v in children.items() if n.startswith("backbone.")})
    return node.children.get("classification_backbone", node)


def _node(branch):
    return Node({k: _node(v) if isinstance(v, dict) else v for k, v in branch.items()})


def _in_extractor(path):
    """Whether a variable is one of both feature extractors, as TFOD cuts the model."""
    return path.startswith(("backbone/", "roi_stage/")) and not path.startswith("roi_stage/head/")
