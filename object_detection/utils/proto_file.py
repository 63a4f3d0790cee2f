"""A proto in a file, as text or binary: one message from disk to memory."""

import codecs
import errno
import logging
import re

from google.protobuf.message import DecodeError, Message

from object_detection.utils import text_proto
from object_detection.utils.messages import shorten

# UTF-32 first: its little-endian mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LINE_SIGNS = "\t\r\n\f\v"
_SAVE = "Open it in an editor and save it as UTF-8."
_log = logging.getLogger(__name__)


def read(path, message_type):
    """Reads the message that a file holds; see `parse`.

    Raises:
        OSError: the file cannot be opened.
        text_proto.TextProtoError: it holds nothing of this message type; with line and column.
    """
    return parse(content_of(path), message_type, path)


def content_of(path) -> bytes:
    """Return the bytes of a file.

    Raises:
        OSError: the file cannot be opened, also where no file can have such a name.
    """
    try:
        with open(path, "rb") as file:
            return file.read()
    except ValueError as error:  # a zero character or a lone surrogate
        raise OSError(errno.EINVAL, f"no file can have this name: {error}") from None


def parse(content: bytes, message_type: type[Message], source) -> tuple[Message, str | None]:
    """Return the message that the bytes of a file hold, as text or as a binary message.

    Text comes as UTF-8 or UTF-16 (as Windows PowerShell redirects it), with or without a byte
    order mark, as UTF-32 with one, or in the Western European encoding of Windows, which
    includes Latin-1. The last is a guess, so a warning quotes what was read by it.

    Args:
        content: the file's bytes.
        message_type: generated class of the message.
        source: name of the file, for errors and warnings.

    Returns:
        (message, text); text is None where the file is binary.

    Raises:
        text_proto.TextProtoError: no text in a known encoding, or nothing of this message type.
    """
    message = message_type()
    try:
        text, guessed = _text_of(content, source)
        if text is not None:
            text_proto.merge(text, message, str(source))
    except text_proto.TextProtoError:
        binary = _from_binary(content, message_type)  # short messages can look like text
        if binary is None:
            raise
        return binary, None
    if text is None:
        message = _from_binary(content, message_type)
        if message is None:
            raise text_proto.TextProtoError(_not_readable(content, message_type, source))
    elif guessed:
        _warn_of_guess(text, source)
    return message, text


def _text_of(content, source):
    """(the text of a text file or None where the bytes are no text, whether that is a guess)."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return _decoded(content[len(mark) :], encoding, source), False
    encoding = _utf_16_without_mark(content)
    if encoding:
        return _decoded(content, encoding, source), False
    guessed = False
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        if any(char < " " and char not in _LINE_SIGNS for char in content.decode("latin-1")):
            return None, False
        if re.search(r"[^\x00-\x7f\ufffd]", content.decode("utf-8", errors="replace")):
            raise _undecodable(content, "utf-8", error.start, source) from None
        try:
            text, guessed = content.decode("cp1252"), True
        except UnicodeDecodeError as other:
            raise _undecodable(content, "utf-8", other.start, source) from None
    if any(char < " " and char not in _LINE_SIGNS for char in text):
        return None, False
    return text, guessed


def _utf_16_without_mark(content):
    """The byte order of a text of ASCII characters of two bytes each, or None."""
    first = content[:64]
    if len(first) < 4 or len(content) % 2:
        return None
    for encoding, zeros, others in (
        ("utf-16-le", first[1::2], first[::2]),
        ("utf-16-be", first[::2], first[1::2]),
    ):
        if not any(zeros) and all(byte >= 32 or chr(byte) in _LINE_SIGNS for byte in others):
            return encoding
    return None


def _decoded(content, encoding, source):
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise _undecodable(content, encoding, error.start, source) from None


def _undecodable(content, encoding, start, source):
    before = content[:start].decode(encoding, errors="replace")
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    name = encoding.removesuffix("-le").removesuffix("-be").upper()
    broken = content[start : start + 4]
    return text_proto.TextProtoError(
        f"{source}:{line}:{column}: this text is neither whole {name} nor in another encoding that "
        f"can be recognized from its bytes ({broken.hex(' ')}). {_SAVE}"
    )


def _not_readable(content, message_type, source):
    """What is wrong with bytes that are neither text nor a message."""
    text = content.decode("latin-1")
    controls = [k for k, char in enumerate(text) if char < " " and char not in _LINE_SIGNS]
    if 0 < len(controls) * 100 < len(content):
        before = text[: controls[0]]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        return (
            f"{source}:{line}:{column}: the control character {shorten(text[controls[0]])} has no "
            "place in a text; the file is damaged there. Remove it, or copy the file again."
        )
    name = message_type.DESCRIPTOR.name
    return f"{source}: this is neither text nor a binary {name}. Is it the right file?"


def _warn_of_guess(text, source):
    """Quotes a line that depends on the guess; comments do not."""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.isascii() and not line.partition("#")[0].isascii():
            _log.warning(
                "%s is not in UTF-8. It was read as Windows-1252, so that line %d is: %s. If that "
                "is not what you wrote, save the file as UTF-8.",
                source,
                number,
                shorten(line.strip()),
            )
            return


def _from_binary(content, message_type):
    """The message, where every byte belongs to a field of it; otherwise None."""
    message = message_type()
    try:
        message.ParseFromString(content)
    except DecodeError:
        return None
    if not message.ListFields():
        return None
    known = type(message)()
    known.CopyFrom(message)
    known.DiscardUnknownFields()
    return message if known.ByteSize() == message.ByteSize() else None
