"""A builder is a table: the one function that looks up a row of it, and what it is given."""

from typing import Any

from object_detection.errors import ConfigError


def pick(message, oneof, table):
    """Builds the member of a oneof that is set, with its row of a table.

    Args:
        message: the message that holds the oneof.
        oneof: its name.
        table: member name -> function of the member's message.

    Returns:
        What the row's function returns.

    Raises:
        ConfigError: the member that is set has no row, or none is set.
    """
    name = message.WhichOneof(oneof)
    if name not in table:
        where = f"{message.DESCRIPTOR.name}.{oneof}"
        state = f"{name}, which is not supported" if name else "not set"
        raise ConfigError(f"{where} is {state}; supported: {', '.join(table)}.")
    return table[name](getattr(message, name))


def check_message(message: Any, name: str, argument: str) -> None:
    """Checks that a builder got the kind of message that it builds from, as TFOD's builders do.

    Args:
        message: what the caller gave.
        name: of the message's type, "ImageResizer".
        argument: what the builder calls it.

    Raises:
        ConfigError: (a ValueError) it is something else.
    """
    given = getattr(getattr(message, "DESCRIPTOR", None), "name", None)
    if given == name and not isinstance(message, type):
        return
    if isinstance(message, (str, bytes)):
        what, fix = "a text", f": google.protobuf.text_format.Parse(text, {name}()) makes one of it"
    elif message is None:
        what, fix = "None", ""
    elif isinstance(message, type):
        what, fix = f"the class {message.__name__}", ": give one with its fields"
    elif given is not None:
        fields = [f.name for f in message.DESCRIPTOR.fields]
        inner = [f for f in fields if _type_of(message, f) == name]
        what = f"a message of type {given}"
        fix = f": give its field {' or '.join(inner)}" if inner else ""
    else:
        what, fix = f"an object of type {type(message).__name__}", ""
    raise ConfigError(f"{argument} must be a message of type {name}, got {what}{fix}")


def _type_of(message, field):
    kind = message.DESCRIPTOR.fields_by_name[field].message_type
    return kind.name if kind is not None else None
