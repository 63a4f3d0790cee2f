"""Why a run can't go on, in messages for the person at the keyboard, who needs no traceback."""

from object_detection.errors import TrainingError


def built(build, *args, **kwargs):
    """What a builder makes; its complaints about the config become a TrainingError."""
    try:
        return build(*args, **kwargs)
    except ValueError as error:
        raise TrainingError(str(error)) from error
