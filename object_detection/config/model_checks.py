"""What is wrong with the model of a config: missing parts, contradictions, values out of range."""

import difflib

from object_detection.config import anchor_checks, hyperparams_checks
from object_detection.config.findings import (
    Finding,
    Findings,
    Look,
    faults,
    listed,
    number,
    warnings,
)
from object_detection.protos import post_processing_pb2
from object_detection.utils.messages import shorten

_KINDS = {
    "ssd": "an SSD",
    "center_net": "a CenterNet",
    "experimental_model": "an experimental model",
}
# Names of the TensorFlow Object Detection API: no misspellings of other names.
_NOT_HERE = ("faster_rcnn_nas", "faster_rcnn_pnas", "faster_rcnn_mobilenet_v1")
_PATH = "model.faster_rcnn"
_PREDICTOR = "mask_rcnn_box_predictor"


def check(model, supported_extractors, *, training) -> Findings:
    """Findings about a DetectionModel message.

    Args:
        model: the message.
        supported_extractors: names that feature_extractor.type may have.
        training: whether the model is to be trained.
    """
    kind = model.WhichOneof("model")
    if kind != "faster_rcnn":
        return faults([_other_model(model, kind)])
    look = Look(model.faster_rcnn, _PATH)
    found = faults(_whole(look))
    found = found.and_also(faults(_extractor(look, supported_extractors)))
    found = found.and_also(faults(_resizer(look)))
    found = found.and_also(anchor_checks.check(look))
    found = found.and_also(faults(_first_stage(look)))
    if model.faster_rcnn.number_of_stages != 1:
        found = found.and_also(faults(_second_stage(look, training)))
        found = found.and_also(faults(_predictor(look)))
        found = found.and_also(warnings(_second_stage_oddities(look)))
    found = found.and_also(hyperparams_checks.check(look))
    return found


def has_masks(model):
    """Whether a DetectionModel message asks for masks, be it in one of the two places only."""
    rcnn = model.faster_rcnn
    return rcnn.number_of_stages == 3 or predictor_of(rcnn).predict_instance_masks


def predictor_of(rcnn):
    """The MaskRCNNBoxPredictor of a FasterRcnn message."""
    return rcnn.second_stage_box_predictor.mask_rcnn_box_predictor


def is_pyramid(rcnn):
    """Whether the extractor of a FasterRcnn message has several levels (its name says so)."""
    return "fpn" in rcnn.feature_extractor.type


def _is_keras(rcnn):
    """Whether TFOD has the extractor of a FasterRcnn message in its TF2 models."""
    return rcnn.feature_extractor.type.endswith("_keras")


def _other_model(model, kind):
    what_is = "Faster R-CNN and Mask R-CNN are built here: model { faster_rcnn { ... } }"
    if kind is None:
        return Finding("model", "is not set", f"A config needs a model. {what_is}")
    extractor = getattr(getattr(model, kind), "feature_extractor", None)
    name = f" ({shorten(extractor.type)})" if extractor is not None and extractor.type else ""
    return Finding(f"model.{kind}", f"is {_KINDS[kind]}{name}, which is not supported", what_is)


def _whole(look):
    rcnn = look.message
    if rcnn.number_of_stages not in (1, 2, 3):
        yield Finding(
            look.at("number_of_stages"),
            f"is {rcnn.number_of_stages}; allowed: 1 (proposals only), 2 (boxes), 3 (masks)",
        )
    if not rcnn.HasField("num_classes"):
        yield Finding(
            look.at("num_classes"),
            "is not set",
            "Give the highest id of the label map; the background does not count",
        )
    else:
        yield from look.at_least(1, "num_classes", fix="The background does not count")


def _extractor(look, supported):
    extractor = look.message.feature_extractor
    at = look.at("feature_extractor.type")
    if not extractor.type:
        yield Finding(at, "is not set", f"Supported: {', '.join(supported)}")
        return
    if extractor.type not in supported:
        problem = f'is "{shorten(extractor.type)}", which is not supported'
        yield Finding(
            at, problem, f"Supported: {', '.join(supported)}{_meant(extractor, supported)}"
        )
    stride = extractor.first_stage_features_stride
    allowed = (16,) if extractor.type.startswith("faster_rcnn_resnet") else (8, 16)
    allowed = allowed if extractor.type.endswith("_keras") else (8, 16)
    if not is_pyramid(look.message) and stride not in allowed:
        where = look.at("feature_extractor.first_stage_features_stride")
        yield Finding(where, f"is {stride}; {extractor.type} has {' or '.join(map(str, allowed))}")


def _meant(extractor, supported):
    if extractor.type in _NOT_HERE:
        return ""
    close = difflib.get_close_matches(extractor.type, supported, n=1, cutoff=0.75)
    return f". Did you mean {close[0]}?" if close else ""


def _resizer(look):
    resizer = look.message.image_resizer
    at = look.at("image_resizer")
    kind = resizer.WhichOneof("image_resizer_oneof")
    if kind is None:
        example = "keep_aspect_ratio_resizer { min_dimension: 800 max_dimension: 1333 }"
        yield Finding(at, "is not set", f"For example {example}")
        return
    member = Look(getattr(resizer, kind), f"{at}.{kind}")
    sizes = {
        "keep_aspect_ratio_resizer": ("min_dimension", "max_dimension"),
        "fixed_shape_resizer": ("height", "width"),
        "conditional_shape_resizer": ("size_threshold",),
        "pad_to_multiple_resizer": ("multiple",),
    }
    yield from member.at_least(1, *sizes.get(kind, ()))
    if kind == "keep_aspect_ratio_resizer":
        low, high = member.message.min_dimension, member.message.max_dimension
        if low > high:
            problem = f"is {low}, above max_dimension, which is {high}"
            yield Finding(member.at("min_dimension"), problem, "Were the two swapped?")
        count = len(member.message.per_channel_pad_value)
        if count not in (0, 3):
            yield Finding(
                member.at("per_channel_pad_value"),
                f"has {count} value(s); give 3 (red, green, blue) or none",
            )


def _first_stage(look):
    yield from look.within(
        0,
        1,
        "first_stage_nms_score_threshold",
        "first_stage_nms_iou_threshold",
        "first_stage_positive_balance_fraction",
    )
    yield from look.at_least(
        1,
        "first_stage_atrous_rate",
        "first_stage_box_predictor_kernel_size",
        "first_stage_box_predictor_depth",
        "first_stage_minibatch_size",
        "first_stage_max_proposals",
    )
    yield from look.at_least(
        0, "first_stage_localization_loss_weight", "first_stage_objectness_loss_weight"
    )


def _second_stage(look, training):
    rcnn = look.message
    if rcnn.second_stage_box_predictor.WhichOneof("box_predictor_oneof") in (None, _PREDICTOR):
        yield from _crops(look)
    yield from look.within(0, 1, "second_stage_balance_fraction")
    yield from look.at_least(1, "second_stage_batch_size")
    yield from look.at_least(
        0,
        "second_stage_localization_loss_weight",
        "second_stage_classification_loss_weight",
        "second_stage_mask_prediction_loss_weight",
    )
    if training and rcnn.second_stage_batch_size > rcnn.first_stage_max_proposals > 0:
        yield Finding(
            look.at("second_stage_batch_size"),
            f"is {rcnn.second_stage_batch_size}, above first_stage_max_proposals, which is "
            f"{rcnn.first_stage_max_proposals}: there are not so many regions to draw from",
            "Lower the one or raise the other",
        )
    processing = look.child("second_stage_post_processing")
    yield from _suppression(processing)
    yield from _calibration(processing.child("calibration_config"))
    if rcnn.HasField("hard_example_miner"):
        miner = look.child("hard_example_miner")
        yield from miner.at_least(0, "num_hard_examples", fix="0 keeps all that do not overlap")
        yield from miner.within(0, 1, "iou_threshold")


def _crops(look):
    names = ("initial_crop_size", "maxpool_kernel_size", "maxpool_stride")
    usual = "Usual: initial_crop_size 14 with both maxpool fields 2, or 7 (17) with both 1"
    for name in names:
        if not look.message.HasField(name):
            yield Finding(look.at(name), "is not set", usual)
        else:
            yield from look.at_least(1, name, fix=usual)
    size, kernel = look.message.initial_crop_size, look.message.maxpool_kernel_size
    if 1 <= size < kernel:
        problem = f"is {kernel}, above initial_crop_size, which is {size}"
        yield Finding(look.at("maxpool_kernel_size"), problem, usual)


def _suppression(look):
    nms = look.child("batch_non_max_suppression")
    yield from nms.within(0, 1, "score_threshold", "iou_threshold")
    yield from nms.at_least(
        1, "max_detections_per_class", "max_total_detections", "max_classes_per_detection"
    )
    yield from nms.at_least(0, "soft_nms_sigma")
    per_class, total = nms.message.max_detections_per_class, nms.message.max_total_detections
    if per_class > total:
        yield Finding(
            nms.at("max_detections_per_class"),
            f"is {per_class}, above max_total_detections, which is {total}",
            "Lower the one or raise the other",
        )
    if nms.message.use_class_agnostic_nms and nms.message.max_classes_per_detection > 1:
        yield Finding(
            nms.at("max_classes_per_detection"),
            f"is {nms.message.max_classes_per_detection}, which use_class_agnostic_nms cannot do",
            "Set it to 1, or use_class_agnostic_nms to false",
        )
    yield from look.above(0, "logit_scale")


def _calibration(look):
    kind = look.message.WhichOneof("calibrator")
    if kind == "temperature_scaling_calibration":
        yield from look.child(kind).above(0, "scaler")
    curves = {}
    if kind == "function_approximation":
        curves["function_approximation.x_y_pairs"] = look.message.function_approximation.x_y_pairs
    if kind == "class_id_function_approximations":
        pairs_of = look.message.class_id_function_approximations.class_id_xy_pairs_map
        curves = {f"{kind}.class_id_xy_pairs_map[{k}]": pairs_of[k] for k in sorted(pairs_of)}
    for name, curve in curves.items():
        x = [pair.x for pair in curve.x_y_pair]
        if not x or any(a >= b for a, b in zip(x, x[1:], strict=False)):
            problem = f"has points at x = {listed(map(number, x))}" if x else "has no points"
            yield Finding(look.at(name), problem, "Give points (x_y_pair) of ascending x")


def _predictor(look):
    rcnn = look.message
    at = look.at("second_stage_box_predictor")
    kind = rcnn.second_stage_box_predictor.WhichOneof("box_predictor_oneof")
    if kind is None:
        fix = "Add mask_rcnn_box_predictor { ... }; it serves boxes without masks too"
        yield Finding(at, "is not set", fix)
    if kind != _PREDICTOR:
        return  # field_checks names the ones that are not supported
    head = Look(predictor_of(rcnn), f"{at}.mask_rcnn_box_predictor")
    if head.message.use_dropout and not 0 < head.message.dropout_keep_probability <= 1:
        yield from head.within(0, 1, "dropout_keep_probability")
        if head.message.dropout_keep_probability == 0:
            yield Finding(head.at("dropout_keep_probability"), "is 0; above 0, at most 1")
    yield from _dense_norm(rcnn, head)
    yield from _mask_head(look, head)


def _dense_norm(rcnn, head):
    if head.message.fc_hyperparams.HasField("group_norm") and not _is_keras(rcnn):
        yield Finding(
            head.at("fc_hyperparams.group_norm"),
            "is set, but the heads for class and box have no positions to take groups over",
            "Take it out, or set batch_norm",
        )


def _mask_head(look, head):
    rcnn, masks = look.message, head.message
    asked = head.at("predict_instance_masks")
    if rcnn.number_of_stages == 3 and not masks.predict_instance_masks:
        yield Finding(
            look.at("number_of_stages"),
            "is 3, but predict_instance_masks is not set: the third stage is the masks",
            f"Set {asked}: true, or number_of_stages: 2 for boxes alone",
        )
    if rcnn.number_of_stages == 2 and masks.predict_instance_masks:
        yield Finding(
            asked,
            "is true, but number_of_stages is 2: only boxes would come out",
            f"Set {look.at('number_of_stages')}: 3, or take predict_instance_masks out",
        )
    if not masks.predict_instance_masks:
        return
    if not masks.HasField("conv_hyperparams"):
        yield Finding(
            head.at("conv_hyperparams"),
            "is not set, but predict_instance_masks is true: masks come from convolutions",
            "Add conv_hyperparams with a regularizer and an initializer, as in samples/configs",
        )
    yield from head.at_least(
        1, "mask_height", "mask_width", "mask_prediction_num_conv_layers", "mask_crop_size"
    )
    yield from head.at_least(
        0, "mask_prediction_conv_depth", fix="0 takes it from the number of classes"
    )
    if masks.spatial_mask_branch and not is_pyramid(rcnn):
        yield Finding(
            head.at("spatial_mask_branch"),
            f'is true, but "{shorten(rcnn.feature_extractor.type)}" is no feature pyramid: its '
            "masks already come from the region's own features",
            "Take it out",
        )


def _second_stage_oddities(look):
    rcnn = look.message
    processing = rcnn.second_stage_post_processing
    if processing.score_converter == post_processing_pb2.PostProcessing.IDENTITY:
        yield Finding(
            look.at("second_stage_post_processing.score_converter"),
            "is IDENTITY: scores are then raw network outputs, not probabilities",
            "SOFTMAX is usual",
        )
    yield from _without_pyramid(look)
    predictor = predictor_of(rcnn)
    at = look.at("second_stage_box_predictor.mask_rcnn_box_predictor")
    if predictor.predict_instance_masks and is_pyramid(rcnn) and not predictor.spatial_mask_branch:
        yield Finding(
            f"{at}.spatial_mask_branch",
            "is not set: as in TFOD the masks of a feature pyramid then come from one vector a "
            "region, without any position, and stay blobs",
            "Set it to true unless you load weights that TFOD trained",
        )
    if predictor.HasField("mask_crop_size") and not predictor.spatial_mask_branch:
        problem = f"is {predictor.mask_crop_size} but has no effect without spatial_mask_branch"
        yield Finding(f"{at}.mask_crop_size", problem)
    if predictor.fc_hyperparams.HasField("group_norm") and _is_keras(rcnn):
        problem = "has no effect: the heads for class and box have no positions to take groups over"
        yield Finding(f"{at}.fc_hyperparams.group_norm", problem)
    cropped = predictor.predict_instance_masks and not predictor.spatial_mask_branch
    cropped = cropped or rcnn.output_final_box_features or rcnn.output_final_box_rpn_features
    if rcnn.crop_masks_at_true_boxes and not cropped:
        problem = "has no effect: without it, too, nothing is cropped beside the true boxes"
        yield Finding(look.at("crop_masks_at_true_boxes"), problem)


def _without_pyramid(look):
    """Fields that only a feature pyramid reads, on an extractor that is none."""
    if is_pyramid(look.message):
        return
    extractor = look.message.feature_extractor
    names = ("conv_hyperparams", "override_base_feature_extractor_hyperparams")
    if extractor.override_base_feature_extractor_hyperparams:
        names = ()  # they go into the base network, which every extractor has
    names = (*names, "pad_to_multiple", "fpn")
    paths = [look.at(f"feature_extractor.{name}") for name in names if extractor.HasField(name)]
    ours = ("fpn_paper_levels", "fpn_unstretched_crops")
    paths += [look.at(name) for name in ours if getattr(look.message, name)]
    if paths:
        others = f" (nor have {listed(paths[1:])})" if len(paths) > 1 else ""
        problem = f'has no effect: "{shorten(extractor.type)}" is no feature pyramid{others}'
        yield Finding(paths[0], problem)
