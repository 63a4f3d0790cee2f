"""Writes weights in each form that TFOD, slim and Keras store them in."""

import tarfile

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from object_detection.checkpoints.names import SUFFIX


def values_of(shapes, *, seed=0):
    """{name: random array}, each name's values its own."""
    generator = np.random.default_rng(seed)
    return {n: generator.uniform(0.5, 1.5, s).astype(np.float32) for n, s in shapes.items()}


def write_checkpoint(prefix, values):
    """A name-based checkpoint (V2), as TFOD's TF1 writes it."""
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(values),
        shape_and_slices=[""] * len(values),
        tensors=[tf.constant(v) for v in values.values()],
    )


def write_oldest_checkpoint(path, values):
    """One file (V1), as slim's classification checkpoints are."""
    tf.raw_ops.Save(
        filename=str(path),
        tensor_names=list(values),
        data=[tf.constant(v) for v in values.values()],
    )


def graph_of(values, *, folded=False):
    """A graph with weights as constants.

    Args:
        values: {variable name: array}.
        folded: whether the identities behind the constants have become constants themselves.
    """
    graph = tf.compat.v1.GraphDef()
    graph.node.add(name="image_tensor", op="Placeholder")
    for name, value in values.items():
        node = graph.node.add(name=name + ("/read" if folded else ""), op="Const")
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
        node.attr["dtype"].type = tf.as_dtype(value.dtype).as_datatype_enum
        if not folded:
            graph.node.add(name=name + "/read", op="Identity", input=[name])
    shape = graph.node.add(name="Preprocessor/stack", op="Const")  # no weight
    shape.attr["value"].tensor.CopyFrom(tf.make_tensor_proto([1, 2]))
    return graph


def write_frozen_graph(path, values, *, folded=False):
    """A frozen_inference_graph.pb."""
    path.write_bytes(graph_of(values, folded=folded).SerializeToString())


def write_tf1_saved_model(folder, values):
    """A SavedModel of TFOD's TF1 exporter: no variables, all in the graph."""
    saved = saved_model_pb2.SavedModel(saved_model_schema_version=1)
    saved.meta_graphs.add().graph_def.CopyFrom(graph_of(values))
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(saved.SerializeToString())


def write_tf2_saved_model(folder, values):
    """A SavedModel whose objects are nested as the names say.

    Args:
        values: {key with "/.ATTRIBUTES/VARIABLE_VALUE": array}.
    """
    root = tf.Module()
    for key, value in values.items():
        node = root
        *parts, leaf = key.removesuffix(SUFFIX).split("/")
        for part in parts:
            if not hasattr(node, part):
                setattr(node, part, tf.Module())
            node = getattr(node, part)
        setattr(node, leaf, tf.Variable(value))
    tf.saved_model.save(root, str(folder))


def write_archive(path, folder, *, name="model", mode="w:gz"):
    """An archive of a folder, under another name."""
    with tarfile.open(path, mode) as archive:
        archive.add(folder, arcname=name)
