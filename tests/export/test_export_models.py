"""Real networks of one, two and three stages, exported."""

import json

import numpy as np
import pytest
import tensorflow as tf
import tiny_models
from google.protobuf import text_format

from object_detection.builders import image_resizer_builder, model_builder
from object_detection.checkpoints import variables
from object_detection.config import pipeline_file
from object_detection.export import exporter, fresh_run, frozen_graph, preparation, serving
from object_detection.export.options import ExportOptions
from object_detection.ops.image import KeepAspectRatio
from object_detection.protos import pipeline_pb2

CONFIG = """
model { faster_rcnn {
  number_of_stages: 3
  num_classes: 3
  image_resizer { fixed_shape_resizer { height: 64 width: 96 } }
  feature_extractor {
    type: "faster_rcnn_resnet18_fpn_keras"
    fpn { min_level: 2 max_level: 6 additional_layer_depth: 16 }
  }
  first_stage_anchor_generator { multiscale_anchor_generator {
    min_level: 2 max_level: 6 anchor_scale: 4 aspect_ratios: [1] scales_per_octave: 1
    normalize_coordinates: false
  } }
  first_stage_box_predictor_depth: 16
  first_stage_box_predictor_conv_hyperparams {
    regularizer { l2_regularizer { weight: 0 } }
    initializer { truncated_normal_initializer { stddev: .01 } }
  }
  first_stage_max_proposals: 12
  first_stage_localization_loss_weight: 2
  first_stage_objectness_loss_weight: 1
  initial_crop_size: 14
  maxpool_kernel_size: 2
  maxpool_stride: 2
  second_stage_box_predictor { mask_rcnn_box_predictor {
    fc_hyperparams {
      op: FC
      regularizer { l2_regularizer { weight: 0 } }
      initializer { variance_scaling_initializer {} }
    }
    predict_instance_masks: true
    spatial_mask_branch: true
    mask_height: 14
    mask_width: 14
    mask_prediction_conv_depth: 16
    conv_hyperparams {
      regularizer { l2_regularizer { weight: 0 } }
      initializer { truncated_normal_initializer { stddev: .01 } }
    }
  } }
  second_stage_post_processing {
    batch_non_max_suppression { max_detections_per_class: 5 max_total_detections: 8 }
    score_converter: SOFTMAX
  }
} }
"""
ONE_STAGE = {
    "detection_boxes",
    "detection_scores",
    "detection_multiclass_scores",
    "num_detections",
    "raw_detection_boxes",
    "raw_detection_scores",
}
TWO_STAGES = ONE_STAGE | {"detection_classes", "detection_anchor_indices"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stages", "raw", "names"),
    [
        (1, False, ONE_STAGE),
        (2, False, TWO_STAGES),
        (3, False, TWO_STAGES | {"detection_masks"}),
        (3, True, TWO_STAGES | {"detection_masks", "anchors", "proposal_boxes", "image_shape"}),
    ],
)
def test_outputs_of_every_number_of_stages(stages, raw, names, tmp_path):
    config = pipeline_file.parse(CONFIG).model
    config.faster_rcnn.number_of_stages = stages
    network = model_builder.build_network(config, is_training=False)
    resizer = image_resizer_builder.build(config.faster_rcnn.image_resizer)
    serving.save(serving.FromImages(network, resizer, raw=raw), tmp_path / "model")
    images = np.random.default_rng(0).integers(0, 255, [2, 40, 50, 3], np.uint8)

    outputs = tf.saved_model.load(str(tmp_path / "model"))(images)

    if stages == 1:
        outputs.pop("detection_classes", None)
    assert set(outputs) >= names if raw else set(outputs) == names
    assert {value.dtype for value in outputs.values()} == {tf.float32}
    count = 12 if stages == 1 else 8
    assert outputs["detection_boxes"].shape == [2, count, 4]
    boxes = outputs["detection_boxes"].numpy()
    assert boxes.min() >= 0 and boxes.max() <= 1
    if stages == 3:
        assert outputs["detection_masks"].shape == [2, 8, 14, 14]


@pytest.mark.slow
def test_files_of_several_sizes_are_answered_as_each_would_be_alone(tmp_path):
    network = tiny_models.network_of(is_training=False)
    module = serving.FromEncodedImages(network, KeepAspectRatio(64, 96))
    generator = np.random.default_rng(0)
    sizes = [(40, 60), (64, 64), (40, 60), (90, 30)]
    images = [generator.integers(0, 255, [*size, 3], np.uint8) for size in sizes]
    files = [tf.io.encode_png(image).numpy() for image in images]

    together = module(tf.constant(files))
    pixels = serving.FromImages(module.detector, KeepAspectRatio(64, 96))
    for k, image in enumerate(images):
        for alone in (module(tf.constant(files[k : k + 1])), pixels(image[np.newaxis])):
            assert set(alone) == set(together)
            for name, value in alone.items():
                np.testing.assert_allclose(together[name][k], value[0], atol=1e-5, err_msg=name)
    assert tuple(together["detection_masks"].shape) == (4, 12, 14, 14)


def _trained(folder):
    """A config, and its network whose checkpoint lies in `folder`."""
    config = pipeline_pb2.TrainEvalPipelineConfig()
    text_format.Parse(tiny_models.PYRAMID, config.model)
    network = tiny_models.network_of(is_training=False)
    variables.checkpoint_of(network).write(str(folder / "ckpt-1"))
    (folder / "checkpoint").write_text('model_checkpoint_path: "ckpt-1"\n')
    return config, network


@pytest.mark.slow
def test_what_is_asked_for_is_exported_and_verified(tmp_path):
    """The fresh process' answer is compared with that of the whole network, cut in numpy."""
    config, network = _trained(tmp_path / "run")
    options = ExportOptions(
        masks="rle", score_threshold=0.2, max_detections=7, classes=("1", "3"), optimize=True
    )
    exporter.export(config, tmp_path / "run", tmp_path / "export", options)

    model = tf.saved_model.load(str(tmp_path / "export" / "saved_model"))
    outputs = model(np.full([1, 50, 60, 3], 90, np.uint8))
    assert outputs["detection_masks"].shape == [1, 7, 14, 14]
    assert set(np.unique(outputs["detection_classes"])) <= {1, 3}
    info = json.loads((tmp_path / "export/saved_model/assets/model_info.json").read_text())
    assert info["detected_classes"] == [1, 3] and info["optimized"]
    assert info["thresholds"]["score"] == 0.2 and info["thresholds"]["max_detections"] == 7
    assert set(info["signatures"]) == {"serving_default", "rle_masks"}
    again = preparation.restore(config, tmp_path / "export", ExportOptions()).network
    for ours, theirs in zip(again.variables, network.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)  # checkpoint/ is not folded


@pytest.mark.slow
def test_bfloat16_and_the_faster_of_both(tmp_path, capsys):
    config, _ = _trained(tmp_path / "run")
    infos = []
    for precision, optimize in (("bfloat16", True), ("auto", False)):
        options = ExportOptions(precision=precision, optimize=optimize)
        exporter.export(config, tmp_path / "run", tmp_path / precision, options)
        path = tmp_path / precision / "saved_model/assets/model_info.json"
        infos.append(json.loads(path.read_text()))
    message = capsys.readouterr().out

    assert infos[0]["precision"] == "bfloat16"
    assert infos[0]["verification"]["bfloat16_beside_float32"]["detections"] >= 0
    assert infos[1]["precision"] in ("float32", "bfloat16")
    assert "bfloat16 compared with float32" in message
    assert f"exporting {infos[1]['precision']}" in message
    image = np.random.default_rng(0).integers(0, 255, [1, 50, 60, 3], np.uint8)
    model = tf.saved_model.load(str(tmp_path / "bfloat16" / "saved_model"))
    assert {value.dtype for value in model(image).values()} == {tf.float32}


@pytest.mark.slow
def test_a_frozen_graph_gives_further_tensors_and_has_the_shape_asked_for(tmp_path):
    config, network = _trained(tmp_path / "run")
    wanted = frozen_graph.GraphOptions(
        input_shape=(1, 50, -1, 3), additional_outputs=("proposal_boxes:0", "anchors")
    )
    export = tmp_path / "export"
    frozen_graph.export(config, tmp_path / "run", export, ExportOptions(), wanted)

    image = np.full([1, 50, 60, 3], 90, np.uint8)
    outputs = fresh_run.run_frozen(str(export / "frozen_inference_graph.pb"), image)
    assert outputs["proposal_boxes"].shape == (1, 20, 4) and outputs["anchors"].shape[1] == 4
    assert "rpn_box_encodings" not in outputs and outputs["detection_masks"].ndim == 4
    signature = tf.saved_model.load(str(export / "saved_model")).signatures["serving_default"]
    assert signature.structured_input_signature[1]["inputs"].shape == [1, 50, None, 3]
    again = preparation.restore(config, export, ExportOptions()).network
    for ours, theirs in zip(again.variables, network.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)
