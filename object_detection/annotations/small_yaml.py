"""As much of YAML as the data files of YOLO tools use, without a library for it.

At the top level `key: value`; a value is a scalar, a list or a map of scalars, on one line or
below, in either of YAML's notations. Scalars stay text ("no" and "1" are good names of classes).
Text blocks (`|`, `>`), and what is nested deeper, are passed over: they are None.
"""

import re

from object_detection.annotations.record import AnnotationError

_KEY = re.compile(r"""("[^"]*"|'[^']*'|[^\s:#\[{'"-][^:#]*?|-?\d+)\s*:(?:\s+(.*)|$)""")
_CLOSING = {"[": "]", "{": "}"}
_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\", "/": "/"}


def parse(text, source):
    """The top-level entries of a YAML file.

    Args:
        text: its content.
        source: its name, for errors.

    Returns:
        key -> text, None, a list of text or None, or a dict text -> text or None.

    Raises:
        AnnotationError: a line that cannot be read, with its number.
    """
    lines = _lines(text)
    content, place = {}, 0
    while place < len(lines):
        number, indent, line = lines[place]
        found = _KEY.fullmatch(line)
        if indent or not found:
            raise AnnotationError(
                f"{source}, line {number}: {line!r} is not 'key: value'. If the file is in order, "
                "give the names of the classes in a file of one a line instead"
            )
        key, value = _scalar(found[1]), (found[2] or "").strip()
        place += 1
        if value[:1] in _CLOSING:
            while _is_open(value) and place < len(lines):
                value, place = f"{value} {lines[place][2]}", place + 1
            content[key] = _flow(value, f"{source}, line {number}")
            continue
        block = []
        while place < len(lines) and (lines[place][1] or lines[place][2].startswith("-")):
            block.append(lines[place])
            place += 1
        content[key] = _scalar(value) if value and value[0] not in "|>&*!" else _block(block)
    return content


def _lines(text):
    """(number, indent, content) of the lines that hold something, without comments."""
    lines = []
    for number, line in enumerate(text.splitlines(), 1):
        bare = _without_comment(line).rstrip()
        if bare.strip() and bare.strip() not in ("---", "...") and not bare.startswith("%"):
            lines.append((number, len(bare) - len(bare.lstrip()), bare.strip()))
    return lines


def _without_comment(line):
    quote = ""
    for place, letter in enumerate(line):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'" and _opens(line[:place], letter):
            quote = letter
        elif letter == "#" and (place == 0 or line[place - 1] in " \t"):
            return line[:place]
    return line


def _opens(before, quote):
    """Whether a quote begins after this text: as a value does, or doubled inside one."""
    bare = before.rstrip()
    return not bare or bare[-1] in "[{,:-" or before.endswith(quote)


def _scalar(text):
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    if len(text) > 1 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[0]), text[1:-1])
    return None if text in ("", "~", "null", "Null", "NULL") else text


def _block(block):
    """A list or a map of scalars in lines below its key; None for anything else."""
    if not block or any(indent != block[0][1] for _, indent, _ in block):
        return None
    contents = [line for _, _, line in block]
    if all(line == "-" or line.startswith("- ") for line in contents):
        return [_scalar(line[1:]) for line in contents]
    entries = [_KEY.fullmatch(line) for line in contents]
    if not all(entries):
        return None
    return {_scalar(entry[1]): _scalar(entry[2] or "") for entry in entries}


def _is_open(value):
    return not _without_quoted(value).rstrip().endswith(_CLOSING[value[0]])


def _without_quoted(value):
    return re.sub(r""""(?:\\.|[^"\\])*"|'[^']*'""", "", value)


def _flow(value, where):
    """A list or a map on one line: [a, 'b'] or {0: a, 1: b}."""
    value = value.strip()
    if _is_open(value):
        raise AnnotationError(f"{where}: {value[:40]!r} has no end")
    parts = [part for part in _split(value[1:-1]) if part.strip()]
    if value[0] == "[":
        return [_scalar(part) for part in parts]
    pairs = [part.partition(":") for part in parts]
    return {_scalar(key): _scalar(rest) for key, _, rest in pairs}


def _split(text):
    """Parts between commas, of which those in quotes do not count."""
    parts, quote = [""], ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'" and _opens(parts[-1], letter):
            quote = letter
        if letter == "," and not quote:
            parts.append("")
        else:
            parts[-1] += letter
    return parts
