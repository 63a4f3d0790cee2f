"""Runs an exported model on one batch, in a process that knows nothing but the exported files.

    fresh_run.py --saved_model=... [--frozen_graph=...] --batch=in.npz --outputs=out.npz

The input comes as `pixels`, an array, or as `files`, whose rows are the bytes of strings.
"""

import argparse

import numpy as np
import tensorflow as tf

FROZEN = "frozen_graph"


def main():
    """Write every output as `signature/name`."""
    parser = argparse.ArgumentParser()
    for name in ("saved_model", "frozen_graph", "batch", "outputs"):
        parser.add_argument(f"--{name}")
    arguments = parser.parse_args()
    with np.load(arguments.batch) as arrays:
        batch = arrays["pixels"] if "pixels" in arrays else _strings(arrays)
    results = {}
    model = tf.saved_model.load(arguments.saved_model)
    for signature, function in model.signatures.items():
        (name,) = function.structured_input_signature[1]
        outputs = function(**{name: tf.constant(batch)})
        results |= {f"{signature}/{k}": value.numpy() for k, value in outputs.items()}
    if arguments.frozen_graph:
        outputs = run_frozen(arguments.frozen_graph, batch)
        results |= {f"{FROZEN}/{k}": value for k, value in outputs.items()}
    results = {k: v.astype("S") if v.dtype == object else v for k, v in results.items()}
    np.savez(arguments.outputs, **results)


def run_frozen(path, batch):
    """Run a frozen graph with TFOD's tensor names as its clients do; return {name: array}."""
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
    """Return [B] bytes of the arrays `files/0`, `files/1`, ..."""
    count = sum(name.startswith("files/") for name in arrays)
    return np.array([arrays[f"files/{k}"].tobytes() for k in range(count)], object)


if __name__ == "__main__":
    main()
