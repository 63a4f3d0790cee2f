"""Checkpoints in TFOD's form: keys, names and the graph of objects, against the reference's own."""

import pytest
import tensorflow as tf
from google.protobuf import text_format
from reference import REFERENCE, needs_reference
from tensorflow.core.protobuf import trackable_object_graph_pb2
from tiny_models import network_of
from undrawn import undrawn

from object_detection.builders import model_builder
from object_detection.checkpoints import restore, tfod_writer, variables
from object_detection.protos import pipeline_pb2

CASES = (
    "a_tf2_mask_resnet50",
    "b_tf2_mask_inception_resnet_v2",
    "g_tf2_resnet50_fpn",
    "g2_tf2_mask_resnet50_fpn",
    "h_tf2_resnet101",
    "variable_lists/tf2_mask_resnet101",
    "variable_lists/tf2_mask_resnet152",
    "variable_lists/tf2_resnet101_fpn",
    "variable_lists/tf2_resnet152_fpn",
)


def paths_to_variables(graph):
    """{path from the root: (key, name in TFOD)} of all variables, by every way that leads there."""
    found = {}
    pending = [("", 0)]
    while pending:
        path, number = pending.pop()
        node = graph.nodes[number]
        for attribute in node.attributes:
            found[path] = (attribute.checkpoint_key, attribute.full_name)
        pending += [(f"{path}/{child.local_name}", child.node_id) for child in node.children]
    return found


def network_of_case(name):
    folder = REFERENCE / "reference" / "parity" / name
    config = text_format.Parse(
        (folder / "pipeline.config").read_text(), pipeline_pb2.TrainEvalPipelineConfig()
    )
    with undrawn():
        return folder, model_builder.build_network(config.model, is_training=False)


@needs_reference
@pytest.mark.parametrize(
    "name", [pytest.param(case, marks=[pytest.mark.slow] * (case != CASES[0])) for case in CASES]
)
def test_keys_names_and_graph_are_the_references(name, tmp_path):
    folder, network = network_of_case(name)
    form = tfod_writer.layout_of(network)
    tfod_writer.write(tmp_path / "ckpt-0", network, form)

    rows = [line.split("\t") for line in (folder / "variables.tsv").read_text().splitlines()[1:]]
    shapes = {row[0]: [int(n) for n in row[2].split(",") if n] for row in rows}
    reader = tf.train.load_checkpoint(str(tmp_path / "ckpt-0"))
    stored = dict(reader.get_variable_to_shape_map())
    assert stored.pop(tfod_writer.GRAPH_KEY) == []
    assert stored == shapes

    wanted = trackable_object_graph_pb2.TrackableObjectGraph()
    wanted.ParseFromString((folder / "object_graph.pb").read_bytes())
    assert paths_to_variables(form.graph) == paths_to_variables(wanted)
    assert {row[0]: row[-1] for row in rows} == dict(paths_to_variables(form.graph).values())


@needs_reference
def test_our_own_reader_reads_it_back(tmp_path):
    _, network = network_of_case(CASES[0])
    for number, variable in enumerate(network.variables):
        variable.assign(tf.fill(variable.shape, float(number)))
    tfod_writer.write(tmp_path / "ckpt-0", network, tfod_writer.layout_of(network))
    for variable in network.variables:
        variable.assign(tf.zeros(variable.shape))

    report = restore.restore(network, tmp_path / "ckpt-0")

    assert report.family == "tf2" and len(report.restored) == len(network.variables)
    got = [float(tf.reduce_max(variable)) for variable in network.variables]
    assert got == [float(number) for number in range(len(got))]


@pytest.mark.parametrize(
    ("fields", "places"),
    [
        # Convolution, norm and activation in threes: two convolutions at 0 and 3, masks at 6.
        ("", {"conv1": 0, "conv2": 3, "masks": 6}),
        # One more convolution; before it stands the upsampling, at 6.
        ("convolve_then_upsample_masks: true", {"conv2": 3, "conv3": 7, "masks": 10}),
    ],
)
def test_places_of_the_mask_convolutions(fields, places):
    # The places are TFOD's, whatever the extractor.
    masks = f"mask_prediction_num_conv_layers: 3 {fields}"
    network = network_of(
        "faster_rcnn { second_stage_box_predictor { mask_rcnn_box_predictor { "
        f"spatial_mask_branch: false {masks} }} }} }}"
    )
    names = variables.names_of(network)
    for layer, place in places.items():
        key = names.keys[f"masks/head/{layer}/kernel"]
        assert f"_mask_predictor_layers/{place}/kernel/" in key
    upsampled = [name for name in names.variables.values() if "upsample" in name]
    assert len(upsampled) == (2 if fields else 0)  # kernel and bias


def test_a_network_of_our_own_has_no_such_form():
    assert tfod_writer.layout_of(network_of()) is None
