"""Why a run can't go on, in messages for the person at the keyboard, who needs no traceback."""

from object_detection.errors import ObjectDetectionError


class RunFailure(ObjectDetectionError):
    """A run can't start or go on; the message says why and what to do about it."""


class CheckpointError(RunFailure):
    """A checkpoint can't be written, or can't be read into this model."""


class BlankCheckpoint(CheckpointError):
    """A checkpoint that holds no weights at all, as TFOD's of step 0."""


class NonFiniteLoss(RunFailure):
    """A loss or the gradient is NaN or infinite; the weights can't be trusted any more."""


class WorkerLost(RunFailure):
    """Another worker process of this run is gone."""


class NoExamples(RunFailure):
    """There is nothing to train on or to evaluate."""


class OutOfMemory(RunFailure):
    """The device ran out of memory; the message lists what to turn down."""


def built(build, *args, **kwargs):
    """What a builder makes; its complaints about the config become a RunFailure."""
    try:
        return build(*args, **kwargs)
    except ValueError as error:
        raise RunFailure(str(error)) from error
