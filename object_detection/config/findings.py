"""Findings of the checks of a config: faults, which stop a run, and warnings, which do not."""

import math
from collections.abc import Iterable
from typing import NamedTuple


class Finding(NamedTuple):
    """One mistake, in the words of the config.

    Attributes:
        where: dotted path of the field, or file and line.
        problem: the value found and what is allowed instead.
        fix: what to write; empty if the problem says it.
    """

    where: str
    problem: str
    fix: str = ""

    def __str__(self):
        text = f"{self.where} {self.problem}."
        return f"{text} {self.fix}{'' if self.fix.endswith('?') else '.'}" if self.fix else text


class Findings(NamedTuple):
    """All findings of one check."""

    faults: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()

    def merge(self, other: "Findings") -> "Findings":
        """Return these findings, then the other ones, each once."""
        faults = dict.fromkeys(self.faults + other.faults)
        warnings = dict.fromkeys(self.warnings + other.warnings)
        return Findings(tuple(faults), tuple(warnings))


def faults(findings: Iterable[Finding]) -> Findings:
    """Return findings that all stop the run."""
    return Findings(faults=tuple(findings))


def warnings(findings: Iterable[Finding]) -> Findings:
    """Return findings that are only logged."""
    return Findings(warnings=tuple(findings))


class Section:
    """A message of a config with its dotted path, and the usual checks of single fields.

    Each method yields a `Finding` per field that fails it.
    """

    def __init__(self, message, path):
        self.message = message
        self.path = path

    def at(self, name):
        """Return the dotted path of a field of this message."""
        return f"{self.path}.{name}"

    def child(self, name):
        """Return the section of a sub-message."""
        return Section(getattr(self.message, name), self.at(name))

    def within(self, low, high, *names, fix=""):
        """Check that fields are in [low, high]; NaN is not."""
        for name in names:
            value = getattr(self.message, name)
            if not low <= value <= high:
                problem = f"is {number(value)}; allowed: {number(low)} to {number(high)}"
                yield Finding(self.at(name), problem, fix)

    def at_least(self, low, *names, fix=""):
        """Check that fields are finite and at least `low`."""
        for name in names:
            value = getattr(self.message, name)
            if not (value >= low and math.isfinite(value)):
                yield Finding(self.at(name), f"is {number(value)}; at least {number(low)}", fix)

    def above(self, low, *names, fix=""):
        """Check that fields are finite and larger than `low`."""
        for name in names:
            value = getattr(self.message, name)
            if not (value > low and math.isfinite(value)):
                yield Finding(self.at(name), f"is {number(value)}; above {number(low)}", fix)


def number(value):
    """Format a number as in a config, without float32 tails."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def listed(items, most=8):
    """Return 'a, b, c', with the number of items beyond `most`."""
    items = [str(item) for item in items]
    rest = len(items) - most
    return ", ".join(items[:most]) + (f" and {rest} more" if rest > 0 else "")
