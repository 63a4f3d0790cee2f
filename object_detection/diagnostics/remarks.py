"""What an examination says, and how versions are compared; Python's own library alone."""

import re
from typing import NamedTuple

OK, NOTE, FAULT = "ok", "note", "FAULT"


class Remark(NamedTuple):
    """One thing that was looked at."""

    level: str  # OK; NOTE: works, and could be better; FAULT: something will not work
    what: str
    cure: str = ""  # what to do, or why it matters


def ok(what):
    """A remark on what is as it should be."""
    return Remark(OK, what)


def note(what, cure):
    """A remark on what works and could be better."""
    return Remark(NOTE, what, cure)


def fault(what, cure):
    """A remark on what will not work."""
    return Remark(FAULT, what, cure)


def numbers(version):
    """The release of a version as numbers: "2.21.0rc1" is (2, 21, 0)."""
    release = re.match(r"\d+(\.\d+)*", version or "")
    return tuple(int(part) for part in release[0].split(".")) if release else ()


def satisfies(version, bounds):
    """Whether a version lies within bounds such as ">=6.31,<8".

    Of pre-releases and local parts only the release counts.
    """
    found = numbers(version)
    for bound in filter(None, bounds.replace(" ", "").split(",")):
        operator, wanted = re.fullmatch(r"(>=|<=|==|!=|~=|>|<)(.+?)(?:\.\*)?", bound).groups()
        if not _holds(found, operator, numbers(wanted)):
            return False
    return True


def _holds(found, operator, wanted):
    length = max(len(found), len(wanted))
    padded = found + (0,) * (length - len(found))
    bound = wanted + (0,) * (length - len(wanted))
    return {
        ">=": padded >= bound,
        ">": padded > bound,
        "<=": padded <= bound,
        "<": padded < bound,
        "==": found[: len(wanted)] == wanted,
        "!=": found[: len(wanted)] != wanted,
        "~=": padded >= bound and found[: len(wanted) - 1] == wanted[:-1],
    }[operator]
