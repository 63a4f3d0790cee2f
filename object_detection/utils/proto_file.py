"""A proto in a file, as text or binary: one message from disk to memory."""

from google.protobuf.message import DecodeError

from object_detection.utils import text_proto


def read(path, message_type):
    """Reads the message that a file holds.

    Text comes as UTF-8 (with or without a byte order mark), UTF-16 (as Windows PowerShell redirects
    it) or Latin-1; bytes that are no text are read as a binary message.

    Args:
        path: a file.
        message_type: generated class of the message.

    Returns:
        (message, text); text is None where the file is binary.

    Raises:
        OSError: the file cannot be opened.
        text_proto.TextProtoError: it holds nothing of this message type; with line and column.
    """
    with open(path, "rb") as file:
        content = file.read()
    text = _text_of(content)
    if text is not None:
        return _from_text(text, message_type, path), text
    message = _from_binary(content, message_type)
    if message is None:
        name = message_type.DESCRIPTOR.name
        raise text_proto.TextProtoError(
            f"{path}: this is neither text nor a binary {name}. Is it the right file?"
        )
    return message, None


def _from_text(text, message_type, path):
    message = message_type()
    try:
        text_proto.merge(text, message, str(path))
    except text_proto.TextProtoError:
        binary = _from_binary(
            text.encode("utf-8"), message_type
        )  # short messages can look like text
        if binary is None:
            raise
        return binary
    return message


def _text_of(content):
    """The text of a text file, or None where the bytes are no text."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
        if any("\x7f" <= char <= "\x9f" for char in text):
            return None
    if any(char < " " and char not in "\t\r\n\f\v" for char in text):
        return None
    return text


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
