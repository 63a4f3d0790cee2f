"""Record files that are kept open until TensorFlow has opened them as well.

TensorFlow tries for ever to open a file that is not there where errors are passed over, and a file
may go between the moment it was looked at and the one it is opened in.
"""

import collections
import os
import threading

_HELD = 64  # of these at most the newest few wait to be opened a second time


class HeldFiles:
    """Opens local files and names them by what is open, which a removed file does not lose."""

    def __init__(self):
        self._lock = threading.Lock()
        self._files = collections.deque()

    def hold(self, path):
        """Path under which the file opens from now on, whatever becomes of `path`.

        Raises:
            OSError: it cannot be opened or read.
        """
        file = open(path, "rb", buffering=0)
        try:
            file.read(1)
        except OSError:
            file.close()
            raise
        with self._lock:
            self._files.append(file)
            if len(self._files) > _HELD:
                self._files.popleft().close()
        opened = f"/proc/self/fd/{file.fileno()}"
        return opened if os.path.exists(opened) else path  # without /proc as good as can be

    def __del__(self):
        for file in self._files:
            file.close()
