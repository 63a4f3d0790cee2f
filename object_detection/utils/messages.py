"""Values from outside as error messages quote them: short, on one line, and always printable."""

import reprlib

_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 200
_DIGITS = 60  # of a whole number that is shown in full


def shorten(value: object, most: int = 120) -> str:
    """Return a value as the text that an error message quotes.

    A long text keeps its start and its end and is followed by its length. Control characters and
    lone surrogates, which no terminal or UTF-8 file takes, become escapes. The cost depends on
    `most`, not on the size of the value.

    Args:
        value: a text, bytes, a number, or what JSON holds.
        most: number of characters of a text that are shown without shortening.

    Returns:
        At most about twice `most` characters, or six times where most of them are escapes.

    Example:
        `shorten("a" * 5_000_000, 9)` is "aaaaaa...aaa (5,000,000 characters)".
    """
    if isinstance(value, bool | None):
        return str(value)
    if isinstance(value, int):
        return _whole_number(value)
    if isinstance(value, bytes | bytearray):
        return _cut(value, most, lambda part: part.decode("utf-8", "backslashreplace"), "bytes")
    text = value if isinstance(value, str) else _described(value)
    return _cut(text, most, str, "characters")


def _whole_number(value):
    digits = int(value.bit_length() * 0.30103) + 1  # str() refuses more than 4,300
    return str(value) if digits <= _DIGITS else f"a whole number of about {digits:,} digits"


def _described(value):
    try:
        return _REPR.repr(value) if isinstance(value, list | tuple | dict | set) else str(value)
    except (ValueError, RecursionError):  # holds a whole number of too many digits, or itself
        return f"a {type(value).__name__}"


def _cut(value, most, text_of, unit):
    if len(value) <= most:
        return _printable(text_of(value))
    end = most // 3
    start = text_of(value[: most - end])
    return f"{_printable(start)}...{_printable(text_of(value[len(value) - end :]))} " + (
        f"({len(value):,} {unit})"
    )


def _printable(text):
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
