"""Remarks of the checks, and comparison of versions; with Python's standard library only."""

import re
from typing import NamedTuple

OK, NOTE, FAULT = "ok", "note", "FAULT"


class Remark(NamedTuple):
    """Result of one check."""

    level: str  # OK; NOTE: works, but can be improved; FAULT: something will not work
    what: str
    cure: str = ""  # what to do, or the reason


def ok(what):
    """Return a remark on something that works."""
    return Remark(OK, what)


def note(what, cure):
    """Return a remark on something that works but can be improved."""
    return Remark(NOTE, what, cure)


def fault(what, cure):
    """Return a remark on something that will not work."""
    return Remark(FAULT, what, cure)


def numbers(version):
    """Return the release of a version as numbers: "2.21.0rc1" is (2, 21, 0)."""
    release = re.match(r"\d+(\.\d+)*", version or "")
    return tuple(int(part) for part in release[0].split(".")) if release else ()


def satisfies(version, bounds):
    """Return whether a version is within bounds such as ">=6.31,<8".

    Pre-releases and local versions are compared by their release only.
    """
    release = numbers(version)
    for bound in filter(None, bounds.replace(" ", "").split(",")):
        operator, bound_version = re.fullmatch(
            r"(>=|<=|==|!=|~=|>|<)(.+?)(?:\.\*)?", bound
        ).groups()
        if not _holds(release, operator, numbers(bound_version)):
            return False
    return True


def _holds(release, operator, other):
    length = max(len(release), len(other))
    padded = release + (0,) * (length - len(release))
    bound = other + (0,) * (length - len(other))
    return {
        ">=": padded >= bound,
        ">": padded > bound,
        "<=": padded <= bound,
        "<": padded < bound,
        "==": release[: len(other)] == other,
        "!=": release[: len(other)] != other,
        "~=": padded >= bound and release[: len(other) - 1] == other[:-1],
    }[operator]
