"""Runs an exported model on one batch, in a process of its own that knows nothing but the files.

    fresh_run.py --saved_model=... [--frozen_graph=...] --batch=in.npz --outputs=out.npz

The input comes as `pixels`, an array, or as `files`, whose rows are the bytes of strings.
"""

import argparse

import numpy as np
import tensorflow as tf

FROZEN = "frozen_graph"


def main():
    """Writes every output as `signature/name`."""
    parser = argparse.ArgumentParser()
    for name in ("saved_model", "frozen_graph", "batch", "outputs"):
        parser.add_argument(f"--{name}")
    given = parser.parse_args()
    with np.load(given.batch) as arrays:
        batch = arrays["pixels"] if "pixels" in arrays else _strings(arrays)
    answers = {}
    model = tf.saved_model.load(given.saved_model)
    for signature, function in model.signatures.items():
        (name,) = function.structured_input_signature[1]
        outputs = function(**{name: tf.constant(batch)})
        answers |= {f"{signature}/{k}": value.numpy() for k, value in outputs.items()}
    if given.frozen_graph:
        outputs = run_frozen(given.frozen_graph, batch)
        answers |= {f"{FROZEN}/{k}": value for k, value in outputs.items()}
    answers = {k: v.astype("S") if v.dtype == object else v for k, v in answers.items()}
    np.savez(given.outputs, **answers)


def run_frozen(path, batch):
    """{name: array} of a frozen graph with TFOD's tensor names, run as its clients do."""
    graph_def = tf.compat.v1.GraphDef()
    with open(path, "rb") as file:
        graph_def.ParseFromString(file.read())
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        nodes = [node for node in graph_def.node if "/" not in node.name]
        (source,) = (node.name for node in nodes if node.op == "Placeholder")
        outputs = {node.name: f"{node.name}:0" for node in nodes if node.op == "Identity"}
        with tf.compat.v1.Session(graph=graph) as session:
            return session.run(outputs, {f"{source}:0": batch})


def _strings(arrays):
    """[B] bytes of the arrays `files/0`, `files/1`, ..."""
    count = sum(name.startswith("files/") for name in arrays)
    return np.array([arrays[f"files/{k}"].tobytes() for k in range(count)], object)


if __name__ == "__main__":
    main()
