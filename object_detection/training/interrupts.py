"""Ctrl-C and SIGTERM as a wish that the loop can grant when its weights are whole."""

import signal
import threading

from absl import logging


class StopRequest:
    """While the block runs, the first SIGINT or SIGTERM is noted instead of killing the process.

    A second one is obeyed at once. Outside the main thread, where Python allows no handlers, it
    only holds the flag.

    Attributes:
        signal_number: the signal received, or None.
    """

    def __init__(self):
        self.signal_number = None
        self._previous = {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *exception):
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def __bool__(self):
        return self.signal_number is not None

    @property
    def exit_code(self) -> int:
        """The shell's code for a process ended by this signal; 0 without one."""
        return 0 if self.signal_number is None else 128 + self.signal_number

    @property
    def name(self) -> str:
        """The signal in words."""
        return {signal.SIGINT: "Ctrl-C (SIGINT)"}.get(
            self.signal_number, signal.Signals(self.signal_number).name
        )

    def _note(self, number, frame):
        del frame
        self.signal_number = number
        for name, handler in self._previous.items():
            signal.signal(name, handler)
        logging.warning("%s received: finishing this step; once more ends it at once.", self.name)
