"""Limits of a server, its memory budget, and the error of a rejected request."""

import contextlib
import dataclasses
import math
import threading


@dataclasses.dataclass(frozen=True)
class Limits:
    """Limits of memory and time. Requests beyond them are rejected at once."""

    max_batch: int = 8  # images per call of the model
    max_delay: float = 0.005  # seconds an image waits for others to fill a batch
    max_queue: int = 64  # waiting images
    max_body: int = 32 << 20  # bytes of one request
    max_held: int = 512 << 20  # bytes of all requests and their pixels together
    max_pixels: int = 32_000_000  # of one image
    max_side: int = 16_384  # pixels
    body_timeout: float = 30.0  # seconds for a client to send its request
    request_timeout: float = 60.0  # seconds from then to the response


class RequestError(Exception):
    """Error of a rejected request.

    Args:
        status: of HTTP: 4xx if the client has to change the request, 503 or 504 if it can retry.
        message: the value and what is allowed, for the client.
        retry_after: seconds after which to retry, or None.
    """

    def __init__(self, status, message, *, retry_after=None):
        super().__init__(message)
        self.status = status
        self.message = message
        self.retry_after = None if retry_after is None else max(1, math.ceil(retry_after))


class Budget:
    """Number of bytes that requests share. Thread-safe."""

    def __init__(self, size):
        self._left = self._size = size
        self._lock = threading.Lock()

    @property
    def held(self):
        """Bytes in use."""
        return self._size - self._left

    def take(self, count):
        """Reserve bytes; raise `RequestError` (503) if fewer are left."""
        with self._lock:
            if count > self._left:
                raise RequestError(
                    503, "the server's memory limit is reached (--max_held_mb)", retry_after=1
                )
            self._left -= count

    def release(self, count):
        """Release reserved bytes."""
        with self._lock:
            self._left += count

    @contextlib.contextmanager
    def account(self):
        """Yield a function that reserves bytes; they are released at the end."""
        taken = 0

        def take(count):
            nonlocal taken
            self.take(count)
            taken += count

        try:
            yield take
        finally:
            self.release(taken)
