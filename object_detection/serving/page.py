"""The page at the server's root: files beside this one, and nothing from elsewhere."""

import html
from importlib import resources

from starlette.responses import Response
from starlette.routing import Route

import object_detection

_FILES = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/page_drawing.js": ("page_drawing.js", "text/javascript"),
}
# Only what comes from this server runs, and only this server is asked.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def routes():
    """The page's addresses."""
    return [
        Route(path, _file(name, media_type), methods=["GET"])
        for path, (name, media_type) in _FILES.items()
    ]


def _file(name, media_type):
    text = resources.files("object_detection.serving").joinpath(name).read_text(encoding="utf-8")
    text = text.replace("<!--VERSION-->", html.escape(object_detection.__version__))

    async def answer(_):
        return Response(text, headers=_HEADERS, media_type=media_type)

    return answer
