"""`DetectionModel` messages -> networks."""

from object_detection.builders import (
    anchor_generator_builder,
    hyperparams_builder,
    image_resizer_builder,
    losses_builder,
    post_processing_builder,
)
from object_detection.builders.pick import check_message
from object_detection.compat.detection_model import DetectionModel
from object_detection.errors import ConfigError
from object_detection.modeling.backbones import BACKBONES, ExtractorSpec
from object_detection.modeling.box_head import BoxHead
from object_detection.modeling.conv_block import Hyperparams
from object_detection.modeling.faster_rcnn import FasterRCNN, FinalFeatures, LossWeights
from object_detection.modeling.mask_head import MaskHead, MaskSettings
from object_detection.modeling.mask_stage import MaskStage
from object_detection.modeling.precision import FLOAT32, check, compute_in
from object_detection.modeling.rewrites import FAST, use_rewrites
from object_detection.modeling.roi_stage import (
    CropSettings,
    RoiCropper,
    RoiStage,
    SamplingSettings,
)
from object_detection.modeling.rpn import RegionProposalNetwork, RPNSettings


def build(model_config, is_training, add_summaries=True, precision=FLOAT32):
    """TFOD's `DetectionModel` face over a network (`.network`).

    Args:
        model_config: a `DetectionModel` message.
        is_training: whether live norms may be on.
        add_summaries: accepted for TFOD's callers; summaries are the training loop's.
        precision: as for `build_network`.
    """
    check_message(model_config, "DetectionModel", "model_config")
    del add_summaries
    network = build_network(model_config, is_training, precision)
    resizer = image_resizer_builder.build(model_config.faster_rcnn.image_resizer)
    return DetectionModel(network, resizer, is_training=is_training)


def build_network(model_config, is_training, precision=FLOAT32, rewrites=FAST):
    """The `FasterRCNN` of a `DetectionModel` message, its variables created.

    Args:
        model_config: a `DetectionModel` message.
        is_training: whether live norms may be on.
        precision: "float32" or "bfloat16", the type of convolutions and matrix products; variables
            are float32 in either.
        rewrites: `modeling.rewrites.Rewrites`; without some the network computes the same, slower.

    Raises:
        ConfigError: a meta-architecture, extractor, combination or precision that is not supported;
            the message says what is.
    """
    check_message(model_config, "DetectionModel", "model_config")
    check(precision)
    kind = model_config.WhichOneof("model")
    if kind != "faster_rcnn":
        raise ConfigError(
            f"model is {kind or 'unset'}; this package builds faster_rcnn "
            "(Faster R-CNN and Mask R-CNN)"
        )
    config = model_config.faster_rcnn
    if config.HasField("context_config"):
        raise ConfigError("context_config is set, but Context R-CNN is not built here; take it out")
    extractor = build_extractor(config.feature_extractor, is_training)
    stages = config.number_of_stages
    if stages not in (1, 2, 3):
        raise ConfigError(f"number_of_stages is {stages}; allowed are 1, 2 and 3")
    roi_stage = _roi_stage(config, extractor, is_training) if stages > 1 else None
    mask_stage = _mask_stage(config, is_training) if stages > 2 else None
    network = FasterRCNN(
        extractor,
        _rpn(config, is_training),
        roi_stage,
        mask_stage,
        weights=LossWeights(
            rpn_localization=config.first_stage_localization_loss_weight,
            rpn_objectness=config.first_stage_objectness_loss_weight,
            box_localization=config.second_stage_localization_loss_weight,
            box_classification=config.second_stage_classification_loss_weight,
            mask=config.second_stage_mask_prediction_loss_weight,
        ),
        num_classes=config.num_classes,
        final_features=FinalFeatures(
            trunk=stages > 1 and config.output_final_box_features,
            crops=stages > 1 and config.output_final_box_rpn_features,
        ),
        name="faster_rcnn",
    )
    network.build()
    compute_in(network, precision)
    use_rewrites(network, rewrites)
    return network


def _is_slim(config):
    """Whether TFOD has the extractor for TF1: the names of those for TF2, and ours, say keras."""
    return not config.feature_extractor.type.endswith("_keras")


def _hyperparams(config, message, is_training):
    return hyperparams_builder.build(message, is_training=is_training, slim=_is_slim(config))


def _dense_hyperparams(config, message, is_training):
    """Those of the dense heads for class and box.

    Of these TFOD's TF2 models take only the norm, and keep the bias in addition: their dense layers
    begin as Keras' own do and are never penalized. Groups need positions, which are not there.
    """
    hyperparams = _hyperparams(config, message, is_training)
    if hyperparams.norm is not None and hyperparams.norm.kind == "group":
        hyperparams = hyperparams._replace(norm=None)
    if _is_slim(config) or not BACKBONES[config.feature_extractor.type].tfod:
        return hyperparams
    return Hyperparams(initializer="glorot_uniform", norm=hyperparams.norm, use_bias=True)


def build_extractor(config, is_training):
    """The `Extractor` of a `FasterRcnnFeatureExtractor` message.

    Raises:
        ConfigError: unknown type or a stride the type does not have.
    """
    check_message(config, "FasterRcnnFeatureExtractor", "feature_extractor_config")
    row = BACKBONES.get(config.type)
    if row is None:
        raise ConfigError(
            f"feature_extractor.type is '{config.type}'; supported: {', '.join(BACKBONES)}"
        )
    stride = config.first_stage_features_stride
    if row.strides and stride not in row.strides:
        raise ConfigError(
            f"first_stage_features_stride is {stride}; '{config.type}' has "
            f"{' or '.join(str(s) for s in row.strides)}"
        )
    hyperparams = Hyperparams()
    if config.HasField("conv_hyperparams"):
        hyperparams = hyperparams_builder.build(config.conv_hyperparams, is_training=is_training)
    return row.build(
        ExtractorSpec(
            stride=stride,
            live_norm=config.batch_norm_trainable and is_training,
            hyperparams=hyperparams,
            override_base=config.override_base_feature_extractor_hyperparams,
            min_level=config.fpn.min_level,
            max_level=config.fpn.max_level,
            fpn_depth=config.fpn.additional_layer_depth,
            pad_to_multiple=config.pad_to_multiple,
        )
    )


def _rpn(config, is_training):
    settings = RPNSettings(
        kernel_size=config.first_stage_box_predictor_kernel_size,
        depth=config.first_stage_box_predictor_depth,
        atrous_rate=config.first_stage_atrous_rate,
        nms_score_threshold=config.first_stage_nms_score_threshold,
        nms_iou_threshold=config.first_stage_nms_iou_threshold,
        max_proposals=config.first_stage_max_proposals,
        minibatch_size=config.first_stage_minibatch_size,
        positive_fraction=config.first_stage_positive_balance_fraction,
        clip_anchors=config.clip_anchors_to_image,
    )
    return RegionProposalNetwork(
        anchor_generator_builder.build(config.first_stage_anchor_generator),
        settings,
        _hyperparams(config, config.first_stage_box_predictor_conv_hyperparams, is_training),
        name="rpn",
    )


def _box_predictor(config):
    kind = config.second_stage_box_predictor.WhichOneof("box_predictor_oneof")
    if kind != "mask_rcnn_box_predictor":
        raise ConfigError(
            f"second_stage_box_predictor is {kind or 'unset'}; supported: mask_rcnn_box_predictor "
            "(it serves Faster R-CNN without masks too)"
        )
    return config.second_stage_box_predictor.mask_rcnn_box_predictor


def _roi_stage(config, extractor, is_training):
    predictor = _box_predictor(config)
    if config.maxpool_kernel_size < 1 or config.maxpool_stride < 1 or config.initial_crop_size < 1:
        raise ConfigError(
            "initial_crop_size, maxpool_kernel_size and maxpool_stride must be at least 1, got "
            f"{config.initial_crop_size}, {config.maxpool_kernel_size}, {config.maxpool_stride}; "
            "kernel and stride 1 leave the crop as it is"
        )
    cropper = RoiCropper(
        CropSettings(
            size=config.initial_crop_size,
            pool_kernel=config.maxpool_kernel_size,
            pool_stride=config.maxpool_stride,
            matmul=config.use_matmul_crop_and_resize,
            paper_levels=config.fpn_paper_levels,
            true_boxes=config.crop_masks_at_true_boxes,
            unstretched=config.fpn_unstretched_crops,
        )
    )
    head = BoxHead(
        config.num_classes,
        share_box=predictor.share_box_across_classes,
        hyperparams=_dense_hyperparams(config, predictor.fc_hyperparams, is_training),
        dropout=1.0 - predictor.dropout_keep_probability if predictor.use_dropout else None,
        name="head",
    )
    miner = None
    if config.HasField("hard_example_miner"):
        miner = losses_builder.build_hard_example_miner(
            config.hard_example_miner,
            localization_weight=config.second_stage_localization_loss_weight,
            classification_weight=config.second_stage_classification_loss_weight,
        )
    return RoiStage(
        extractor.box_trunk,
        head,
        cropper,
        sampling=SamplingSettings(
            batch_size=config.second_stage_batch_size,
            positive_fraction=config.second_stage_balance_fraction,
            add_groundtruth=config.add_groundtruth_to_proposals,
        ),
        detection=post_processing_builder.build(config.second_stage_post_processing),
        classification_loss=losses_builder.build_faster_rcnn_classification_loss(
            config.second_stage_classification_loss
        ),
        miner=miner,
        name="roi_stage",
    )


def _mask_stage(config, is_training):
    predictor = _box_predictor(config)
    if not predictor.predict_instance_masks:
        raise ConfigError(
            "number_of_stages is 3 but predict_instance_masks is false; set it true in "
            "mask_rcnn_box_predictor, or number_of_stages to 2"
        )
    settings = MaskSettings(
        height=predictor.mask_height,
        width=predictor.mask_width,
        conv_depth=predictor.mask_prediction_conv_depth,
        num_conv_layers=predictor.mask_prediction_num_conv_layers,
        class_agnostic=predictor.masks_are_class_agnostic,
        convolve_then_upsample=predictor.convolve_then_upsample_masks,
        spatial=predictor.spatial_mask_branch,
        crop_size=predictor.mask_crop_size,
        loss_per_replica=predictor.mask_loss_per_replica,
    )
    hyperparams = _hyperparams(config, predictor.conv_hyperparams, is_training)
    return MaskStage(MaskHead(config.num_classes, settings, hyperparams, name="head"), name="masks")
