"""What is wrong with the model of a config: missing parts, contradictions, values out of range."""

import difflib

from object_detection.config.findings import (
    Finding,
    Findings,
    Section,
    faults,
    listed,
    number,
    warnings,
)
from object_detection.protos import hyperparams_pb2, post_processing_pb2
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
_LOWEST_LEVEL, _HIGHEST_LEVEL = 2, 7
_CONV, _DENSE = hyperparams_pb2.Hyperparams.CONV, hyperparams_pb2.Hyperparams.FC
_USUAL = (hyperparams_pb2.Hyperparams.RELU, hyperparams_pb2.Hyperparams.RELU_6)


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
    section = Section(model.faster_rcnn, _PATH)
    findings = faults(_whole(section))
    findings = findings.merge(faults(_extractor(section, supported_extractors)))
    findings = findings.merge(faults(_resizer(section)))
    findings = findings.merge(check_anchors(section))
    findings = findings.merge(faults(_first_stage(section)))
    if model.faster_rcnn.number_of_stages != 1:
        findings = findings.merge(faults(_second_stage(section, training)))
        findings = findings.merge(faults(_predictor(section)))
        findings = findings.merge(warnings(_second_stage_oddities(section)))
    findings = findings.merge(check_hyperparams(section))
    return findings


def has_masks(model):
    """Return whether a DetectionModel message requests masks, in at least one of the two places."""
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


def _whole(section):
    rcnn = section.message
    if rcnn.number_of_stages not in (1, 2, 3):
        yield Finding(
            section.at("number_of_stages"),
            f"is {rcnn.number_of_stages}; allowed: 1 (proposals only), 2 (boxes), 3 (masks)",
        )
    if not rcnn.HasField("num_classes"):
        yield Finding(
            section.at("num_classes"),
            "is not set",
            "Give the highest id of the label map; the background does not count",
        )
    else:
        yield from section.at_least(1, "num_classes", fix="The background does not count")


def _extractor(section, supported):
    extractor = section.message.feature_extractor
    at = section.at("feature_extractor.type")
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
    if not is_pyramid(section.message) and stride not in allowed:
        where = section.at("feature_extractor.first_stage_features_stride")
        yield Finding(where, f"is {stride}; {extractor.type} has {' or '.join(map(str, allowed))}")


def _meant(extractor, supported):
    if extractor.type in _NOT_HERE:
        return ""
    close = difflib.get_close_matches(extractor.type, supported, n=1, cutoff=0.75)
    return f". Did you mean {close[0]}?" if close else ""


def _resizer(section):
    resizer = section.message.image_resizer
    at = section.at("image_resizer")
    kind = resizer.WhichOneof("image_resizer_oneof")
    if kind is None:
        example = "keep_aspect_ratio_resizer { min_dimension: 800 max_dimension: 1333 }"
        yield Finding(at, "is not set", f"For example {example}")
        return
    member = Section(getattr(resizer, kind), f"{at}.{kind}")
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


def _first_stage(section):
    yield from section.within(
        0,
        1,
        "first_stage_nms_score_threshold",
        "first_stage_nms_iou_threshold",
        "first_stage_positive_balance_fraction",
    )
    yield from section.at_least(
        1,
        "first_stage_atrous_rate",
        "first_stage_box_predictor_kernel_size",
        "first_stage_box_predictor_depth",
        "first_stage_minibatch_size",
        "first_stage_max_proposals",
    )
    yield from section.at_least(
        0, "first_stage_localization_loss_weight", "first_stage_objectness_loss_weight"
    )


def _second_stage(section, training):
    rcnn = section.message
    if rcnn.second_stage_box_predictor.WhichOneof("box_predictor_oneof") in (None, _PREDICTOR):
        yield from _crops(section)
    yield from section.within(0, 1, "second_stage_balance_fraction")
    yield from section.at_least(1, "second_stage_batch_size")
    yield from section.at_least(
        0,
        "second_stage_localization_loss_weight",
        "second_stage_classification_loss_weight",
        "second_stage_mask_prediction_loss_weight",
    )
    if training and rcnn.second_stage_batch_size > rcnn.first_stage_max_proposals > 0:
        yield Finding(
            section.at("second_stage_batch_size"),
            f"is {rcnn.second_stage_batch_size}, above first_stage_max_proposals, which is "
            f"{rcnn.first_stage_max_proposals}: there are fewer regions to draw from",
            "Lower the one or raise the other",
        )
    processing = section.child("second_stage_post_processing")
    yield from _suppression(processing)
    yield from _calibration(processing.child("calibration_config"))
    if rcnn.HasField("hard_example_miner"):
        miner = section.child("hard_example_miner")
        yield from miner.at_least(0, "num_hard_examples", fix="0 keeps all that do not overlap")
        yield from miner.within(0, 1, "iou_threshold")


def _crops(section):
    names = ("initial_crop_size", "maxpool_kernel_size", "maxpool_stride")
    usual = "Usual: initial_crop_size 14 with both maxpool fields 2, or 7 (17) with both 1"
    for name in names:
        if not section.message.HasField(name):
            yield Finding(section.at(name), "is not set", usual)
        else:
            yield from section.at_least(1, name, fix=usual)
    size, kernel = section.message.initial_crop_size, section.message.maxpool_kernel_size
    if 1 <= size < kernel:
        problem = f"is {kernel}, above initial_crop_size, which is {size}"
        yield Finding(section.at("maxpool_kernel_size"), problem, usual)


def _suppression(section):
    nms = section.child("batch_non_max_suppression")
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
    yield from section.above(0, "logit_scale")


def _calibration(section):
    kind = section.message.WhichOneof("calibrator")
    if kind == "temperature_scaling_calibration":
        yield from section.child(kind).above(0, "scaler")
    curves = {}
    if kind == "function_approximation":
        curves["function_approximation.x_y_pairs"] = (
            section.message.function_approximation.x_y_pairs
        )
    if kind == "class_id_function_approximations":
        pairs_of = section.message.class_id_function_approximations.class_id_xy_pairs_map
        curves = {f"{kind}.class_id_xy_pairs_map[{k}]": pairs_of[k] for k in sorted(pairs_of)}
    for name, curve in curves.items():
        x = [pair.x for pair in curve.x_y_pair]
        if not x or any(a >= b for a, b in zip(x, x[1:], strict=False)):
            problem = f"has points at x = {listed(map(number, x))}" if x else "has no points"
            yield Finding(section.at(name), problem, "Give points (x_y_pair) of ascending x")


def _predictor(section):
    rcnn = section.message
    at = section.at("second_stage_box_predictor")
    kind = rcnn.second_stage_box_predictor.WhichOneof("box_predictor_oneof")
    if kind is None:
        fix = "Add mask_rcnn_box_predictor { ... }; it serves boxes without masks too"
        yield Finding(at, "is not set", fix)
    if kind != _PREDICTOR:
        return  # field_checks names the ones that are not supported
    head = Section(predictor_of(rcnn), f"{at}.mask_rcnn_box_predictor")
    if head.message.use_dropout and not 0 < head.message.dropout_keep_probability <= 1:
        yield from head.within(0, 1, "dropout_keep_probability")
        if head.message.dropout_keep_probability == 0:
            yield Finding(head.at("dropout_keep_probability"), "is 0; above 0, at most 1")
    yield from _dense_norm(rcnn, head)
    yield from _mask_head(section, head)


def _dense_norm(rcnn, head):
    if head.message.fc_hyperparams.HasField("group_norm") and not _is_keras(rcnn):
        yield Finding(
            head.at("fc_hyperparams.group_norm"),
            "is set, but the heads for class and box have no positions to take groups over",
            "Remove it, or set batch_norm",
        )


def _mask_head(section, head):
    rcnn, masks = section.message, head.message
    field = head.at("predict_instance_masks")
    if rcnn.number_of_stages == 3 and not masks.predict_instance_masks:
        yield Finding(
            section.at("number_of_stages"),
            "is 3, but predict_instance_masks is not set: the third stage is the masks",
            f"Set {field}: true, or number_of_stages: 2 for boxes only",
        )
    if rcnn.number_of_stages == 2 and masks.predict_instance_masks:
        yield Finding(
            field,
            "is true, but number_of_stages is 2: only boxes would come out",
            f"Set {section.at('number_of_stages')}: 3, or take predict_instance_masks out",
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
            "Remove it",
        )


def _second_stage_oddities(section):
    rcnn = section.message
    processing = rcnn.second_stage_post_processing
    if processing.score_converter == post_processing_pb2.PostProcessing.IDENTITY:
        yield Finding(
            section.at("second_stage_post_processing.score_converter"),
            "is IDENTITY: scores are then raw network outputs, not probabilities",
            "SOFTMAX is usual",
        )
    yield from _without_pyramid(section)
    predictor = predictor_of(rcnn)
    at = section.at("second_stage_box_predictor.mask_rcnn_box_predictor")
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
        problem = "has no effect: without it, too, nothing is cropped but the true boxes"
        yield Finding(section.at("crop_masks_at_true_boxes"), problem)


def _without_pyramid(section):
    """Fields that only a feature pyramid reads, on an extractor without one."""
    if is_pyramid(section.message):
        return
    extractor = section.message.feature_extractor
    names = ("conv_hyperparams", "override_base_feature_extractor_hyperparams")
    if extractor.override_base_feature_extractor_hyperparams:
        names = ()  # they go into the base network, which every extractor has
    names = (*names, "pad_to_multiple", "fpn")
    paths = [section.at(f"feature_extractor.{name}") for name in names if extractor.HasField(name)]
    ours = ("fpn_paper_levels", "fpn_unstretched_crops")
    paths += [section.at(name) for name in ours if getattr(section.message, name)]
    if paths:
        others = f" (nor have {listed(paths[1:])})" if len(paths) > 1 else ""
        problem = f'has no effect: "{shorten(extractor.type)}" is no feature pyramid{others}'
        yield Finding(paths[0], problem)


def check_anchors(section) -> Findings:
    """Check the anchors and feature levels of a FasterRcnn message."""
    anchors = section.message.first_stage_anchor_generator
    at = section.at("first_stage_anchor_generator")
    kind = anchors.WhichOneof("anchor_generator_oneof")
    if kind is None:
        fix = (
            "Add grid_anchor_generator, or multiscale_anchor_generator for a feature pyramid (a "
            "type with fpn in its name)"
        )
        return Findings(faults=(Finding(at, "is not set", fix),))
    member = Section(getattr(anchors, kind), f"{at}.{kind}")
    faults = list(_kind_fits(section, member, kind))
    warnings = []
    if kind == "grid_anchor_generator":
        faults += _grid(member)
        warnings += _strides(section, member) if not is_pyramid(section.message) else ()
    elif kind == "multiscale_anchor_generator":
        faults += _multiscale(member)
        faults += _levels(section, member) if is_pyramid(section.message) else ()
        warnings += _normalized(member)
    return Findings(tuple(faults), tuple(warnings))


def _kind_fits(section, member, kind):
    extractor = section.message.feature_extractor.type
    if kind == "grid_anchor_generator" and is_pyramid(section.message):
        yield Finding(
            member.path,
            f'has anchors on one level, but "{extractor}" has several',
            "Use multiscale_anchor_generator with the levels of feature_extractor.fpn",
        )
    if kind == "multiscale_anchor_generator" and extractor and not is_pyramid(section.message):
        yield Finding(
            member.path,
            f'has anchors on several levels, but "{extractor}" has one',
            "Use grid_anchor_generator, or an extractor with fpn in its name",
        )


def _not_empty(member, *names):
    for name in names:
        values = list(getattr(member.message, name))
        if not values:
            yield Finding(member.at(name), "is empty: there would be no anchors", _usual(name))
        elif not all(value > 0 for value in values):
            problem = f"is [{listed(number(value) for value in values)}]; all must be above 0"
            yield Finding(member.at(name), problem)


def _usual(name):
    values = {"scales": "[0.25, 0.5, 1.0, 2.0]", "aspect_ratios": "[0.5, 1.0, 2.0]"}
    return f"Usual: {name}: {values[name]}"


def _grid(member):
    yield from _not_empty(member, "scales", "aspect_ratios")
    yield from member.at_least(1, "height", "width", "height_stride", "width_stride")


def _strides(section, member):
    stride = section.message.feature_extractor.first_stage_features_stride
    for name in ("height_stride", "width_stride"):
        value = getattr(member.message, name)
        if value >= 1 and value != stride:
            yield Finding(
                member.at(name),
                f"is {value}, but feature_extractor.first_stage_features_stride is {stride}: the "
                "anchors are not above the features that classify them",
                f"Set it to {stride}",
            )


def _multiscale(member):
    yield from _not_empty(member, "aspect_ratios")
    yield from member.above(0, "anchor_scale")
    yield from member.at_least(1, "scales_per_octave")
    yield from _level_order(member)


def _normalized(member):
    anchors = member.message
    if anchors.HasField("normalize_coordinates") and anchors.normalize_coordinates:
        problem = "is true but has no effect: anchors are in pixels of the resized image"
        yield Finding(member.at("normalize_coordinates"), problem)


def _level_order(section):
    low, high = section.message.min_level, section.message.max_level
    if low > high:
        yield Finding(section.at("min_level"), f"is {low}, above max_level, which is {high}")


def _levels(section, member):
    pyramid = section.child("feature_extractor").child("fpn")
    yield from _level_order(pyramid)
    yield from pyramid.within(_LOWEST_LEVEL, 5, "min_level")
    yield from pyramid.within(_LOWEST_LEVEL, _HIGHEST_LEVEL, "max_level")
    yield from pyramid.at_least(1, "additional_layer_depth")
    own = (pyramid.message.min_level, pyramid.message.max_level)
    anchors = (member.message.min_level, member.message.max_level)
    if own != anchors:
        yield Finding(
            member.path,
            f"has levels {anchors[0]} to {anchors[1]}, feature_extractor.fpn has {own[0]} to "
            f"{own[1]}: every level needs its own anchors",
            "Give both the same min_level and max_level (the defaults are 3 and 7)",
        )


def check_hyperparams(section) -> Findings:
    """Check for hyperparams of a FasterRcnn message that have no effect on their layers."""
    head = section.child("second_stage_box_predictor").child("mask_rcnn_box_predictor")
    proposals = section.child("first_stage_box_predictor_conv_hyperparams")
    dense = head.child("fc_hyperparams")
    places = (
        (proposals, _CONV),
        (section.child("feature_extractor").child("conv_hyperparams"), _CONV),
        (dense, _DENSE),
        (head.child("conv_hyperparams"), _CONV),
    )
    findings = Findings()
    for place, kind in places:
        findings = findings.merge(warnings(_operation(place, kind)))
    findings = findings.merge(warnings(_activation(proposals, "that of the RPN is ReLU6")))
    return findings.merge(warnings(_activation(dense, "the heads for class and box have none")))


def _operation(place, kind):
    if place.message.HasField("op") and place.message.op != kind:
        name = hyperparams_pb2.Hyperparams.Op.Name
        problem = f"is {name(place.message.op)} but has no effect: these layers are {name(kind)}"
        yield Finding(place.at("op"), problem)


def _activation(place, what_is):
    activation = place.message.activation
    if place.message.HasField("activation") and activation not in _USUAL:
        name = hyperparams_pb2.Hyperparams.Activation.Name(activation)
        yield Finding(place.at("activation"), f"is {name} but has no effect: {what_is}")
