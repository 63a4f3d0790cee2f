"""In an optimized model every convolution is one operation with its bias, sum and activation."""

from collections import Counter

import numpy as np
import pytest
import tensorflow as tf
import tiny_models

from object_detection.export import batching, preparation, serving
from object_detection.modeling import precision
from object_detection.ops import image

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


def saved(network, folder):
    """Saves a network as `--optimize` does."""
    preparation.fold_norms(network)
    precision.round_kernels(network)
    module = serving.FromImages(batching.Detector(network), image.Identity())
    serving.save(module, folder)


def optimized_nodes(folder):
    """The nodes that TensorFlow runs for a SavedModel."""
    v1 = tf.compat.v1
    metadata = v1.RunMetadata()
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        signature = v1.saved_model.load(session, ["serve"], str(folder)).signature_def[
            "serving_default"
        ]
        pixels = np.random.default_rng(0).integers(0, 255, (1, 64, 96, 3), np.uint8)
        session.run(
            [tensor.name for tensor in signature.outputs.values()],
            {signature.inputs["input_tensor"].name: pixels},
            options=v1.RunOptions(output_partition_graphs=True),
            run_metadata=metadata,
        )
    return [node for graph in metadata.partition_graphs for node in graph.node]


@pytest.mark.slow
@pytest.mark.parametrize("name", precision.PRECISIONS)
@pytest.mark.parametrize("overrides", ["", MASKS_OF_THE_TRUNK], ids=["pyramid", "ResNet-50"])
def test_no_convolution_is_left_unfused(name, overrides, tmp_path):
    network = tiny_models.network_of(overrides, is_training=False)
    precision.compute_in(network, name)
    saved(network, tmp_path)
    convolutions = [node for node in optimized_nodes(tmp_path) if "Conv2D" in node.op]

    plain = [node.name for node in convolutions if "Fused" not in node.op]
    assert not plain
    fused = Counter(tuple(node.attr["fused_ops"].list.s) for node in convolutions)
    assert fused[(b"BiasAdd", b"Relu")] >= 8
    assert fused[(b"BiasAdd", b"Add", b"Relu")] >= 4  # the residual blocks that keep the size


@pytest.mark.slow
def test_kernels_of_bfloat16_are_stored_so_and_give_the_same_numbers(tmp_path):
    network = tiny_models.network_of(is_training=False)
    precision.compute_in(network, precision.BFLOAT16)
    preparation.fold_norms(network)
    images = tiny_models.images_of_shapes([(64, 96)])
    pixels = tf.floor(images.pixels)
    wanted = batching.Detector(network)(pixels, images.true_shape)
    saved(network, tmp_path)

    reader = tf.train.load_checkpoint(str(tmp_path / "variables" / "variables"))
    types = Counter(dtype.name for dtype in reader.get_variable_to_dtype_map().values())
    assert types["bfloat16"] > 20
    signature = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
    result = signature(input_tensor=tf.cast(pixels, tf.uint8))
    for name in ("detection_boxes", "detection_scores", "detection_masks"):
        np.testing.assert_array_equal(result[name], wanted[name], err_msg=name)
