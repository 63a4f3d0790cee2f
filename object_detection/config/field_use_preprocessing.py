"""The part of `field_use.READ` about augmentations: every field of every step that is read."""

_CROP = "min_object_covered min_area max_area overlap_thresh random_coef clip_boxes"
_ASPECTS = "min_aspect_ratio max_aspect_ratio"
_RATIOS = "min_padded_size_ratio max_padded_size_ratio"

PREPROCESSING = {
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
