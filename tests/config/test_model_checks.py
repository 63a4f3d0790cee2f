"""Faults of a model are found before it is built, each with what is allowed."""

import pytest
from findings_of import FPN, PREDICTOR, SUPPORTED, config_with, only_fault, only_warning, sentences

from object_detection.config import model_checks

RCNN = "model.faster_rcnn"


def check(*changes, training=True):
    return model_checks.check(config_with(*changes).model, SUPPORTED, training=training)


@pytest.mark.parametrize("changes", [(), FPN], ids=["one level", "pyramid"])
def test_a_sound_model_passes(changes):
    assert sentences(check(*changes)) == ([], [])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("number_of_stages=4", "number_of_stages is 4; allowed: 1 (proposals only), 2"),
        ("num_classes=0", "num_classes is 0; at least 1. The background does not count."),
        ("image_resizer={}", "image_resizer is not set. For example keep_aspect_ratio_resizer"),
        (
            "image_resizer={keep_aspect_ratio_resizer {min_dimension: 900 max_dimension: 600}}",
            "min_dimension is 900, above max_dimension, which is 600. Were the two swapped?",
        ),
        ("image_resizer={fixed_shape_resizer {height: 0}}", "fixed_shape_resizer.height is 0"),
        (
            "image_resizer={keep_aspect_ratio_resizer {per_channel_pad_value: 1}}",
            "per_channel_pad_value has 1 value(s); give 3 (red, green, blue) or none",
        ),
        ("feature_extractor.first_stage_features_stride=8", "stride is 8; faster_rcnn_resnet50_"),
        ("first_stage_nms_iou_threshold=1.5", "iou_threshold is 1.5; allowed: 0 to 1"),
        ("first_stage_nms_score_threshold=-0.1", "score_threshold is -0.1; allowed: 0 to 1"),
        ("first_stage_positive_balance_fraction=2", "fraction is 2; allowed: 0 to 1"),
        ("second_stage_balance_fraction=nan", "fraction is nan; allowed: 0 to 1"),
        ("first_stage_max_proposals=0", "first_stage_max_proposals is 0; at least 1"),
        ("second_stage_mask_prediction_loss_weight=-1", "loss_weight is -1; at least 0"),
        ("initial_crop_size=1", "maxpool_kernel_size is 2, above initial_crop_size, which is 1"),
        ("maxpool_stride=0", "maxpool_stride is 0; at least 1. Usual: initial_crop_size 14"),
        (
            "second_stage_batch_size=400",
            "second_stage_batch_size is 400, above first_stage_max_proposals, which is 300: there "
            "are fewer regions to draw from. Lower the one or raise the other.",
        ),
        (
            "second_stage_post_processing.batch_non_max_suppression.max_total_detections=50",
            "max_detections_per_class is 100, above max_total_detections, which is 50",
        ),
        (
            "second_stage_post_processing.batch_non_max_suppression.iou_threshold=-1",
            "batch_non_max_suppression.iou_threshold is -1; allowed: 0 to 1",
        ),
        ("second_stage_post_processing.logit_scale=0", "logit_scale is 0; above 0"),
        (
            "second_stage_post_processing.batch_non_max_suppression="
            "{use_class_agnostic_nms: true max_classes_per_detection: 2}",
            "max_classes_per_detection is 2, which use_class_agnostic_nms cannot do",
        ),
        (
            "second_stage_post_processing.calibration_config="
            "{temperature_scaling_calibration {scaler: 0}}",
            "temperature_scaling_calibration.scaler is 0; above 0",
        ),
        (
            "second_stage_post_processing.calibration_config={function_approximation {"
            "x_y_pairs {x_y_pair {x: 1 y: 1} x_y_pair {x: 0.5 y: 0}}}}",
            "function_approximation.x_y_pairs has points at x = 1, 0.5. Give points",
        ),
        (
            "second_stage_post_processing.calibration_config={class_id_function_approximations {"
            "class_id_xy_pairs_map {key: 2 value {}}}}",
            "class_id_xy_pairs_map[2] has no points. Give points (x_y_pair) of ascending x",
        ),
        ("hard_example_miner={num_hard_examples: -1}", "num_hard_examples is -1; at least 0"),
        ("hard_example_miner={iou_threshold: 2}", "iou_threshold is 2; allowed: 0 to 1"),
        ("number_of_stages=2", "predict_instance_masks is true, but number_of_stages is 2"),
        ("second_stage_box_predictor={}", "box_predictor is not set. Add mask_rcnn_box_predictor"),
    ],
)
def test_a_fault_is_reported_with_what_is_allowed(change, said):
    assert said in only_fault(check(f"{RCNN}.{change}"))


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("num_classes", "num_classes is not set. Give the highest id of the label map"),
        ("maxpool_kernel_size", "maxpool_kernel_size is not set. Usual: initial_crop_size 14"),
        ("first_stage_anchor_generator", "first_stage_anchor_generator is not set. Add grid_anch"),
        ("image_resizer", "image_resizer is not set"),
    ],
)
def test_a_missing_part_is_reported(field, said):
    assert said in only_fault(check(f"-{RCNN}.{field}"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (f"{PREDICTOR}.predict_instance_masks=false", "number_of_stages is 3, but predict_inst"),
        (f"-{PREDICTOR}.conv_hyperparams", "conv_hyperparams is not set, but predict_instance"),
        (f"{PREDICTOR}.mask_height=0", "mask_height is 0; at least 1"),
        (f"{PREDICTOR}.mask_prediction_conv_depth=-1", "0 takes it from the number of classes"),
        (f"{PREDICTOR}.spatial_mask_branch=true", 'resnet50_keras" is no feature pyramid'),
    ],
)
def test_a_fault_of_the_mask_branch_is_reported(change, said):
    assert said in only_fault(check(change))


def test_dropout_needs_a_probability_above_0():
    changes = [f"{PREDICTOR}.use_dropout=true", f"{PREDICTOR}.dropout_keep_probability=0"]

    assert "dropout_keep_probability is 0; above 0, at most 1" in only_fault(check(*changes))
    assert not check(changes[1]).faults  # nothing drops out


def test_the_sampled_regions_may_outnumber_the_proposals_where_nothing_is_sampled():
    assert not check(f"{RCNN}.second_stage_batch_size=400", training=False).faults


def test_a_model_of_one_stage_needs_no_second():
    changes = (f"{RCNN}.number_of_stages=1", f"-{RCNN}.second_stage_box_predictor")
    missing = (f"-{RCNN}.initial_crop_size", f"-{RCNN}.maxpool_kernel_size")

    assert sentences(check(*changes, *missing)) == ([], [])


def test_other_extractors_are_refused_with_the_list_of_what_is_supported():
    said = only_fault(check(f"{RCNN}.feature_extractor.type=faster_rcnn_mobilenet_v1"))

    assert '"faster_rcnn_mobilenet_v1", which is not supported' in said
    assert all(name in said for name in SUPPORTED)
    assert "Did you mean" not in said  # it is no misspelling


def test_a_misspelt_extractor_is_recognized():
    said = only_fault(check(f"{RCNN}.feature_extractor.type=faster_rcnn_resnet50_kera"))

    assert said.endswith("Did you mean faster_rcnn_resnet50_keras?")


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (
            'model={ssd {feature_extractor {type: "ssd_mobilenet_v2"}}}',
            "model.ssd is an SSD (ssd_mobilenet_v2), which is not supported. Faster R-CNN and Mask "
            "R-CNN are built here: model { faster_rcnn { ... } }.",
        ),
        ("model={center_net {}}", "model.center_net is a CenterNet, which is not supported"),
        ("model={experimental_model {}}", "is an experimental model, which"),
        ("model={}", "model is not set"),
    ],
)
def test_another_meta_architecture_is_refused_by_name(model, said):
    assert said in only_fault(check(model))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            (f"{RCNN}.second_stage_post_processing.score_converter=IDENTITY",),
            "score_converter is IDENTITY: scores are then raw network outputs",
        ),
        (
            (*FPN, f"{PREDICTOR}.spatial_mask_branch=false"),
            "spatial_mask_branch is not set: as in TFOD the masks of a feature pyramid",
        ),
        (
            (f"{PREDICTOR}.fc_hyperparams={{group_norm {{}}}}",),
            "fc_hyperparams.group_norm has no effect: the heads for class and box have no pos",
        ),
        (
            (*FPN, f"{RCNN}.crop_masks_at_true_boxes=true"),
            "crop_masks_at_true_boxes has no effect: without it, too, nothing is cropped",
        ),
        (
            (f"{PREDICTOR}.mask_crop_size=7",),
            "mask_crop_size is 7 but has no effect without spatial_mask_branch",
        ),
        (
            (
                f"{RCNN}.fpn_paper_levels=true",
                f"{RCNN}.feature_extractor.pad_to_multiple=16",
            ),
            'feature_extractor.pad_to_multiple has no effect: "faster_rcnn_resnet50_keras" is no '
            "feature pyramid (nor have model.faster_rcnn.fpn_paper_levels)",
        ),
        (
            (f"{RCNN}.feature_extractor.conv_hyperparams={{}}",),
            'feature_extractor.conv_hyperparams has no effect: "faster_rcnn_resnet50_keras" is no',
        ),
    ],
)
def test_what_is_odd_is_a_warning(changes, said):
    assert said in only_warning(check(*changes))


def test_hyperparams_that_override_those_of_the_base_network_are_read():
    extractor = f"{RCNN}.feature_extractor"
    override = f"{extractor}.override_base_feature_extractor_hyperparams=true"
    found = check(f"{extractor}.conv_hyperparams={{}}", override)

    assert sentences(found) == ([], [])


def test_all_faults_come_at_once():
    found = check(
        f"-{RCNN}.num_classes",
        f"{RCNN}.first_stage_nms_iou_threshold=7",
        f"{RCNN}.maxpool_stride=0",
        f"{RCNN}.feature_extractor.type=x",
        f"{PREDICTOR}.mask_width=0",
    )

    assert len(found.faults) == 5
