"""Reads text-format protos, with errors that say how to repair a mistake.

It has no schema of its own: it reads the descriptor of the message. An error names the file, line
and column, shows the line with a caret below, and suggests what was probably meant.
"""

import difflib
import re

from google.protobuf import text_format

from object_detection.utils import text_outline
from object_detection.utils.messages import shorten

# Old name of a field -> its name now.
RENAMED_FIELDS = {"neutral_class": "ignore_class"}
_LONGEST_NAME = 100  # characters of a name that is compared with those that exist
_UNKNOWN_FIELD = re.compile(r'Message type "([\w.]+)" has no field named "(\w+)"')
_UNKNOWN_ENUM = re.compile(r'Enum type "([\w.]+)" has no value (?:named|with number) (\w+)')
_EXTENSION = re.compile(r"\[\s*([\w./-]+)")
_TEXT = re.compile(r"""(["'])(?:\\.|(?!\1)[^\\])*(\1?)""")  # between quotes, or to the line's end
# What may follow a text: nothing, a sign, another text, a field.
_AFTER_TEXT = re.compile(
    r"""\s*(?:$|[,;}>\]\#]|"[^"]*"|'[^']*'|[A-Za-z_]\w*\s*[:{<]|\[\w)""", re.VERBOSE
)
_WINDOWS_PATH = re.compile(r"""(?<!["'\w])[A-Za-z]:[\\/]""")
_SCHEMA_TEXT = re.compile(
    r"^\s*(syntax\s*=|message\s+\w+\s*\{|(optional|repeated)\s+\w+\s+\w+\s*=)"
)


class TextProtoError(ValueError):
    """A text that does not fit its message; the text of the error is shown unchanged."""


def merge(text, message, source):
    """Merges `text` into `message`: lists grow, single values and oneofs are replaced.

    Args:
        text: text format of the type of `message`.
        message: changed in place.
        source: name of the file, or of whatever the text came from, for the error.

    Raises:
        TextProtoError: the text does not fit the message.
    """
    try:
        text_format.Merge(text, message)
    except text_format.ParseError as error:
        raise TextProtoError(_explain(error, text, message.DESCRIPTOR, source)) from None
    except RecursionError:
        raise TextProtoError(
            f"{source}: blocks are nested too deeply to be read. Probably closing }} are missing."
        ) from None


def repeated_setting(text, message_type):
    """The complaint about a single value that `text` sets twice, or None; the last one counts."""
    try:
        text_format.Parse(text, message_type())
    except text_format.ParseError as error:
        line = error.GetLine()
        matched = re.search(
            r'should not have multiple "(\w+)" fields|Field "(\w+)" is spec', str(error)
        )
        if matched and line:
            name = matched[1] or matched[2]
            return f"line {line}: {name} is set more than once; the last one counts"
    return None


def nearest(name, names):
    """The name of `names` that `name` was probably meant to be, or None."""
    if len(name) > _LONGEST_NAME:
        return None
    by_lower = {known.lower(): known for known in names}
    matched = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[matched[0]] if matched else None


def unknown_field(descriptor, name):
    """A sentence on a field that a message lacks: what was probably meant, or what there is."""
    names = [field.name for field in descriptor.fields]
    if RENAMED_FIELDS.get(name) in names:
        return f"{name} was renamed to {RENAMED_FIELDS[name]} (in {descriptor.name})."
    start = f'{descriptor.name} has no field "{shorten(name)}"'
    close = nearest(name, names)
    if close:
        return f'{start}; did you mean "{close}"?'
    if not names:
        return f"{start}; it has no fields at all."
    return f"{start}; it has: {', '.join(sorted(names))}."


def unknown_enum(enum_descriptor, value):
    """A sentence on a value that an enum lacks, with all that it has."""
    names = [known.name for known in enum_descriptor.values]
    close = nearest(value, names)
    hint = f'; did you mean "{close}"?' if close else "."
    value = shorten(value)
    return f"{value} is not a value of {enum_descriptor.name}; allowed: {', '.join(names)}{hint}"


def _explain(error, text, root, source):
    line, column = error.GetLine() or 1, error.GetColumn() or 1
    outline = text_outline.Outline(text)
    reason = _reason(error, text, root, outline, (line, column))
    shown = outline.line(line).rstrip("\r")
    if len(shown) > 160:
        start = max(0, column - 80)
        shown, column = shown[start : start + 160], column - start
    caret = "".join("\t" if char == "\t" else " " for char in shown[: column - 1]) + "^"
    shown = "".join(char if char.isprintable() or char == "\t" else "\ufffd" for char in shown)
    return f"{source}:{line}:{error.GetColumn() or 1}: {reason}\n  {shown}\n  {caret}"


def _reason(error, text, root, outline, position):
    foreign = _foreign_text(text)
    if foreign:
        return foreign
    complaint = str(error)
    line_text = outline.line(position[0])
    extension = "xtension" in complaint and _EXTENSION.search(line_text)
    if extension:
        return _extension(extension[1])
    quote = _quote_inside(line_text, position[1])
    if quote:
        return quote
    unknown = _UNKNOWN_FIELD.search(complaint)
    if unknown:
        return _unknown_field_here(unknown[2], root, outline, position, complaint)
    swallowed = "issing ending quote" in complaint and "\\" in line_text[position[1] - 1 :]
    if outline.open_at_end and outline.is_last_token(position) and not swallowed:
        return _cut_off(outline)
    enum = _UNKNOWN_ENUM.search(complaint)
    if enum:
        descriptor = _enum_at(root, outline, position, enum[1])
        if descriptor is not None:
            return unknown_enum(descriptor, enum[2])
    return _token_reason(complaint, line_text, position, outline)


def _extension(name):
    """What is wrong with a field of another program, written [package.name]."""
    if "lstm" in name.lower():
        return (
            f"[{shorten(name)}] belongs to LSTM-SSD (lstm_object_detection), a detector for videos "
            "that is not supported. Faster R-CNN and Mask R-CNN are: model { faster_rcnn { ... } }."
        )
    return (
        f"[{shorten(name)}] is a field that another program adds to the schema. It is not "
        "supported; remove it. Records are read by tf_record_input_reader { ... }."
    )


def _quote_inside(line, column):
    """What is wrong where a quote inside a text ends it too early; None for any other mistake.

    Two signs of it: something that begins no field touches the text's end, or follows it on a line
    on which another quote is left over.
    """
    for text in _TEXT.finditer(line):
        sign, follows = text[1], line[text.end() :]
        if text.end() >= column:
            return None
        if not text[2] or "\\" in text[0] or _AFTER_TEXT.match(follows):
            continue
        if not follows[0].isspace() or follows.count(sign) % 2:
            other = "'" if sign == '"' else '"'
            return (
                f"the {sign} in column {text.end()} ends the text {shorten(text[0], 60)}, and what "
                f"follows it cannot be read. Write a {sign} inside {sign}...{sign} as \\{sign}, or "
                f"put the text into {other}...{other}."
            )
    return None


def _foreign_text(text):
    """Says what else a whole text is when it is no text proto at all."""
    start = text.lstrip()[:200]
    if re.match(r"<(!doctype|html|\?xml)", start, re.IGNORECASE):
        return "this is a web page, not the file itself; GitHub's Raw button gives the file."
    if re.match(r"""[{\[]\s*["'{\[\]}]""", start):
        return "this is JSON; expected a text proto, written  name: value  and  name { ... }."
    first_lines = [line for line in text.split("\n")[:60] if line.strip()]
    if any(_SCHEMA_TEXT.match(line) for line in first_lines):
        return (
            "this is a .proto schema, which describes the fields of a config; a config has values, "
            "as in samples/configs/. Start from one of those."
        )
    return None


def _unknown_field_here(name, root, outline, position, complaint):
    path = outline.path_at(position)
    parents = _descriptors(root, [block.name for block in path])
    if len(parents) != len(path) + 1:  # inside something this outline cannot follow
        return _words_of_parser(complaint)
    line_text = outline.line(position[0])
    if _WINDOWS_PATH.search(line_text[max(0, position[1] - 2) :]):
        return f'"{shorten(name)}" looks like the drive of an unquoted path; {_QUOTE_PATH}'
    for depth in range(len(path) - 1, -1, -1):
        if name in parents[depth].fields_by_name and name not in parents[-1].fields_by_name:
            owner = parents[depth].name if depth else "the top level"
            return (
                f'{parents[-1].name} has no field "{name}", {owner} has: a closing }} is probably '
                f'missing above line {position[0]}, for "{path[depth].name}" of line '
                f"{path[depth].line}."
            )
    places = _places_of(name, root)
    if places:
        return f'{parents[-1].name} has no field "{name}"; it belongs in {" or ".join(places)}.'
    return unknown_field(parents[-1], name)


def _places_of(name, root, limit=3):
    """Paths from `root` of the messages that have a field of that name, nearest first."""
    places, seen, queue = [], {root.full_name}, [("", root)]
    for path, descriptor in queue:
        if path and name in descriptor.fields_by_name:
            places.append(path)
        for field in descriptor.fields:
            kind = field.message_type
            if kind is not None and kind.full_name not in seen:
                seen.add(kind.full_name)
                queue.append((f"{path}.{field.name}".lstrip("."), kind))
    return places[:limit]


def _descriptors(root, names):
    """Descriptors of `root` and of each message down the path of field names, as far as it goes."""
    matched = [root]
    for name in names:
        field = matched[-1].fields_by_name.get(name)
        if field is None or field.message_type is None:
            break
        matched.append(field.message_type)
    return matched


def _enum_at(root, outline, position, full_name):
    path = outline.path_at(position)
    parent = _descriptors(root, [block.name for block in path])[-1]
    for field in parent.fields:
        if field.enum_type is not None and field.enum_type.full_name == full_name:
            return field.enum_type
    return None


def _cut_off(outline):
    blocks = outline.open_at_end
    opened = _listed_blocks(blocks)
    suspect = outline.suspect_line()
    if suspect:
        return (
            f"the text ends before {len(blocks)} block(s) are closed: {opened}; a closing }} is "
            f"probably missing above line {suspect}."
        )
    return (
        f"the text ends before these blocks are closed: {opened}. It was cut off, or "
        f"{len(blocks)} closing }} are missing."
    )


def _listed_blocks(blocks, most=8):
    """'"model" of line 1, ...': the outermost and the innermost of many."""
    texts = [f'"{shorten(block.name, 60)}" of line {block.line}' for block in blocks[:most]]
    if len(blocks) > most:
        last = blocks[-1]
        texts[most // 2 :] = [
            f"{len(blocks) - most // 2 - 1:,} more",
            f'"{shorten(last.name, 60)}" of line {last.line}',
        ]
    return ", ".join(texts)


_QUOTE_PATH = 'write it in quotes and with forward slashes, as in "C:/data/train.record".'


def _token_reason(complaint, line, position, outline):
    """Puts the parser's complaint about one token into words that say what to write."""
    rest = line[position[1] - 1 :]
    if _WINDOWS_PATH.match(rest) or _WINDOWS_PATH.match(rest[1:]):
        return f"this looks like a Windows path; {_QUOTE_PATH}"
    if re.search("[\u201c\u201d\u2018\u2019\u201e]", rest):
        return "these quotes are typographic; write straight ones: \" or '."
    if rest.startswith("/"):
        return "comments start with # in a text proto, not with /."
    if "issing ending quote" in complaint:
        return (
            "this text has no closing quote (a backslash before the last quote would swallow it: "
            "write paths with forward slashes)."
        )
    if "surrogates not allowed" in complaint:
        return (
            "this text contains half of a character (a lone surrogate, \\ud800 to \\udfff), which "
            "no text may contain. Write the character itself."
        )
    if "codec can't decode" in complaint:
        return f"a backslash starts an escape here; in a path, {_QUOTE_PATH}"
    if rest.startswith("="):
        return "a value is given with a colon (name: value), not with =."
    if rest.startswith("}") and not outline.path_at(position):
        return "one closing } too many: every block is already closed here."
    return _expected(complaint, rest)


def _expected(complaint, rest):
    word = shorten(re.match(r"[^\s{}:,;]*", rest)[0] or rest[:1])
    expected = (
        ("Couldn't parse integer", f'expected a whole number, not "{word}".'),
        ("Couldn't parse float", f'expected a number, not "{word}".'),
        ('Expected "true" or "false"', f'expected true or false, not "{word}".'),
        ("Value out of range", f"{word} does not fit this field: it is too large, or negative."),
        ("Expected string", f'expected a text in quotes, not "{word}".'),
        ('Expected ":"', "expected a colon and a value (name: value); "
         "only blocks take { } without one."),
        ('Expected "{"', "expected a block: name { ... }."),
        ("Expected identifier", f'expected a field name, not "{word}".'),
    )  # fmt: skip
    for sign, sentence in expected:
        if sign in complaint:
            return sentence
    return _words_of_parser(complaint)


def _words_of_parser(complaint):
    """The parser's own sentence, where no better one is known."""
    return shorten(re.sub(r"^[\d:\s]+", "", complaint).replace("object_detection.protos.", ""), 300)
