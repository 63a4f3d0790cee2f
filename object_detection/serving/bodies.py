"""The body of a request, read within its bounds of bytes and seconds."""

import anyio
from starlette.requests import ClientDisconnect

from object_detection.serving.limits import Refusal

_DRAINED = 4  # times the largest body that is read and forgotten, so that a refusal is heard


async def read(request, limits, take):
    """The bytes of a request's body.

    Args:
        request: Starlette's.
        limits: `Limits`.
        take: is told how many bytes come; see `Budget.account`.

    Raises:
        Refusal: 413 too large, 408 too slow, 400 broken off or with a length that is no number,
            503 all the data that the server may hold is held.
    """
    announced = request.headers.get("content-length", "0")
    if not announced.isdigit():
        raise Refusal(400, f"Content-Length is {announced[:50]!r}")
    chunks, count, refusal = [], 0, None
    if int(announced) > limits.max_body:
        refusal = _too_large(limits)
        if "expect" in request.headers:  # who asks first need not be listened to
            raise refusal
    try:
        with anyio.fail_after(limits.body_timeout):
            async for chunk in request.stream():
                count += len(chunk)
                if refusal is None and count > limits.max_body:
                    refusal = _too_large(limits)
                if refusal is None:
                    refusal = _taken(take, len(chunk))
                if refusal is None:
                    chunks.append(chunk)
                else:
                    chunks.clear()
                    if count > _DRAINED * limits.max_body:
                        break
    except TimeoutError:
        raise Refusal(
            408, f"{count} bytes within {limits.body_timeout:g} seconds, and no end of the request"
        ) from None
    except ClientDisconnect:
        raise Refusal(400, "the request broke off") from None
    if refusal is not None:
        raise refusal
    return b"".join(chunks)


def _too_large(limits):
    return Refusal(413, f"the body is larger than {limits.max_body} bytes (--max_body_mb)")


def _taken(take, count):
    """None, or the refusal of bytes for which there is no room."""
    try:
        take(count)
    except Refusal as refusal:
        return refusal
    return None
