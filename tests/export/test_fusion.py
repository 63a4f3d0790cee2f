"""In an optimized model every convolution is one operation with its bias, sum and activation."""

from collections import Counter

import numpy as np
import pytest
import tensorflow as tf
import tiny_models

from object_detection.export import batching, folding
from object_detection.modeling import precision

MASKS_OF_THE_TRUNK = """
faster_rcnn {
  feature_extractor { type: "faster_rcnn_resnet50_keras" }
  first_stage_anchor_generator { grid_anchor_generator {
    scales: [0.25, 0.5] aspect_ratios: [1.0] height_stride: 16 width_stride: 16 } }
  fpn_paper_levels: false
  second_stage_box_predictor { mask_rcnn_box_predictor {
    spatial_mask_branch: false mask_prediction_num_conv_layers: 4 } }
}
"""


def optimized_nodes(network):
    """The nodes that TensorFlow runs for a folded and frozen network."""
    folding.fold(network)
    detector = batching.Detector(network)
    detector.freeze()
    frozen = detector._frozen
    v1 = tf.compat.v1
    metadata = v1.RunMetadata()
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        tf.import_graph_def(frozen.graph.as_graph_def(), name="")
        pixels = np.random.default_rng(0).uniform(0, 255, (1, 64, 96, 3))
        session.run(
            [tensor.name for tensor in frozen.outputs],
            {frozen.inputs[0].name: pixels, frozen.inputs[1].name: [[64, 96]]},
            options=v1.RunOptions(output_partition_graphs=True),
            run_metadata=metadata,
        )
    return [node for graph in metadata.partition_graphs for node in graph.node]


@pytest.mark.slow
@pytest.mark.parametrize("name", precision.PRECISIONS)
@pytest.mark.parametrize("overrides", ["", MASKS_OF_THE_TRUNK], ids=["pyramid", "ResNet-50"])
def test_no_convolution_is_left_unfused(name, overrides):
    network = tiny_models.network_of(overrides, is_training=False)
    precision.compute_in(network, name)
    convolutions = [node for node in optimized_nodes(network) if "Conv2D" in node.op]

    plain = [node.name for node in convolutions if "Fused" not in node.op]
    assert not plain
    fused = Counter(tuple(node.attr["fused_ops"].list.s) for node in convolutions)
    assert fused[(b"BiasAdd", b"Relu")] >= 8
    assert fused[(b"BiasAdd", b"Add", b"Relu")] >= 4  # the residual blocks that keep the size
