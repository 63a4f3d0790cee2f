"""The object graph of a TF2 checkpoint: which key an object's name stands for.

The key that TensorFlow wrote is one of the paths to a variable, the shortest; a SavedModel knows
more paths than a checkpoint and starts at another root. So a name is looked up by walking.
"""

from tensorflow.core.protobuf import trackable_object_graph_pb2

GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"


class ObjectGraph:
    """Names of objects in a checkpoint.

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
        """The checkpoint's key of the variable that stands at `name`, or None.

        Args:
            name: objects' names from the root on, `_model/_feature_extractor/.../kernel`.
        """
        node = self._node_at(name)
        if node is None or "VARIABLE_VALUE" not in self._values[node]:
            return None
        return self._values[node]["VARIABLE_VALUE"][0]

    def has(self, name):
        """Whether there is an object at `name`."""
        return self._node_at(name) is not None

    def full_names(self, name):
        """{full name: key} of the variables that are children of the object at `name`."""
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
