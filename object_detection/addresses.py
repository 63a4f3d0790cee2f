"""URLs (gs://bucket/run): which flag or field accepts which scheme.

All other flags and fields take paths of this machine. A URL there is an error: as a path it would
become a local folder named `gs:`.
"""

import re

from object_detection.errors import AddressError

# Flag or config field -> accepted schemes; ANY: all that its library opens.
ANY = ("*",)
SCHEMES = {
    "--dispatcher": ("grpc",),  # the first server of the data service
    "data_service": ("grpc",),  # a field of input readers
    "--video": ANY,  # OpenCV opens streams: rtsp://, http://
    "--worker_paths": ANY,  # FOLDER_HERE=gs://bucket/folder: Apache Beam's file systems
}
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")  # one letter is a drive of Windows


def scheme_in(text: object) -> str | None:
    """Return the scheme of an address in lower case, or None for a path."""
    match = _ADDRESS.search(str(text))
    return match[1].lower() if match else None


def problem_with(value: object, name: str) -> str | None:
    """Return the problem with the scheme of a value, without its name; None if there is none.

    Args:
        value: of a flag or field, or a path given in Python.
        name: a key of `SCHEMES`, or any other name, which accepts no scheme.
    """
    scheme = scheme_in(value)
    accepted = SCHEMES.get(name, ())
    if scheme is None or accepted == ANY or scheme in accepted:
        return None
    if accepted:
        return f"is {str(value)!r}: it accepts {' and '.join(f'{s}://' for s in accepted)} only"
    if scheme == "file":
        plain = re.sub(r"^file://(localhost(?=/))?", "", str(value), flags=re.IGNORECASE)
        return f"is {str(value)!r}: write the path itself, {plain!r}"
    return (
        f"is {str(value)!r}: {scheme}:// is not supported here. Use a path of this machine, for "
        "example of a copy or of a mounted bucket"
    )


def refuse(value: object, name: str) -> None:
    """Raise `AddressError` if a value is an address with a scheme that `name` does not accept."""
    problem = problem_with(value, name)
    if problem:
        raise AddressError(f"{name} {problem}.")
