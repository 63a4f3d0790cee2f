"""The errors that a user can repair, one class a topic, and sentences that several of them share.

A command prints these without a traceback. Any other error is a bug and shows one.
"""

import errno
import os


class ObjectDetectionError(ValueError):
    """Base class of everything that a user can repair."""


class ConfigError(ObjectDetectionError):
    """A pipeline config that cannot be used."""


class LabelMapError(ConfigError):
    """A label map that cannot be read, or whose entries contradict each other."""


class PathError(ObjectDetectionError):
    """A path that does not exist, or that cannot be read or written."""


class AddressError(PathError):
    """A URL where a local path is required, or an unsupported scheme."""


class AnnotationError(ObjectDetectionError):
    """An annotation file that cannot be used at all."""


class MaskError(AnnotationError):
    """Run lengths, polygons or another segmentation that is not a mask; the message says why."""


class ResultFileError(ObjectDetectionError):
    """A file that contains no detections in COCO's format."""


class RecordError(ObjectDetectionError):
    """Records, or a set of them, that cannot be used."""


class ImageError(ObjectDetectionError):
    """An image that cannot be used."""


class CheckpointError(ObjectDetectionError):
    """A checkpoint that does not exist, cannot be read or written, or does not fit the model."""


class BlankCheckpointError(CheckpointError):
    """A checkpoint without weights, like the one that TFOD writes at step 0."""


class DamagedCheckpointError(CheckpointError):
    """A checkpoint with files that are missing, cut off or unreadable."""


class TrainingError(ObjectDetectionError):
    """A training or evaluation run that cannot start or continue."""


class ModelDirInUseError(TrainingError):
    """Another training run uses this model_dir."""


class NonFiniteLossError(TrainingError):
    """A loss or gradient is NaN or infinite; the weights can no longer be trusted."""


class WorkerLostError(TrainingError):
    """Another worker process of this run is gone."""


class NoExamplesError(TrainingError):
    """There is nothing to train on or to evaluate."""


class OutOfMemoryError(TrainingError):
    """The device ran out of memory; the message lists what to turn down."""


class ExportError(ObjectDetectionError):
    """An export that cannot be written, or whose outputs differ from the checkpoint's."""


class SettingsError(ObjectDetectionError):
    """Settings of another system that cannot be used; the message names the file and the key."""


class ServerError(ObjectDetectionError, RuntimeError):
    """A server refused a request or could not be reached.

    Attributes:
        status: HTTP status code of the answer; 0 if there was no answer.
    """

    def __init__(self, message: str, status: int = 0):
        """Store the message and the HTTP status."""
        super().__init__(message)
        self.status = status


class MissingExtraError(ImportError, ObjectDetectionError):
    """A package of an optional extra is not installed; the message says how to install it."""


class ListenError(ObjectDetectionError, OSError):
    """A server cannot use its address, for example because the port is taken."""


def install_command(*extras: str) -> str:
    """Return the command that installs extras of this package.

    The package has no name of its own on the Python package index, where another project is called
    `object_detection`: it is installed from its checkout.

    Args:
        extras: names of `extras_require` in setup.py; none: the package itself.
    """
    return (
        f"pip install --editable '.[{','.join(extras)}]'"
        if extras
        else ("pip install --editable .")
    )


def missing_extra(needs: str, extra: str, error: ImportError) -> MissingExtraError:
    """Return the error for a package of an extra that cannot be imported.

    Args:
        needs: what needs which package, for example "the server needs orjson".
        extra: a name of `extras_require` in setup.py.
        error: of the import.
    """
    return MissingExtraError(
        f"{needs}, which is not installed ({error}). In the checkout of object_detection run: "
        f"{install_command(extra)}",
        name=error.name,
    )


def listen_error(host: str, port: int, error: OSError) -> ListenError:
    """Return the error for an address that a server cannot have."""
    remedy = _LISTEN_REMEDIES.get(error.errno, error.strerror or str(error))
    return ListenError(f"cannot listen at {host} port {port}: {remedy}")


def describe_os_error(error: OSError) -> str:
    """Return a sentence on an error of the operating system: the path first, then what to do."""
    if error.filename is None or error.errno is None:
        return str(error)
    path = os.fsdecode(error.filename) if not isinstance(error.filename, int) else "a file"
    remedy = _REMEDIES.get(error.errno, f"{error.strerror}.")
    if error.errno == errno.ENOENT:
        folder = os.path.dirname(path) or "."
        if not os.path.isdir(folder):
            remedy = f"there is no folder {folder}."
    return f"{path}: {remedy}"


_REMEDIES = {
    errno.EEXIST: "a file is there already, where a folder is needed. Choose another path.",
    errno.ENOTDIR: "a part of this path is a file, not a folder. Choose another path.",
    errno.EISDIR: "this is a folder, where a file is needed.",
    errno.ENOENT: "there is no such file or folder.",
    errno.EACCES: "permission denied. Choose another path, or change its permissions.",
    errno.EPERM: "the operation is not permitted. Choose another path.",
    errno.EROFS: "the file system is read-only. Choose another path.",
    errno.ENOSPC: "no space is left on the device. Free some space, or choose another path.",
    errno.ENAMETOOLONG: "the name is too long for this file system.",
}
_LISTEN_REMEDIES = {
    errno.EADDRINUSE: "another program listens there already. Choose another port with --port (0: "
    "any that is free), or end that program.",
    errno.EACCES: "ports below 1024 are for root only. Choose a higher one with --port.",
    errno.EADDRNOTAVAIL: "this machine has no such address. --host takes 127.0.0.1, 0.0.0.0 or one "
    "of its own.",
}
