"""What a server takes on, and how it says no."""

import contextlib
import dataclasses
import math
import threading


@dataclasses.dataclass(frozen=True)
class Limits:
    """Bounds of memory and time. What goes beyond is refused, never tried."""

    max_batch: int = 8  # images the model is given at once
    max_delay: float = 0.005  # seconds an image waits for others to fill a batch
    max_queue: int = 64  # images that wait, at most
    max_body: int = 32 << 20  # bytes of one request
    max_held: int = 512 << 20  # bytes of all requests and their pixels together
    max_pixels: int = 32_000_000  # of one image
    max_side: int = 16_384  # pixels
    body_timeout: float = 30.0  # seconds a client has to send its request
    request_timeout: float = 60.0  # seconds from then to the answer


class Refusal(Exception):
    """A request that is not carried out.

    Args:
        status: of HTTP, 4xx where the client can change it, 503 or 504 where it may come again.
        message: what was found and what is allowed, for whoever sent it.
        retry_after: seconds after which to come again, or None.
    """

    def __init__(self, status, message, *, retry_after=None):
        super().__init__(message)
        self.status = status
        self.message = message
        self.retry_after = None if retry_after is None else max(1, math.ceil(retry_after))


class Budget:
    """A number of bytes that requests share. Safe for threads."""

    def __init__(self, size):
        self._left = self._size = size
        self._lock = threading.Lock()

    @property
    def held(self):
        """Bytes that are taken now."""
        return self._size - self._left

    def take(self, count):
        """Takes bytes; raises `Refusal` (503) where so many are not left."""
        with self._lock:
            if count > self._left:
                raise Refusal(503, "the server holds all the data that it may", retry_after=1)
            self._left -= count

    def give_back(self, count):
        """Returns what was taken."""
        with self._lock:
            self._left += count

    @contextlib.contextmanager
    def account(self):
        """A function that takes bytes; what it took is given back at the end."""
        taken = 0

        def take(count):
            nonlocal taken
            self.take(count)
            taken += count

        try:
            yield take
        finally:
            self.give_back(taken)
