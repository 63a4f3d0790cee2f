"""What checks find in a config: faults, which stop a run, and warnings, which do not."""

import math
from collections.abc import Iterable
from typing import NamedTuple


class Finding(NamedTuple):
    """One thing that is wrong, in the words of the person who wrote the config.

    Attributes:
        where: dotted path of the field, or file and line.
        problem: the value found and what is allowed instead.
        fix: what to write; may be empty where the problem says it.
    """

    where: str
    problem: str
    fix: str = ""

    def __str__(self):
        text = f"{self.where} {self.problem}."
        return f"{text} {self.fix}{'' if self.fix.endswith('?') else '.'}" if self.fix else text


class Findings(NamedTuple):
    """All findings of one look at a config."""

    faults: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()

    def and_also(self, other: "Findings") -> "Findings":
        """These findings, then the other ones; what both have stands once."""
        faults = dict.fromkeys(self.faults + other.faults)
        warnings = dict.fromkeys(self.warnings + other.warnings)
        return Findings(tuple(faults), tuple(warnings))


def faults(found: Iterable[Finding]) -> Findings:
    """Findings that all stop the run."""
    return Findings(faults=tuple(found))


def warnings(found: Iterable[Finding]) -> Findings:
    """Findings that are only told."""
    return Findings(warnings=tuple(found))


class Look:
    """A message and its dotted path: the usual questions about single fields.

    Each method yields a `Finding` per field that fails it.
    """

    def __init__(self, message, path):
        self.message = message
        self.path = path

    def at(self, name):
        """Dotted path of a field of this message."""
        return f"{self.path}.{name}"

    def child(self, name):
        """The look at a sub-message."""
        return Look(getattr(self.message, name), self.at(name))

    def within(self, low, high, *names, fix=""):
        """Fields whose value must lie in [low, high]; NaN lies nowhere."""
        for name in names:
            value = getattr(self.message, name)
            if not low <= value <= high:
                problem = f"is {number(value)}; allowed: {number(low)} to {number(high)}"
                yield Finding(self.at(name), problem, fix)

    def at_least(self, low, *names, fix=""):
        """Fields whose value must be finite and no smaller than `low`."""
        for name in names:
            value = getattr(self.message, name)
            if not (value >= low and math.isfinite(value)):
                yield Finding(self.at(name), f"is {number(value)}; at least {number(low)}", fix)

    def above(self, low, *names, fix=""):
        """Fields whose value must be finite and larger than `low`."""
        for name in names:
            value = getattr(self.message, name)
            if not (value > low and math.isfinite(value)):
                yield Finding(self.at(name), f"is {number(value)}; above {number(low)}", fix)


def number(value):
    """A number as one would write it in a config: no float32 tails."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def listed(items, most=8):
    """'a, b, c' with what is beyond `most` counted."""
    items = [str(item) for item in items]
    rest = len(items) - most
    return ", ".join(items[:most]) + (f" and {rest} more" if rest > 0 else "")
