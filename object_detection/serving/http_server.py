"""HTTP server with timeouts for slow clients and an orderly shutdown."""

import asyncio
import signal
import socket

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from object_detection.errors import listen_error

_HEAD_SECONDS = 10.0  # from the first byte of a request, or the connection, to the last header
_KEEP_SECONDS = 20  # idle time of a connection between two requests


class PatientProtocol(H11Protocol):
    """Protocol that closes connections whose client does not send a whole request head."""

    head_seconds = _HEAD_SECONDS
    _alarm = None

    def connection_made(self, transport):
        """Start the timeout for a request."""
        super().connection_made(transport)
        self._wait_for_head()

    def data_received(self, data):
        """Keep the timeout until a request's head is complete."""
        if self._alarm is None and self.conn.their_state is h11.IDLE:
            self._wait_for_head()
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()

    def on_response_complete(self):
        """Stop the timeout: between requests, uvicorn's own applies."""
        super().on_response_complete()
        self._stop_waiting()

    def connection_lost(self, exc):
        """Stop the timeout."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait_for_head(self):
        loop = asyncio.get_running_loop()
        self._alarm = loop.call_later(self.head_seconds, self._hang_up)

    def _stop_waiting(self):
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _hang_up(self):
        self._alarm = None
        if not self.transport.is_closing():
            self.transport.close()


class Server(uvicorn.Server):
    """uvicorn's server; it answers accepted requests before it stops.

    Args:
        app: of `app.build_app`.
        listener: a bound socket.
        grace: seconds for requests to finish at shutdown.
        max_connections: maximum number of connections; further ones are answered 503.
    """

    def __init__(self, app, listener, *, grace=30, max_connections=1000):
        self._listener = listener
        super().__init__(
            uvicorn.Config(
                app,
                http=PatientProtocol,
                ws="none",
                lifespan="on",
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_keep_alive=_KEEP_SECONDS,
                timeout_graceful_shutdown=grace,
                limit_concurrency=max_connections,
            )
        )

    def serve_until_signal(self):
        """Serve until SIGTERM or SIGINT, then answer accepted requests.

        Returns after SIGTERM, which is how containers and service managers stop a server.

        Raises:
            KeyboardInterrupt: after SIGINT (Ctrl-C), as in every other command.
        """
        # uvicorn raises the signal once more at its end, for the handler before its own.
        signal.signal(signal.SIGTERM, lambda *_: None)
        self.run(sockets=[self._listener])


def listen(host, port):
    """Return a socket bound to an address; port 0 takes a free one.

    Raises:
        ListenError: the port is taken or not allowed, or the address is not of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise listen_error(host, port, error) from None
    return listener
