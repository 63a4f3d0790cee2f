"""What is wrong with train_config.data_augmentation_options: values no step can work with.

The allowed values are one table: a field of a step, by `message.field`, must lie in a range, or not
above its partner. Fields of an equal name and meaning share a row without the message.
"""

from object_detection.config.findings import Finding, Findings, Section, faults, listed, warnings
from object_detection.utils.messages import shorten

POLICIES = ("v0", "v1", "v2", "v3", "test")
_SHARES = (
    "probability random_coef overlap_thresh min_object_covered min_visible object_probability "
    "drop_probability concat_vertical_probability concat_horizontal_probability "
    "size_to_image_ratio max_area min_area"
).split()
_ABOVE_ZERO = (
    "min_aspect_ratio aspect_ratio min_area max_area min_scale_ratio scale_min "
    "min_target_pixels gamma"
).split()
_AT_LEAST_ONE = (
    "output_size num_scales new_height new_width target_height target_width min_patch_size "
    "max_objects new_label min_image_height min_image_width"
).split()
_AT_LEAST_ZERO = (
    "max_border max_black_patches min_gaussian_stddev max_height_padding max_width_padding ratio "
    "gain minval"
).split()
_ORDERED = (
    ("min_aspect_ratio", "max_aspect_ratio"),
    ("min_area", "max_area"),
    ("min_scale_ratio", "max_scale_ratio"),
    ("scale_min", "scale_max"),
    ("minval", "maxval"),
    ("min_patch_size", "max_patch_size"),
    ("min_gaussian_stddev", "max_gaussian_stddev"),
    ("min_jpeg_quality", "max_jpeg_quality"),
    ("min_image_height", "max_image_height"),
    ("min_image_width", "max_image_width"),
    ("min_target_pixels", "max_target_pixels"),
)
# Without these a step uses the image, or a default that is not the schema's.
_NO_DEFAULT = (
    "min_image_height min_image_width max_image_height max_image_width max_target_pixels"
).split()
_LENGTHS = {
    "pad_color": 3,
    "min_padded_size_ratio": 2,
    "max_padded_size_ratio": 2,
}
# Steps that change what the network sees only in training.
_VALUES_OF_THEIR_OWN = ("normalize_image", "subtract_channel_mean")


def check(config) -> Findings:
    """Findings about the augmentations of a TrainEvalPipelineConfig."""
    findings, odd = [], []
    steps = config.train_config.data_augmentation_options
    for index, step in enumerate(steps):
        at = "train_config.data_augmentation_options" + (f"[{index}]" if len(steps) > 1 else "")
        name = step.WhichOneof("preprocessing_step")
        if name is None:
            fix = "Name a step, for example random_horizontal_flip { }"
            findings.append(Finding(at, "is empty", fix))
            continue
        section = Section(getattr(step, name), f"{at}.{name}")
        findings += _ranges(section)
        for number, operation in enumerate(getattr(section.message, "operations", ())):
            findings += _ranges(Section(operation, section.at(f"operations[{number}]")))
        if name in _OWN:
            findings += _OWN[name](section, config)
        if name in _VALUES_OF_THEIR_OWN:
            odd.append(_unseen_in_evaluation(section))
    return faults(findings).merge(faults(_several_pastes(steps))).merge(warnings(odd))


def _ranges(section):
    fields = section.message.DESCRIPTOR.fields_by_name
    yield from section.within(0, 1, *_known(fields, _SHARES))
    yield from section.above(0, *_known(fields, _ABOVE_ZERO))
    ones = [name for name in _known(fields, _AT_LEAST_ONE) if not _left_out(section.message, name)]
    yield from section.at_least(1, *ones)
    yield from section.at_least(0, *_known(fields, _AT_LEAST_ZERO))
    for low, high in _ORDERED:
        if low in fields and not _left_out(section.message, high):
            yield from section.at_least(getattr(section.message, low), high, fix=f"{low} is that")
    for name in _known(fields, _LENGTHS):
        count, wanted = len(getattr(section.message, name)), _LENGTHS[name]
        if count not in (0, wanted):
            problem = f"has {count} numbers; it takes {wanted}, or none"
            yield Finding(section.at(name), problem)


def _known(fields, names):
    return [name for name in names if name in fields]


def _left_out(message, name):
    return name in _NO_DEFAULT and not message.HasField(name)


def _pad_sizes(section, config):
    del config
    for end in ("min", "max"):
        names = (f"{end}_image_height", f"{end}_image_width")
        given = [name for name in names if section.message.HasField(name)]
        if len(given) == 1:
            other = next(name for name in names if name not in given)
            yield Finding(section.at(other), f"is not set, but {given[0]} is", "Give both or none")


def _normalize(section, config):
    del config
    if section.message.original_minval == section.message.original_maxval:
        problem = f"is {section.message.original_maxval:.6g}, as original_minval is"
        yield Finding(section.at("original_maxval"), problem, "Images hold 0 to 255")


def _means(section, config):
    del config
    count = len(section.message.means)
    if count != 3:
        yield Finding(section.at("means"), f"has {count} numbers; one for each of 3 channels")


def _ordering(section, config):
    del config
    yield from section.within(0, 1, "color_ordering")


def _quality(section, config):
    del config
    yield from section.within(0, 100, "min_jpeg_quality", "max_jpeg_quality")


def _policy(section, config):
    del config
    name = section.message.policy_name
    if name not in POLICIES:
        yield Finding(
            section.at("policy_name"), f'is "{shorten(name)}"; allowed: {listed(POLICIES)}'
        )


def _new_label(section, config):
    model = config.model.faster_rcnn
    if config.model.HasField("faster_rcnn") and section.message.new_label > model.num_classes:
        problem = f"is {section.message.new_label}, but model.num_classes is {model.num_classes}"
        yield Finding(section.at("new_label"), problem)


def _masks_to_paste(section, config):
    if not config.train_input_reader.load_instance_masks:
        problem = "needs masks, but train_input_reader.load_instance_masks is false"
        yield Finding(section.path, problem, "Set it to true, or remove the step")


def _several_pastes(steps):
    places = [i for i, one in enumerate(steps) if one.HasField("copy_paste")]
    if len(places) > 1:
        where = f"train_config.data_augmentation_options[{places[1]}].copy_paste"
        yield Finding(where, "is there a second time; once is all it can be done")


def _unseen_in_evaluation(section):
    return Finding(
        section.path,
        "changes what the network sees only in training: evaluation and exported models do not "
        "do it, and the network normalizes its input itself",
        "Remove it",
    )


_OWN = {
    "random_pad_image": _pad_sizes,
    "normalize_image": _normalize,
    "subtract_channel_mean": _means,
    "random_distort_color": _ordering,
    "random_jpeg_quality": _quality,
    "autoaugment_image": _policy,
    "remap_labels": _new_label,
    "copy_paste": _masks_to_paste,
}
