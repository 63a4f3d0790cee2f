"""What COCODemo's users hand over, as weights and a config of ours."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from fake_detector import BrightRectangle, bright_rectangle

from object_detection.checkpoints.variables import checkpoint_of
from object_detection.config import pipeline_file
from object_detection.integrations import COCODemo, demo_model
from object_detection.prediction import loaded_model

CONFIG = """
model { faster_rcnn {
  num_classes: 3
  image_resizer { keep_aspect_ratio_resizer { min_dimension: 100 max_dimension: 150 } }
  second_stage_post_processing { batch_non_max_suppression { score_threshold: 0.3 } }
} }
train_input_reader { label_map_path: "%s" }
"""


@pytest.fixture
def export(tmp_path, monkeypatch):
    """An export's folder without a SavedModel: a detector that finds bright rectangles."""
    monkeypatch.setattr(
        loaded_model.model_builder, "build_network", lambda config, is_training: bright_rectangle()
    )
    (tmp_path / "map.pbtxt").write_text("item { id: 2 name: 'bright' }")
    folder = tmp_path / "export"
    (folder / "checkpoint").mkdir(parents=True)
    checkpoint_of(bright_rectangle()).write(str(folder / "checkpoint" / "ckpt-0"))
    (folder / "pipeline.config").write_text(CONFIG % (tmp_path / "map.pbtxt"))
    return folder


def theirs(weight, **settings):
    """An object as maskrcnn-benchmark's users pass it."""
    heads = SimpleNamespace(SCORE_THRESH=0.05, NMS=0.4, DETECTIONS_PER_IMG=7)
    model = {"WEIGHT": str(weight), "ROI_HEADS": heads, "RPN": SimpleNamespace(NMS_THRESH=0.6)}
    model |= {"MASK_ON": True, "KEYPOINT_ON": False, "DEVICE": "cpu"}
    sizes = {"MIN_SIZE_TEST": 50, "MAX_SIZE_TEST": 90}
    for key, value in settings.items():
        (sizes if key in sizes else model)[key] = value
    return SimpleNamespace(MODEL=SimpleNamespace(**model), INPUT=SimpleNamespace(**sizes))


def resizer_of(demo):
    kept = demo.config.model.faster_rcnn.image_resizer.keep_aspect_ratio_resizer
    return kept.min_dimension, kept.max_dimension


def test_an_export_runs_as_it_is(export):
    demo = COCODemo(str(export))
    image = np.zeros([40, 60, 3], np.uint8)
    image[10:30, 12:42] = 255

    result = demo.compute_prediction(image)

    assert resizer_of(demo) == (100, 150) and demo.CATEGORIES == ["__background", "", "bright"]
    np.testing.assert_allclose(result.bbox, [[12, 10, 42, 30]], atol=1)


def test_a_config_runs_with_the_weights_beside_it(export, tmp_path):
    assert resizer_of(COCODemo(export / "pipeline.config")) == (100, 150)
    alone = tmp_path / "alone.config"
    alone.write_text((export / "pipeline.config").read_text().replace("100", "80"))
    with pytest.raises(ValueError, match="alone.config is a config without weights next to it"):
        COCODemo(alone)
    demo = COCODemo(alone, weight_loading=export)
    assert resizer_of(demo) == (80, 150)


def test_sizes_and_thresholds_of_an_object_hold(export):
    demo = COCODemo(theirs(export))
    rcnn = demo.config.model.faster_rcnn
    suppression = rcnn.second_stage_post_processing.batch_non_max_suppression

    assert resizer_of(demo) == (50, 90)
    assert round(suppression.score_threshold, 6) == 0.05
    assert round(suppression.iou_threshold, 6) == 0.4
    assert suppression.max_total_detections == suppression.max_detections_per_class == 7
    assert round(rcnn.first_stage_nms_iou_threshold, 6) == 0.6


@pytest.mark.parametrize(
    ("settings", "size"),
    [({}, (50, 75)), ({"min_image_size": 30}, (30, 45)), ({"min_image_size": 300}, (60, 90))],
)
def test_the_network_sees_the_size_that_is_asked_for(export, monkeypatch, settings, size):
    seen, inner = [], BrightRectangle.call

    def call(self, images, all_masks=False):
        tf.py_function(lambda shape: seen.append(tuple(shape)), [tf.shape(images.pixels)[1:3]], [])
        return inner(self, images, all_masks)

    monkeypatch.setattr(BrightRectangle, "call", call)
    demo = COCODemo(theirs(export), **settings)
    seen.clear()

    demo.compute_prediction(np.zeros([40, 60, 3], np.uint8))

    assert seen == [size]  # the third: no longer side than MAX_SIZE_TEST


def test_min_image_size_without_an_object(export):
    demo = COCODemo(export, min_image_size=224)
    assert resizer_of(demo) == (224, 336)  # bounded as the config bounds it: 150 to 100
    assert demo.min_image_size == 224


def test_mappings_and_newer_names(export):
    cfg = {"MODEL": {"WEIGHTS": str(export)}, "INPUT": {"MAX_SIZE_TEST": 40}}
    cfg["MODEL"]["ROI_HEADS"] = {"SCORE_THRESH_TEST": 0.2}
    demo = COCODemo(cfg)
    nms = demo.config.model.faster_rcnn.second_stage_post_processing.batch_non_max_suppression
    assert resizer_of(demo) == (40, 40) and round(nms.score_threshold, 6) == 0.2


def test_the_config_can_be_kept(export, tmp_path):
    path = COCODemo(theirs(export)).write_config(tmp_path / "mine")
    kept = pipeline_file.load(path)
    assert kept.model.faster_rcnn.image_resizer.keep_aspect_ratio_resizer.min_dimension == 50


@pytest.mark.parametrize(
    ("cfg", "message"),
    [
        (7, "cfg must be the path of a pipeline.config.* object with MODEL and INPUT.* got int"),
        ("e2e_mask_rcnn.yaml", "e2e_mask_rcnn.yaml is a YAML of maskrcnn-benchmark or detectron2"),
        ("absent", "cfg: there is no file or folder absent"),
        (theirs("model.pth"), "MODEL.WEIGHT: model.pth are weights of PyTorch or Caffe2"),
        (theirs("x.pkl"), "MODEL.WEIGHT: x.pkl are weights of PyTorch.* Pass an exported model"),
        (theirs("catalog://Caffe2Detectron/1"), "MODEL.WEIGHT: catalog://"),
        (theirs(""), "MODEL.WEIGHT is empty: set it to an exported model"),
        (theirs("x", MIN_SIZE_TEST=0), "INPUT.MIN_SIZE_TEST must be a whole number .* got 0"),
        (theirs("x", MAX_SIZE_TEST="9"), "INPUT.MAX_SIZE_TEST must be a whole number .* got '9'"),
        (theirs("x", ROI_HEADS={"NMS": 5}), "MODEL.ROI_HEADS.NMS must be a number from 0 to 1"),
        (theirs("x", KEYPOINT_ON=True), "MODEL.KEYPOINT_ON is set: .* no keypoints"),
        (theirs("x", DEVICE="tpu"), "MODEL.DEVICE is 'tpu'; allowed: cpu, cuda"),
    ],
)
def test_a_cfg_that_cannot_be_used(cfg, message):
    with pytest.raises(ValueError, match=message):
        COCODemo(cfg)


def test_foreign_weights_in_place_of_ours(export):
    with pytest.raises(ValueError, match="weight_loading: better.pth are weights of PyTorch"):
        COCODemo(export, weight_loading="better.pth")
    with pytest.raises(ValueError, match="min_image_size must be a whole number >= 1, got -1"):
        COCODemo(export, min_image_size=-1)


def test_weights_without_a_config(export):
    (export / "pipeline.config").unlink()
    with pytest.raises(ValueError, match="there is no pipeline.config with the weights"):
        COCODemo(export)


def test_what_a_bare_saved_model_cannot_take_is_reported(caplog):
    source = demo_model.Source("x", changes=(("MODEL.ROI_HEADS.NMS", "a=1"),), sizes=(8, 9))
    with caplog.at_level(logging.WARNING):
        demo_model._warn_of_fixed_settings(source, "x")
    assert "MODEL.ROI_HEADS.NMS, INPUT.MIN_SIZE_TEST, INPUT.MAX_SIZE_TEST have no" in caplog.text


def test_options_that_trail_a_command(export):
    source = demo_model.with_options(
        demo_model.read_cfg(str(export)),
        ["INPUT.MIN_SIZE_TEST", "60", "MODEL.DEVICE", "cpu", "MODEL.MASK_ON", "False"]
        + ["model.faster_rcnn.first_stage_max_proposals", "11"],
    )
    demo = COCODemo(source)

    assert resizer_of(demo)[0] == 60 and not source.with_masks and source.device == "cpu"
    assert demo.config.model.faster_rcnn.first_stage_max_proposals == 11
    with pytest.raises(ValueError, match="MODEL.DEVICE has no value"):
        demo_model.with_options(source, ["MODEL.DEVICE"])
    with pytest.raises(ValueError, match="SOLVER.IMS_PER_BATCH is not supported; allowed: INPU"):
        demo_model.with_options(source, ["SOLVER.IMS_PER_BATCH", "2"])
    wrong = demo_model.with_options(source, ["model.faster_rcnn.first_stage_max_proposal", "2"])
    with pytest.raises(ValueError, match="first_stage_max_proposal.* did you mean|no field"):
        COCODemo(wrong)
