"""A builder is a table: the one function that looks up a row of it."""

from object_detection.config.errors import ConfigError


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
