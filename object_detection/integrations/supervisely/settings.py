"""Supervisely's JSON configs: read, defaults merged in, and then checked key by key.

What is allowed is a tree of `Key`s under the names of the JSON. A key is named by its dotted path,
"batch_size.train".
"""

import difflib
import json
import math
import re
from typing import NamedTuple

from object_detection.errors import SettingsError
from object_detection.integrations import json_settings

REQUIRED = object()  # in place of a default
ALL = "__all__"
SIDE = "side"  # a kind: "10%" or "40px"
NAMES = "names"  # a kind: "__all__" or a list of texts
INTS = "ints"  # a kind: a list of whole numbers


class Key(NamedTuple):
    """What a key may hold."""

    kind: type | str  # str, bool, int, float, SIDE, NAMES or INTS
    default: object = REQUIRED  # None: the key may be left out
    least: float = -math.inf
    most: float = math.inf
    above: float = -math.inf
    one_of: tuple = ()


class Settings(NamedTuple):
    """A config as read."""

    path: str
    values: dict  # nested as the JSON is, every key there

    def fault(self, key, problem):
        """A `SettingsError` about one key."""
        return SettingsError(f"{self.path}: {key} {problem}")


def load(path):
    """The content of a JSON file, which has to be an object.

    Raises:
        SettingsError: it cannot be read, is no JSON, holds a key twice, or something else.
    """

    def object_of(content):
        if isinstance(content, list) and not isinstance(content, json_settings.Pairs):
            return [object_of(one) for one in content]
        if not isinstance(content, json_settings.Pairs):
            return content
        keys = [key for key, _ in content]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise SettingsError(f"{path}: {twice} stands there twice; keep one")
        return {key: object_of(value) for key, value in content}

    return object_of(json_settings.read(path)[1])


def checked(content, keys, path):
    """A config with the defaults of `keys` merged in, as `Settings`.

    Args:
        content: what `load` gave.
        keys: name -> `Key`, or such a dict again.
        path: of the file, for messages.

    Raises:
        SettingsError: an unknown or a missing key, or a value that is not allowed.
    """
    return Settings(str(path), _merged(content, keys, str(path), ""))


def _merged(content, keys, path, prefix):
    for name in content:
        if name not in keys:
            close = difflib.get_close_matches(name, keys, n=1)
            hint = f"did you mean {prefix}{close[0]}? " if close else ""
            raise SettingsError(f"{path}: {prefix}{name} is not known; {hint}{_allowed(keys)}")
    values = {}
    for name, row in keys.items():
        place = prefix + name
        if isinstance(row, dict):
            part = content.get(name, {})
            if not isinstance(part, dict):
                found = json.dumps(part)
                raise SettingsError(
                    f"{path}: {place} is {found}; it has to be an object; {_allowed(row)}"
                )
            values[name] = _merged(part, row, path, f"{place}.")
        elif name in content:
            values[name] = _value(content[name], row, f"{path}: {place}")
        elif row.default is REQUIRED:
            raise SettingsError(f"{path}: {place} is missing; it has to be {described(row)}")
        else:
            values[name] = row.default
    return values


def _allowed(keys):
    return f"allowed are {', '.join(keys)}"


def _value(value, row, place):
    if row.kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if row.kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if not _fits(value, row):
        raise SettingsError(f"{place} is {json.dumps(value)}; it has to be {described(row)}")
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
        finite = math.isfinite(value)
        return finite and row.least <= value <= row.most and value > row.above
    return row.kind is not str or bool(value) or row.default == ""


def _is_list(value, kind):
    return isinstance(value, list) and all(type(each) is kind for each in value)


def described(row):
    """What a key may hold, in words."""
    if row.one_of:
        return f"one of {', '.join(json.dumps(each) for each in row.one_of)}"
    words = {
        str: "a text",
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        SIDE: 'a text such as "10%" or "40px", not negative',
        NAMES: f'"{ALL}" or a list of names',
        INTS: "a list of whole numbers from 0 up, such as [0]",
    }[row.kind]
    limits = [
        f"{word} {limit:g}"
        for word, limit in (("above", row.above), ("at least", row.least), ("at most", row.most))
        if math.isfinite(limit)
    ]
    return words + (f" ({', '.join(limits)})" if limits else "")
