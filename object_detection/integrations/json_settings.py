"""JSON settings files of other systems: read, checked against a table of keys, defaults added.

A key is named by its dotted path, "batch_size.train", in tables and in messages.
"""

import difflib
import json
import math
import re
from pathlib import Path
from typing import Any, NamedTuple

from object_detection.errors import SettingsError

REQUIRED = object()  # in place of a default
ALL = "__all__"
SIDE = "side"  # a kind: "10%" or "40px"
NAMES = "names"  # a kind: "__all__" or a list of strings
INTS = "ints"  # a kind: a list of whole numbers
_KINDS = {
    str: "a string",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    SIDE: 'a string such as "10%" or "40px", not negative',
    NAMES: f'"{ALL}" or a list of names',
    INTS: "a list of whole numbers >= 0, such as [0]",
}


class Key(NamedTuple):
    """Allowed values of a key.

    A string may be empty only if its default is "" or if the key has no effect.
    """

    kind: type | str  # str, bool, int, float, SIDE, NAMES or INTS
    default: Any = None  # None: the key may be left out
    without_effect: str = ""  # why the key has no effect; "": it has one
    least: float = -math.inf
    most: float = math.inf
    above: float = -math.inf
    one_of: tuple = ()


class _Pairs(list):
    """JSON object as (key, value) pairs, which keep duplicate keys."""


class JsonFile:
    """Content of a JSON file, with the positions of its keys for messages.

    Args:
        path: of the file.

    Attributes:
        path: of the file.
        content: the object in the file.

    Raises:
        SettingsError: the file cannot be read, is not JSON, is not an object or has a duplicate
            key.
    """

    def __init__(self, path: str | Path):
        self.path = str(path)
        try:
            self._text = Path(path).read_bytes().decode("utf-8-sig")
        except OSError as error:
            raise SettingsError(f"{path} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise SettingsError(f"{path} is not UTF-8 text") from None
        try:
            content = json.loads(self._text, object_pairs_hook=_Pairs)
            self.content = self._object(content)
        except json.JSONDecodeError as error:
            raise SettingsError(
                f"{path} line {error.lineno}, column {error.colno}: invalid JSON: {error.msg}"
            ) from None
        except RecursionError:
            raise SettingsError(f"{path}: the JSON is nested too deeply") from None
        if not isinstance(self.content, dict):
            raise SettingsError(f"{path}: the JSON must be an object of keys: {{...}}")

    def error(self, key: str, problem: str) -> SettingsError:
        """Return the error for a key, with its file and line."""
        return SettingsError(f"{self.location(key)} {problem}")

    def location(self, key: str) -> str:
        """Return the file, the line if it is unambiguous, and the key, for messages."""
        last = key.rpartition(".")[2]
        names = "|".join(re.escape(json.dumps(name)) for name in {key, last})
        matches = [match.start() for match in re.finditer(rf"(?:{names})\s*:", self._text)]
        line = f" line {self._text.count(chr(10), 0, matches[0]) + 1}" if len(matches) == 1 else ""
        return f"{self.path}{line}: {key}"

    def _object(self, value, prefix=""):
        if not isinstance(value, _Pairs):
            items = value if isinstance(value, list) else ()
            return [self._object(item, prefix) for item in items] if items else value
        values = {}
        for key, item in value:
            if key in values:
                raise SettingsError(f"{self.path}: duplicate key {prefix}{key}; keep one")
            values[key] = self._object(item, f"{prefix}{key}.")
        return values


class Settings(NamedTuple):
    """Checked settings of a file."""

    file: JsonFile
    values: dict[str, Any]  # dotted key -> value or default
    present: frozenset[str]  # keys in the file
    notes: list[str]  # one sentence for each key in the file without effect

    @property
    def path(self) -> str:
        """Path of the file."""
        return self.file.path

    def error(self, key: str, problem: str) -> SettingsError:
        """Return the error for a key whose value cannot be used."""
        return self.file.error(key, problem)

    def nested(self) -> dict[str, Any]:
        """Return the values as nested as in the file."""
        tree: dict[str, Any] = {}
        for key, value in self.values.items():
            *groups, name = key.split(".")
            branch = tree
            for group in groups:
                branch = branch.setdefault(group, {})
            branch[name] = value
        return tree


def check(file: JsonFile, keys: dict[str, Key], *, quoted_numbers: bool = False) -> Settings:
    """Check a file against a table of keys and add the defaults.

    Args:
        file: to check; its keys are nested or dotted.
        keys: allowed keys by dotted path.
        quoted_numbers: accept numbers in quotes.

    Raises:
        SettingsError: an unknown, missing or duplicate key, or a value that is not allowed.
    """
    values: dict[str, Any] = {}
    for key, value in _flatten(file, file.content, keys):
        if key in values:
            raise file.error(key, "is a duplicate key; keep one")
        values[key] = _check_value(file, key, value, keys[key], quoted_numbers)
    for key, row in keys.items():
        if row.default is REQUIRED and key not in values:
            raise file.error(key, f"is missing; it must be {describe(row)}")
    complete = {key: values.get(key, row.default) for key, row in keys.items()}
    notes = [
        f"{file.location(key)} has no effect: {keys[key].without_effect}"
        for key in values
        if keys[key].without_effect
    ]
    return Settings(file, complete, frozenset(values), notes)


def describe(row: Key) -> str:
    """Return the allowed values of a key in words."""
    if row.one_of:
        return f"one of {', '.join(json.dumps(each) for each in row.one_of)}"
    limits = [
        f"{word} {limit:g}"
        for word, limit in (("above", row.above), ("at least", row.least), ("at most", row.most))
        if math.isfinite(limit)
    ]
    return _KINDS[row.kind] + (f" ({', '.join(limits)})" if limits else "")


def _flatten(file, content, keys, prefix=""):
    """Yield (dotted key, value) of all keys; raise for those that are not in the table."""
    for name, value in content.items():
        key = prefix + name
        members = [known for known in keys if known.startswith(f"{key}.")]
        if members and isinstance(value, dict):
            yield from _flatten(file, value, keys, f"{key}.")
        elif members:
            raise file.error(
                key, f"is {json.dumps(value)}; it must be an object with {', '.join(members)}"
            )
        elif key not in keys:
            raise file.error(key, _unknown(key, keys, prefix))
        else:
            yield key, value


def _unknown(key, keys, prefix):
    close = difflib.get_close_matches(key, keys, n=1) or [
        name for name in keys if name.rpartition(".")[2] == key.rpartition(".")[2]
    ]
    if close:
        return f"is not a known key; did you mean {close[0]}?"
    allowed = dict.fromkeys(
        prefix + name.removeprefix(prefix).partition(".")[0]
        for name in keys
        if name.startswith(prefix)
    )
    return f"is not a known key; allowed: {', '.join(allowed)}"


def _check_value(file, key, value, row, quoted_numbers):
    """Return a value in its type; raise if it is not allowed."""
    original = value
    if quoted_numbers and row.kind in (int, float) and isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            pass
    if row.kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if row.kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if value == "" and row.kind is str and row.default != "" and not row.without_effect:
        default = "" if row.default in (REQUIRED, None) else f", or omit it for {row.default!r}"
        raise file.error(key, f"is empty; fill it in{default}")
    if not _fits(value, row):
        raise file.error(key, f"is {json.dumps(original)}; it must be {describe(row)}")
    return value


def _fits(value, row):
    if row.kind == SIDE:
        return isinstance(value, str) and re.fullmatch(r"[0-9]+(%|px)", value) is not None
    if row.kind == NAMES:
        return value == ALL or _is_list(value, str)
    if row.kind == INTS:
        return _is_list(value, int) and bool(value) and all(each >= 0 for each in value)
    if type(value) is not row.kind:
        return False
    if row.one_of:
        return value in row.one_of
    if row.kind in (int, float):
        return math.isfinite(value) and row.least <= value <= row.most and value > row.above
    return True


def _is_list(value, kind):
    return isinstance(value, list) and all(type(each) is kind for each in value)
