"""What is wrong with train_config: missing parts, contradictions, values out of range."""

import re
from itertools import pairwise

from object_detection.config import augmentation_checks
from object_detection.config.findings import (
    Finding,
    Findings,
    Section,
    faults,
    listed,
    number,
    warnings,
)
from object_detection.utils.messages import shorten

# As in checkpoints/restore, with '' for what from_detection_checkpoint says.
CHECKPOINT_TYPES = ("full", "detection", "classification")
# TFOD's words for other models; checkpoints/restore says in a warning what it makes of them.
OTHER_CHECKPOINT_TYPES = ("fine_tune", "feature_extractor")


def check(config, *, resumes: bool = False) -> Findings:
    """Findings about the train_config of a TrainEvalPipelineConfig.

    Args:
        config: TrainEvalPipelineConfig.
        resumes: whether the training goes on from a checkpoint in its folder, TFOD's or ours, so
            that it matters no more what a new one would start from.
    """
    if not config.HasField("train_config"):
        fix = "Add train_config { batch_size: ... num_steps: ... optimizer { ... } }"
        return faults([Finding("train_config", "is not set", fix)])
    section = Section(config.train_config, "train_config")
    findings = faults(_whole(section)).merge(warnings(_oddities(section)))
    findings = findings.merge(augmentation_checks.check(config))
    findings = findings.merge(_optimizer(section))
    return findings if resumes else findings.merge(warnings(_frozen_norms(config)))


def _whole(section):
    train = section.message
    fix = "It is the number of images of a step over all devices"
    yield from section.at_least(1, "batch_size", fix=fix)
    yield from section.at_least(0, "gradient_clipping_by_norm", fix="0 turns clipping off")
    yield from section.at_least(0, "bias_grad_multiplier")
    if train.HasField("max_number_of_boxes"):
        yield from section.at_least(1, "max_number_of_boxes")
    kind = train.fine_tune_checkpoint_type
    if kind and kind not in (*CHECKPOINT_TYPES, *OTHER_CHECKPOINT_TYPES):
        problem = f'is "{shorten(kind)}"; allowed: {", ".join(CHECKPOINT_TYPES)}'
        yield Finding(section.at("fine_tune_checkpoint_type"), problem)
    for name in ("freeze_variables", "update_trainable_variables"):
        for pattern in getattr(train, name):
            try:
                re.compile(pattern)
            except (re.error, OverflowError, RecursionError) as error:
                problem = f"holds '{shorten(pattern)}', which is no regular expression: {error}"
                yield Finding(section.at(name), problem)


def _oddities(section):
    train = section.message
    if train.num_steps == 0:
        yield Finding(section.at("num_steps"), "is 0: training goes on until it is stopped")
    if train.HasField("fine_tune_checkpoint_type") and not train.fine_tune_checkpoint:
        problem = "is set but has no effect without fine_tune_checkpoint"
        yield Finding(section.at("fine_tune_checkpoint_type"), problem)


def _optimizer(section) -> Findings:
    at = section.at("optimizer")
    optimizer = section.message.optimizer
    kind = optimizer.WhichOneof("optimizer")
    if kind is None:
        fix = "Add momentum_optimizer, adam_optimizer or another one with a learning_rate"
        return faults([Finding(at, "is not set", fix)])
    member = Section(getattr(optimizer, kind), f"{at}.{kind}")
    findings = faults(_rule(member))
    if optimizer.use_moving_average:
        findings = findings.merge(
            faults(Section(optimizer, at).within(0, 1, "moving_average_decay"))
        )
    rate = member.message.learning_rate
    curve = rate.WhichOneof("learning_rate")
    if curve is None:
        fix = "Add for example constant_learning_rate { learning_rate: 0.001 }"
        return findings.merge(faults([Finding(member.at("learning_rate"), "is not set", fix)]))
    path = f"{member.at('learning_rate')}.{curve}"
    curve_look = Section(getattr(rate, curve), path)
    findings = findings.merge(faults(_CURVES[curve](curve_look)))
    if curve == "cosine_decay_learning_rate":
        findings = findings.merge(warnings(_cosine_length(curve_look, section.message.num_steps)))
    return findings


def _rule(section):
    fields = section.message.DESCRIPTOR.fields_by_name
    if "momentum_optimizer_value" in fields:
        yield from section.within(0, 1, "momentum_optimizer_value")
    for name in ("beta_1", "beta_2"):
        if name in fields:
            yield from section.within(0, 1, name)
    if "weight_decay" in fields:
        yield from section.at_least(0, "weight_decay")
    if "epsilon" in fields:
        yield from section.at_least(0, "epsilon")
    if "decay" in fields:
        yield from section.within(0, 1, "decay")


def _constant(section):
    yield from section.at_least(0, "learning_rate")


def _exponential(section):
    yield from section.at_least(
        0, "initial_learning_rate", "burnin_learning_rate", "min_learning_rate"
    )
    yield from section.at_least(1, "decay_steps")
    yield from section.above(0, "decay_factor")


def _manual(section):
    curve = section.message
    yield from section.at_least(0, "initial_learning_rate")
    for index, row in enumerate(curve.schedule):
        yield from Section(row, section.at(f"schedule[{index}]")).at_least(0, "learning_rate")
    steps = [row.step for row in curve.schedule]
    if any(low >= high for low, high in pairwise(steps)):
        yield Finding(section.at("schedule"), f"has the steps {listed(steps)}; they must ascend")
    if curve.warmup and not steps:
        problem = "is true, but there is no schedule to warm up to"
        yield Finding(
            section.at("warmup"), problem, "Add schedule { step: ... learning_rate: ... }"
        )


def _cosine(section):
    curve = section.message
    yield from section.at_least(0, "learning_rate_base", "warmup_learning_rate")
    if curve.warmup_steps > curve.total_steps:
        yield Finding(
            section.at("warmup_steps"),
            f"is {curve.warmup_steps}{_unset(curve, 'warmup_steps')}, above total_steps, which is "
            f"{curve.total_steps}{_unset(curve, 'total_steps')}",
            "Give both; total_steps is usually num_steps, warmup_steps a few percent of it",
        )
    if curve.warmup_steps and curve.warmup_learning_rate > curve.learning_rate_base:
        yield Finding(
            section.at("warmup_learning_rate"),
            f"is {number(curve.warmup_learning_rate)}{_unset(curve, 'warmup_learning_rate')}, "
            f"above learning_rate_base, which is {number(curve.learning_rate_base)}",
            "A warm-up starts low",
        )


def _unset(message, name):
    return "" if message.HasField(name) else " (its default)"


_CURVES = {
    "constant_learning_rate": _constant,
    "exponential_decay_learning_rate": _exponential,
    "manual_step_learning_rate": _manual,
    "cosine_decay_learning_rate": _cosine,
}


def _cosine_length(section, num_steps):
    total = section.message.total_steps
    if num_steps and total != num_steps:
        after = (
            "the rate is 0 from there on and nothing is learned any more"
            if total < num_steps
            else "training ends before the rate has come down"
        )
        yield Finding(
            section.at("total_steps"),
            f"is {total}{_unset(section.message, 'total_steps')}, but train_config.num_steps is "
            f"{num_steps}: {after}",
            f"Set it to {num_steps}",
        )


def _frozen_norms(config):
    """Random weights under norms frozen at their start: the classic way to learn little."""
    extractor = config.model.faster_rcnn.feature_extractor
    if config.train_config.fine_tune_checkpoint or extractor.batch_norm_trainable:
        return
    if config.model.WhichOneof("model") == "faster_rcnn":
        yield Finding(
            "train_config.fine_tune_checkpoint",
            "is not set: the backbone starts from random weights, and its batch norms stay frozen "
            "at their start (feature_extractor.batch_norm_trainable is false)",
            "Give a checkpoint, or set batch_norm_trainable: true",
        )
