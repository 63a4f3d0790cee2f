"""The effect of every field of the schema: the one table.

A field is READ (something in this package uses it), IMPLIED (nothing reads it, but its statement is
true anyway, or does not affect any result), WITHOUT_EFFECT (any value but its default is a warning,
with the reason) or REFUSED (it would change results and is not supported: a fault). Members of a
oneof that are not READ are refused by name, with a list of those that are.

Only messages that a supported config reaches are here: `ssd`, say, is refused as a whole.
"""

# The augmentations: every field of every step that is read.
_CROP = "min_object_covered min_area max_area overlap_thresh random_coef clip_boxes"
_ASPECTS = "min_aspect_ratio max_aspect_ratio"
_RATIOS = "min_padded_size_ratio max_padded_size_ratio"

_PREPROCESSING = {
    "PreprocessingStep": "normalize_image random_horizontal_flip random_pixel_value_scale "
    "random_image_scale random_rgb_to_gray random_adjust_brightness random_adjust_contrast "
    "random_adjust_hue random_adjust_saturation random_distort_color random_jitter_boxes "
    "random_crop_image random_pad_image random_crop_pad_image random_crop_to_aspect_ratio "
    "random_black_patches random_resize_method resize_image subtract_channel_mean "
    "ssd_random_crop ssd_random_crop_pad ssd_random_crop_fixed_aspect_ratio "
    "ssd_random_crop_pad_fixed_aspect_ratio random_vertical_flip random_rotation90 rgb_to_gray "
    "random_absolute_pad_image random_self_concat_image autoaugment_image "
    "drop_label_probabilistically remap_labels random_jpeg_quality "
    "random_downscale_to_target_pixels random_patch_gaussian random_square_crop_by_scale "
    "random_scale_crop_and_pad_to_square adjust_gamma random_scale_crop_and_pad copy_paste",
    "NormalizeImage": "original_minval original_maxval target_minval target_maxval",
    "RandomHorizontalFlip": "probability",
    "RandomPixelValueScale": "minval maxval",
    "RandomImageScale": "min_scale_ratio max_scale_ratio",
    "RandomRGBtoGray": "probability",
    "RandomAdjustBrightness": "max_delta",
    "RandomAdjustContrast": "min_delta max_delta",
    "RandomAdjustHue": "max_delta",
    "RandomAdjustSaturation": "min_delta max_delta",
    "RandomDistortColor": "color_ordering",
    "RandomJitterBoxes": "ratio jitter_mode",
    "RandomCropImage": f"{_CROP} {_ASPECTS}",
    "RandomPadImage": "min_image_height min_image_width max_image_height max_image_width pad_color",
    "RandomCropPadImage": f"{_CROP} {_ASPECTS} {_RATIOS} pad_color",
    "RandomCropToAspectRatio": "aspect_ratio overlap_thresh clip_boxes",
    "RandomBlackPatches": "max_black_patches probability size_to_image_ratio",
    "RandomResizeMethod": "target_height target_width",
    "ResizeImage": "new_height new_width method",
    "SubtractChannelMean": "means",
    "SSDRandomCrop": "operations",
    "SSDRandomCropOperation": f"{_CROP} {_ASPECTS}",
    "SSDRandomCropPad": "operations",
    "SSDRandomCropPadOperation": f"{_CROP} {_ASPECTS} {_RATIOS} "
    "pad_color_r pad_color_g pad_color_b",
    "SSDRandomCropFixedAspectRatio": "operations aspect_ratio",
    "SSDRandomCropFixedAspectRatioOperation": _CROP,
    "SSDRandomCropPadFixedAspectRatio": f"operations aspect_ratio {_RATIOS}",
    "SSDRandomCropPadFixedAspectRatioOperation": f"{_CROP} {_ASPECTS}",
    "RandomVerticalFlip": "probability",
    "RandomRotation90": "probability",
    "RGBtoGray": "",
    "RandomAbsolutePadImage": "max_height_padding max_width_padding pad_color",
    "RandomSelfConcatImage": "concat_vertical_probability concat_horizontal_probability",
    "AutoAugmentImage": "policy_name",
    "DropLabelProbabilistically": "label drop_probability",
    "RemapLabels": "original_labels new_label",
    "RandomJpegQuality": "random_coef min_jpeg_quality max_jpeg_quality",
    "RandomDownscaleToTargetPixels": "random_coef min_target_pixels max_target_pixels",
    "RandomPatchGaussian": "random_coef min_patch_size max_patch_size min_gaussian_stddev "
    "max_gaussian_stddev",
    "RandomSquareCropByScale": "max_border scale_min scale_max num_scales",
    "RandomScaleCropAndPadToSquare": "output_size scale_min scale_max",
    "AdjustGamma": "gamma gain",
    "RandomScaleCropAndPad": "scale_min scale_max min_visible random_coef pad_color",
    "CopyPaste": "probability object_probability min_visible max_objects",
}
READ = {
    "TrainEvalPipelineConfig": "model train_config train_input_reader eval_config "
    "eval_input_reader",
    "DetectionModel": "faster_rcnn",
    "FasterRcnn": "number_of_stages num_classes image_resizer feature_extractor "
    "first_stage_anchor_generator first_stage_atrous_rate "
    "first_stage_box_predictor_conv_hyperparams first_stage_box_predictor_kernel_size "
    "first_stage_box_predictor_depth first_stage_minibatch_size "
    "first_stage_positive_balance_fraction first_stage_nms_score_threshold "
    "first_stage_nms_iou_threshold first_stage_max_proposals "
    "first_stage_localization_loss_weight first_stage_objectness_loss_weight initial_crop_size "
    "maxpool_kernel_size maxpool_stride second_stage_box_predictor second_stage_batch_size "
    "second_stage_balance_fraction second_stage_post_processing "
    "second_stage_localization_loss_weight second_stage_classification_loss_weight "
    "second_stage_mask_prediction_loss_weight second_stage_classification_loss "
    "use_matmul_crop_and_resize clip_anchors_to_image hard_example_miner "
    "output_final_box_features output_final_box_rpn_features fpn_paper_levels "
    "add_groundtruth_to_proposals crop_masks_at_true_boxes fpn_unstretched_crops",
    "FasterRcnnFeatureExtractor": "type first_stage_features_stride batch_norm_trainable "
    "conv_hyperparams override_base_feature_extractor_hyperparams pad_to_multiple fpn",
    "FeaturePyramidNetworks": "min_level max_level additional_layer_depth",
    "AnchorGenerator": "grid_anchor_generator multiscale_anchor_generator",
    "GridAnchorGenerator": "height width height_stride width_stride height_offset width_offset "
    "scales aspect_ratios",
    "MultiscaleAnchorGenerator": "min_level max_level anchor_scale aspect_ratios scales_per_octave",
    "ImageResizer": "keep_aspect_ratio_resizer fixed_shape_resizer identity_resizer "
    "conditional_shape_resizer pad_to_multiple_resizer",
    "KeepAspectRatioResizer": "min_dimension max_dimension resize_method pad_to_max_dimension "
    "convert_to_grayscale per_channel_pad_value",
    "FixedShapeResizer": "height width resize_method convert_to_grayscale",
    "IdentityResizer": "",
    "ConditionalShapeResizer": "condition size_threshold resize_method convert_to_grayscale",
    "PadToMultipleResizer": "multiple convert_to_grayscale",
    "Hyperparams": "regularizer initializer activation batch_norm sync_batch_norm group_norm "
    "force_use_bias",
    "Regularizer": "l1_regularizer l2_regularizer",
    "L1Regularizer": "weight",
    "L2Regularizer": "weight",
    "Initializer": "truncated_normal_initializer variance_scaling_initializer "
    "random_normal_initializer keras_initializer_by_name",
    "TruncatedNormalInitializer": "mean stddev",
    "RandomNormalInitializer": "mean stddev",
    "VarianceScalingInitializer": "factor uniform mode",
    "BatchNorm": "decay center scale epsilon train",
    "GroupNorm": "",
    "BoxPredictor": "mask_rcnn_box_predictor",
    "MaskRCNNBoxPredictor": "fc_hyperparams use_dropout dropout_keep_probability "
    "conv_hyperparams predict_instance_masks mask_prediction_conv_depth mask_height mask_width "
    "mask_prediction_num_conv_layers masks_are_class_agnostic share_box_across_classes "
    "convolve_then_upsample_masks spatial_mask_branch mask_crop_size "
    "mask_loss_per_replica",
    "ClassificationLoss": "weighted_sigmoid weighted_softmax weighted_sigmoid_focal "
    "weighted_logits_softmax",
    "WeightedSigmoidClassificationLoss": "",
    "SigmoidFocalClassificationLoss": "gamma alpha",
    "WeightedSoftmaxClassificationAgainstLogitsLoss": "logit_scale",
    "WeightedSoftmaxClassificationLoss": "logit_scale",
    "HardExampleMiner": "num_hard_examples iou_threshold loss_type",
    "PostProcessing": "batch_non_max_suppression score_converter logit_scale calibration_config",
    "CalibrationConfig": "function_approximation class_id_function_approximations "
    "temperature_scaling_calibration",
    "FunctionApproximation": "x_y_pairs",
    "XYPairs": "x_y_pair",
    "XYPairs.XYPair": "x y",
    "ClassIdFunctionApproximations": "class_id_xy_pairs_map",
    "TemperatureScalingCalibration": "scaler",
    "BatchNonMaxSuppression": "score_threshold iou_threshold max_detections_per_class "
    "max_total_detections use_class_agnostic_nms soft_nms_sigma use_hard_nms",
    "TrainConfig": "batch_size data_augmentation_options keep_checkpoint_every_n_hours optimizer "
    "gradient_clipping_by_norm fine_tune_checkpoint from_detection_checkpoint num_steps "
    "bias_grad_multiplier freeze_variables add_regularization_loss max_number_of_boxes "
    "fine_tune_checkpoint_type load_all_detection_checkpoint_vars "
    "fine_tune_checkpoint_version update_trainable_variables summarize_gradients "
    "fine_tune_new_classes",
    **_PREPROCESSING,
    "Optimizer": "rms_prop_optimizer momentum_optimizer adam_optimizer adam_w_optimizer "
    "use_moving_average "
    "moving_average_decay",
    "RMSPropOptimizer": "learning_rate momentum_optimizer_value decay epsilon",
    "MomentumOptimizer": "learning_rate momentum_optimizer_value",
    "AdamOptimizer": "learning_rate epsilon",
    "AdamWOptimizer": "learning_rate weight_decay beta_1 beta_2 epsilon",
    "LearningRate": "constant_learning_rate exponential_decay_learning_rate "
    "manual_step_learning_rate cosine_decay_learning_rate",
    "ConstantLearningRate": "learning_rate",
    "ExponentialDecayLearningRate": "initial_learning_rate decay_steps decay_factor staircase "
    "burnin_learning_rate burnin_steps min_learning_rate",
    "ManualStepLearningRate": "initial_learning_rate schedule warmup",
    "ManualStepLearningRate.LearningRateSchedule": "step learning_rate",
    "CosineDecayLearningRate": "learning_rate_base total_steps warmup_learning_rate warmup_steps "
    "hold_base_rate_steps",
    "EvalConfig": "num_visualizations num_examples eval_interval_secs max_evals metrics_set "
    "use_moving_averages eval_instance_masks min_score_threshold max_num_boxes_to_visualize "
    "include_metrics_per_category batch_size super_categories all_metrics_per_category "
    "recall_lower_bound recall_upper_bound skip_predictions_for_unlabeled_class "
    "visualization_export_dir keep_image_id_for_visualization_export skip_scores skip_labels "
    "visualize_groundtruth_boxes groundtruth_box_visualization_color retain_original_images "
    "image_classes_field_map_empty_to_ones iou_threshold area_range max_detections",
    "AreaRange": "name min max",
    "InputReader": "label_map_path shuffle num_epochs num_readers load_instance_masks "
    "tf_record_input_reader mask_type shuffle_buffer_size filenames_shuffle_buffer_size "
    "read_block_length num_prefetch_batches max_number_of_boxes sample_1_of_n_examples name "
    "sample_from_datasets_weights drop_remainder crop_masks "
    "cache_folder data_service ignore_class",
    "TFRecordInputReader": "input_path",
}

IMPLIED = {
    "Hyperparams.op": "a layer is what its place makes it; a warning tells where this says another",
    # Targets are read from masks as they are stored, as if they had been resized once or twice.
    "FasterRcnn.resize_masks": "false: masks are never resized; the targets are the same",
    "MultiscaleAnchorGenerator.normalize_coordinates": "false: anchors are pixels in any case; "
    "where it is set to true a warning tells",
    # Stock configs for TPUs have it; TFOD itself computes in float32 anywhere else.
    "TrainConfig.use_bfloat16": "false: it is for TPUs; --precision=bfloat16 is for other machines",
    "TrainConfig.sync_replicas": "true: all replicas make each step together",
    "TrainConfig.retain_original_images": "true: stored images are kept where something needs them",
    "TrainConfig.run_fine_tune_checkpoint_dummy_computation": "false: the network has its "
    "variables before a checkpoint is read",
    "InputReader.use_display_name": "true: names and display names are both looked up",
    "InputReader.input_type": "TF_EXAMPLE; TF_SEQUENCE_EXAMPLE is refused",
    "InputReader.include_source_id": "true: records are always read with their ids",
}

# Shapes that a TPU knows beforehand: padding that is taken out again, suppression in tiles, and a
# sampler that draws from the same regions with other random numbers.
_STATIC = "how TFOD computes on TPUs; the result is the same here"
_NOT_MINED = "TFOD's Faster R-CNN mines without it: its limits are for SSD"
_OTHER_MODELS = "read by models that are not built here"
_OLD = "no longer read since TFOD's first release"

WITHOUT_EFFECT = {
    "TrainEvalPipelineConfig.graph_rewriter": "training with simulated quantization is not done "
    "for this model",
    "FasterRcnn.inplace_batchnorm_update": "statistics of norms are always updated in place",
    "FasterRcnn.use_matmul_gather_in_matcher": _STATIC,
    "FasterRcnn.use_static_balanced_label_sampler": _STATIC,
    "FasterRcnn.use_static_shapes": _STATIC,
    "FasterRcnn.use_static_shapes_for_eval": _STATIC,
    "FasterRcnn.use_partitioned_nms_in_first_stage": _STATIC,
    "FasterRcnn.use_combined_nms_in_first_stage": "proposals come from one exact suppression",
    "FasterRcnn.return_raw_detections_during_predict": "raw detections are part of every "
    "prediction",
    "Hyperparams.regularize_depthwise": "it is for SSD's depthwise convolutions",
    "WeightedSigmoidClassificationLoss.anchorwise_output": "the loss is kept per region anyway",
    "WeightedSoftmaxClassificationLoss.anchorwise_output": "the loss is kept per region anyway",
    "SigmoidFocalClassificationLoss.anchorwise_output": "the loss is kept per region anyway",
    "WeightedSoftmaxClassificationAgainstLogitsLoss.anchorwise_output": "the loss is kept per "
    "region anyway",
    "HardExampleMiner.max_negatives_per_positive": _NOT_MINED,
    "HardExampleMiner.min_negatives_per_image": _NOT_MINED,
    "XYPairs.training_data_type": "it says what the curve was made from",
    "BatchNonMaxSuppression.use_static_shapes": _STATIC,
    "BatchNonMaxSuppression.use_partitioned_nms": _STATIC,
    "BatchNonMaxSuppression.use_combined_nms": "suppression is one exact pass over all classes",
    "BatchNonMaxSuppression.change_coordinate_frame": "boxes are fractions of the image in "
    "any case, as in TFOD's second stage",
    "BatchNonMaxSuppression.max_classes_per_detection": "only with use_class_agnostic_nms, where "
    "anything but 1 is refused as in TFOD",
    "BatchNonMaxSuppression.use_cpu_nms": "the device is chosen by TensorFlow",
    "TrainConfig.startup_delay_steps": "replicas start together",
    "TrainConfig.replicas_to_aggregate": "the gradients of all replicas are used in every step",
    "TrainConfig.unpad_groundtruth_tensors": "padding is never counted as an object",
    "TrainConfig.batch_queue_capacity": _OLD,
    "TrainConfig.num_batch_queue_threads": _OLD,
    "TrainConfig.prefetch_queue_capacity": _OLD,
    "RandomHorizontalFlip.keypoint_flip_permutation": "these models have no keypoints",
    "RandomVerticalFlip.keypoint_flip_permutation": "these models have no keypoints",
    "RandomRotation90.keypoint_rot_permutation": "these models have no keypoints",
    "EvalConfig.save_graph": "there is no graph to save",
    "EvalConfig.eval_master": "evaluation runs in this process",
    "EvalConfig.export_path": "metrics are written as JSON next to the evaluation's events",
    "EvalConfig.ignore_groundtruth": "every evaluation compares with the ground truth",
    "EvalConfig.retain_original_image_additional_channels": "images have 3 channels",
    "EvalConfig.use_dummy_loss_in_eval": "losses of the evaluation are computed",
    "EvalConfig.keypoint_edge": "these models have no keypoints",
    "InputReader.queue_capacity": _OLD,
    "InputReader.min_after_dequeue": _OLD,
    "InputReader.prefetch_size": _OLD,
    "InputReader.num_parallel_map_calls": _OLD,
    "InputReader.num_parallel_batches": "the number of parallel calls follows the machine",
    "InputReader.num_keypoints": "these models have no keypoints",
    "InputReader.keypoint_type_weight": "these models have no keypoints",
    "InputReader.load_keypoint_depth_features": "these models have no keypoints",
    "InputReader.use_keypoint_label_map": "these models have no keypoints",
    "InputReader.load_multiclass_scores": _OTHER_MODELS,
    "InputReader.load_context_features": _OTHER_MODELS,
    "InputReader.load_context_image_ids": _OTHER_MODELS,
    "InputReader.load_dense_pose": _OTHER_MODELS,
    "InputReader.load_track_id": _OTHER_MODELS,
    "InputReader.frame_index": _OTHER_MODELS,
}

REFUSED = {
    "FasterRcnn.context_config": "Context R-CNN is not built here",
    "MaskRCNNBoxPredictor.box_code_size": "Boxes have 4 coordinates; take it out",
    "MaskRCNNBoxPredictor.predict_keypoints": "Set it to false; there are no keypoints here",
    "TrainConfig.merge_multiple_label_boxes": "An object has one class here; set it to false",
    "TrainConfig.use_multiclass_scores": "An object has one class here; set it to false",
    "PreprocessingStep.scale_boxes_to_pixel_coordinates": "Remove it; boxes become pixels after "
    "the last step in any case, and the steps themselves work on fractions of the image",
    "PreprocessingStep.convert_class_logits_to_softmax": "Remove it; an object has one class "
    "here, and no scores of several",
    "EvalConfig.force_no_resize": "Evaluation resizes images as training does; set it to false",
    "EvalConfig.parameterized_metric": "Remove it; keypoints are not scored here",
    "InputReader.num_additional_channels": "Images have 3 channels here; set it to 0",
    "InputReader.expand_labels_hierarchy": "An object has one class here; expand the labels while "
    "writing the records and set this to false",
}
# Values that REFUSED or IMPLIED does not let pass, by enum name.
REFUSED_VALUES = {
    ("InputReader.input_type", "TF_SEQUENCE_EXAMPLE"): "Write the images as tf.train.Example and "
    "set TF_EXAMPLE",
}


def read_fields(message):
    """Names of the fields of a message (by its name within the schema) that are read."""
    return READ.get(message, "").split()
