"""The base of all errors that a user can repair, and the sentences that several of them share."""

import errno
import os


class ObjectDetectionError(Exception):
    """Base class of what a user can repair: a command prints it without a traceback."""


class MissingExtra(ObjectDetectionError, ImportError, ValueError):
    """A package of an optional extra is not installed; the message says how to install it."""


class ListenError(ObjectDetectionError, OSError):
    """A server cannot have its address, for example because its port is taken."""


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


def missing_extra(needs: str, extra: str, error: ImportError) -> MissingExtra:
    """Return the error for a package of an extra that cannot be imported.

    Args:
        needs: what needs which package, for example "the server needs orjson".
        extra: a name of `extras_require` in setup.py.
        error: of the import.
    """
    return MissingExtra(
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
