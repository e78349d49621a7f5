"""The live page at /sandbox/: three files of this package, and the headers that keep a browser from anything else.
What it shows and does goes through the management face; there is no code of its own on the server.
"""

from collections.abc import Awaitable, Callable
from importlib.resources import files

from fastapi import APIRouter, Response

FILES = {
    "page.js": "text/javascript; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def add_routes(router: APIRouter) -> None:
    """Add the page and its files."""
    router.add_api_route("/", _serve("index.html", "text/html; charset=utf-8"), methods=["GET"])
    for name, media_type in FILES.items():
        path = f"/{name}"
        router.add_api_route(path, _serve(name, media_type), methods=["GET"], include_in_schema=False)


def _serve(name: str, media_type: str) -> Callable[[], Awaitable[Response]]:
    text = (files("ksef_sandbox") / "page" / name).read_bytes()

    async def answer() -> Response:
        return Response(text, media_type=media_type, headers=HEADERS)

    return answer
