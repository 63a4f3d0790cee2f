"""As much of YAML as the data files of YOLO tools use, without a library for it.

At the top level `key: value`; a value is a scalar, a list or a map of scalars, on one line or
below, in either of YAML's notations. Scalars stay text ("no" and "1" are good names of classes).
Text blocks (`|`, `>`), and what is nested deeper, are passed over: they are None.
"""

import re

from object_detection.annotations.record import AnnotationError

_KEY = re.compile(r"""("[^"]*"|'[^']*'|[^\s:#\[{'"-][^:#]*?|-?\d+)\s*:(?:\s+(.*)|$)""")
_CLOSING = {"[": "]", "{": "}"}
_TEXT_BLOCK = re.compile(r".*:\s*[|>][-+0-9]*")
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))")
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "_": "\u00a0", "e": "\x1b"}


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
            content[key] = _flow(value, f"{source}, line {number}")
            continue
        block = []
        while place < len(lines) and (lines[place][1] or lines[place][2].startswith("-")):
            block.append(lines[place])
            place += 1
        content[key] = _scalar(value) if value and value[0] not in "|>&*!" else _block(block)
    return content


def _lines(text):
    """(number, indent, content) of the lines that hold something.

    Without comments; what goes on over several lines (in quotes or brackets) is one; text blocks
    are left out.
    """
    raw, place, lines = text.splitlines(), 0, []
    while place < len(raw):
        number, quote = place + 1, ""
        line, quote = _extended("", raw[place], quote)
        place += 1
        while place < len(raw) and (quote or _is_open(line)):
            escaped = quote == '"' and line.endswith("\\")
            line = line[:-1] if escaped else f"{line.rstrip()} "
            line, quote = _extended(line, raw[place].lstrip(), quote)
            place += 1
        bare = line.strip()
        if not bare or bare in ("---", "...") or bare.startswith("%"):
            continue
        indent = len(line) - len(line.lstrip())
        lines.append((number, indent, bare))
        if _TEXT_BLOCK.fullmatch(bare):
            while place < len(raw) and (
                not raw[place].strip() or raw[place][indent : indent + 1].isspace()
            ):
                place += 1
    return lines


def _extended(text, line, quote):
    """The text with a further line, up to its comment, and the quote that is open then."""
    place = 0
    while place < len(line):
        letter = line[place]
        if quote == '"' and letter == "\\":
            text += line[place : place + 2]
            place += 2
            continue
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'" and _opens(text, letter):
            quote = letter
        elif letter == "#" and (not text or text[-1].isspace()):
            break
        text += letter
        place += 1
    return text, quote


def _opens(before, quote):
    """Whether a quote begins after this text: as a value does, or doubled inside one."""
    bare = before.rstrip()
    return not bare or bare[-1] in "[{,:-" or (quote == "'" and before.endswith(quote))


def _is_open(line):
    """Whether a line begins a list or a map in brackets and does not end it."""
    found = _KEY.fullmatch(line.strip())
    value = (found[2] or "") if found else ""
    if value[:1] not in _CLOSING:
        return False
    return not _without_quoted(value).rstrip().endswith(_CLOSING[value[0]])


def _without_quoted(value):
    return re.sub(r""""(?:\\.|[^"\\])*"|'[^']*'""", "", value)


def _scalar(text):
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    if len(text) > 1 and text[0] == text[-1] == '"':
        return _ESCAPE.sub(_unescaped, text[1:-1])
    return None if text in ("", "~", "null", "Null", "NULL") else text


def _unescaped(found):
    *codes, letter = found.groups()
    code = next(filter(None, codes), None)
    return chr(int(code, 16)) if code else _LETTERS.get(letter, letter)


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


def _flow(value, where):
    """A list or a map on one line: [a, 'b'] or {0: a, 1: b}."""
    value = value.strip()
    if _without_quoted(value)[-1] != _CLOSING[value[0]]:
        raise AnnotationError(f"{where}: {value[:40]!r} has no end")
    parts = [part for part in _split(value[1:-1]) if part.strip()]
    if value[0] == "[":
        return [_scalar(part) for part in parts]
    pairs = [_KEY.fullmatch(part.strip()) for part in parts]
    if not all(pairs):
        raise AnnotationError(f"{where}: {value[:40]!r} is not a map of 'key: value'")
    return {_scalar(pair[1]): _scalar(pair[2] or "") for pair in pairs}


def _split(text):
    """Parts between commas, of which those in quotes do not count."""
    parts, rest, quote = [], "", ""
    for piece in re.split(r"(,)", text):
        if piece == "," and not quote:
            parts.append(rest)
            rest = ""
        else:
            rest, quote = _extended(rest, piece, quote)
    return [*parts, rest]
