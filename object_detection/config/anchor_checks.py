"""Anchors and feature levels: what is missing, and where the two contradict each other."""

from object_detection.config.findings import Finding, Findings, Look, listed
from object_detection.config.findings import number as shown

_LOWEST_LEVEL, _HIGHEST_LEVEL = 2, 7


def check(look) -> Findings:
    """Findings about the anchors of a `Look` at a FasterRcnn message."""
    anchors = look.message.first_stage_anchor_generator
    at = look.at("first_stage_anchor_generator")
    kind = anchors.WhichOneof("anchor_generator_oneof")
    if kind is None:
        fix = (
            "Add grid_anchor_generator, or multiscale_anchor_generator for a feature pyramid (a "
            "type with fpn in its name)"
        )
        return Findings(faults=(Finding(at, "is not set", fix),))
    member = Look(getattr(anchors, kind), f"{at}.{kind}")
    faults = list(_kind_fits(look, member, kind))
    warnings = []
    if kind == "grid_anchor_generator":
        faults += _grid(member)
        warnings += _strides(look, member) if not _is_pyramid(look) else ()
    elif kind == "multiscale_anchor_generator":
        faults += _multiscale(member)
        faults += _levels(look, member) if _is_pyramid(look) else ()
        warnings += _normalized(member)
    return Findings(tuple(faults), tuple(warnings))


def _is_pyramid(look):
    return "fpn" in look.message.feature_extractor.type


def _kind_fits(look, member, kind):
    extractor = look.message.feature_extractor.type
    if kind == "grid_anchor_generator" and _is_pyramid(look):
        yield Finding(
            member.path,
            f'lays anchors on one level, but "{extractor}" has several',
            "Use multiscale_anchor_generator with the levels of feature_extractor.fpn",
        )
    if kind == "multiscale_anchor_generator" and extractor and not _is_pyramid(look):
        yield Finding(
            member.path,
            f'lays anchors on several levels, but "{extractor}" has one',
            "Use grid_anchor_generator, or an extractor with fpn in its name",
        )


def _not_empty(member, *names):
    for name in names:
        values = list(getattr(member.message, name))
        if not values:
            yield Finding(member.at(name), "is empty: there would be no anchors", _usual(name))
        elif not all(value > 0 for value in values):
            problem = f"is [{listed(shown(value) for value in values)}]; all must be above 0"
            yield Finding(member.at(name), problem)


def _usual(name):
    values = {"scales": "[0.25, 0.5, 1.0, 2.0]", "aspect_ratios": "[0.5, 1.0, 2.0]"}
    return f"Usual: {name}: {values[name]}"


def _grid(member):
    yield from _not_empty(member, "scales", "aspect_ratios")
    yield from member.at_least(1, "height", "width", "height_stride", "width_stride")


def _strides(look, member):
    stride = look.message.feature_extractor.first_stage_features_stride
    for name in ("height_stride", "width_stride"):
        value = getattr(member.message, name)
        if value >= 1 and value != stride:
            yield Finding(
                member.at(name),
                f"is {value}, but feature_extractor.first_stage_features_stride is {stride}: the "
                "anchors do not lie over the features that judge them",
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


def _level_order(look):
    low, high = look.message.min_level, look.message.max_level
    if low > high:
        yield Finding(look.at("min_level"), f"is {low}, above max_level, which is {high}")


def _levels(look, member):
    pyramid = look.child("feature_extractor").child("fpn")
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
            "Give both the same min_level and max_level (3 and 7 hold where they are not set)",
        )
