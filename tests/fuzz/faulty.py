"""A kind of input that goes wrong in every way; for the test of the harness itself."""

import ctypes
import time

ERRORS = ("DocumentedError",)


class DocumentedError(ValueError):
    """As a reader's own."""


def prepare(folder):
    return bytearray(1 << 20)


def run(dice, state, folder):
    (folder / "input.txt").write_text(f"input {dice.number}")
    if dice.number in _FAULTS:
        _FAULTS[dice.number](state)


def _documented(state):
    raise DocumentedError("line 3: this is no number; write 1 to 9")


def _undocumented(state):
    raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "as of a library")


def _wordless(state):
    raise DocumentedError("'id'")


def _endless(state):
    raise DocumentedError("this is no number: " + "9" * 100_000)


def _unprintable(state):
    raise DocumentedError("there is no file \ud800.png here")


def _hangs(state):
    time.sleep(600)


def _hangs_in_c(state):
    ctypes.PyDLL(None).sleep(600)  # keeps the lock of the interpreter


def _dies(state):
    ctypes.string_at(0)


def _grows(state):
    state.extend(bytes(300 << 20))


_FAULTS = dict(
    enumerate(
        (
            _documented,
            _undocumented,
            _wordless,
            _endless,
            _unprintable,
            _hangs,
            _hangs_in_c,
            _dies,
            _grows,
        )
    )
)
