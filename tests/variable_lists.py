"""The variable lists of the reference, beside the networks we build for them."""

from google.protobuf import text_format
from reference import REFERENCE
from undrawn import undrawn

from object_detection.builders import model_builder
from object_detection.checkpoints.variables import variables_by_path
from object_detection.protos import pipeline_pb2


def built(name):
    """{path: shape} of the network we build of the config beside a list.

    Args:
        name: folder of the list under `reference/parity`.
    """
    text = (REFERENCE / "reference" / "parity" / name / "pipeline.config").read_text()
    config = text_format.Parse(text, pipeline_pb2.TrainEvalPipelineConfig())
    with undrawn():
        network = model_builder.build_network(config.model, is_training=False)
    return {path: list(v.shape) for path, v in variables_by_path(network).items()}


def listed_shapes(name):
    """{key: shape} of the list in a folder under `reference/parity`."""
    text = (REFERENCE / "reference" / "parity" / name / "variables.tsv").read_text()
    rows = (line.split("\t") for line in text.splitlines()[1:])
    return {key: [int(side) for side in shape.split(",") if side] for key, _, shape, *_ in rows}
