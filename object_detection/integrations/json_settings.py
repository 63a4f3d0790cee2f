"""The JSON files that other systems' users have: read, or refused in one sentence."""

import json
from pathlib import Path

from object_detection.errors import SettingsError


class Pairs(list):
    """A JSON object: its keys and values in order, also such as stand there twice."""


def read(path):
    """The text of a JSON file and what it holds, all objects in it as `Pairs`.

    Raises:
        SettingsError: it cannot be read, is no JSON, or holds something else than an object.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is no text in UTF-8") from None
    try:
        content = json.loads(text, object_pairs_hook=Pairs)
    except json.JSONDecodeError as error:
        raise SettingsError(
            f"{path} line {error.lineno}, column {error.colno}: this is no JSON: {error.msg}"
        ) from None
    except RecursionError:
        raise SettingsError(f"{path}: it is nested too deeply") from None
    if not isinstance(content, Pairs):
        raise SettingsError(f"{path}: it holds no object of keys: {{...}}")
    return text, content
