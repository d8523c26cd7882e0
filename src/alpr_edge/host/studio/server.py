"""Edge: HTTP on 127.0.0.1 for the studio's page (starlette, uvicorn).

Who gets an answer:
- The path begins with a random token that only the printed address holds; anything else is 404.
- The host must be the address as it was printed, so that no other name leads here (DNS rebinding).
- What changes something is a POST of JSON whose `Origin` is this page's own.

The page may load nothing from elsewhere, be framed by nobody, and is stored by no browser.
"""

from __future__ import annotations

import contextlib
import json
import logging
import secrets
import socket
import sys
import webbrowser
from collections.abc import Callable
from importlib import resources
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alpr_edge.errors import AlprEdgeError
from alpr_edge.exclusion.premises import Site
from alpr_edge.host.studio.desk import StudioDesk
from alpr_edge.host.studio.ground import place_of
from alpr_edge.host.studio.judge import calibrate, judge
from alpr_edge.host.visit import Visit

MAX_BODY: Final = 2 << 20
_TYPES: Final = {
    "index.html": "text/html; charset=utf-8",
    "studio.css": "text/css; charset=utf-8",
    "studio.js": "text/javascript; charset=utf-8",
    "editor.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
}
Act = Callable[[dict[str, Any]], Any]


class Guard:
    """Turns away whoever is not the page; see the module's docstring."""

    def __init__(self, app: ASGIApp, *, host: str, token: str) -> None:
        self._app, self._host, self._token = app, host, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): v.decode("latin-1") for name, v in scope["headers"]}
        first = scope["path"].split("/")[1]
        good = headers.get("host") == self._host
        good = good and secrets.compare_digest(first.encode(), self._token.encode())
        if scope["method"] == "POST":
            good = good and headers.get("origin") == f"http://{self._host}"
            good = good and headers.get("content-type", "").split(";")[0] == "application/json"
            good = good and headers.get("content-length", "").isdigit()
            good = good and int(headers.get("content-length", "0")) <= MAX_BODY

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                extra = [(k.encode(), v.encode()) for k, v in HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        answer: ASGIApp = self._app if good else Response("not here\n", status_code=404)
        await answer(scope, receive, with_headers)


def make_app(desk: StudioDesk, *, host: str, token: str) -> ASGIApp:
    """The whole application."""
    acts: dict[str, Act] = {
        "login": lambda a: desk.login(a["name"], a["password"], a["code"]),
        "logout": lambda a: desk.logout(),
        "still": lambda a: desk.take_still(),
        "judge": lambda a: judge(a.get("zones"), *desk.in_force()),
        "commit": desk.commit,
        "confirm": lambda a: desk.confirm(),
        "map": lambda a: desk.map(),
        "place": lambda a: place_of(
            (float(a["origin"][0]), float(a["origin"][1])), float(a["x"]), float(a["y"])
        ),
        "fit": lambda a: calibrate(a.get("answers")),
        "calibrate": lambda a: desk.call("save_calibration", answers=a.get("answers")),
        "map_masks": lambda a: desk.map_masks(),
        "placement": lambda a: desk.placement(),
        "run_self_test": lambda a: desk.call("run_self_test"),
        "self_test": lambda a: desk.call("self_test"),
    }

    async def act(request: Request) -> Response:
        work = acts.get(request.path_params["name"])
        if work is None:
            return JSONResponse({"error": {"message": "there is no such thing"}}, 404)
        try:
            args = json.loads(await request.body())
            if not isinstance(args, dict):
                raise ValueError("not an object")
            return JSONResponse(await run_in_threadpool(work, args))
        except AlprEdgeError as err:
            text = "; ".join([err.message, *getattr(err, "problems", ())])
            told = {"code": err.code, "message": text, "hint": err.hint}
            return JSONResponse({"error": told}, 409)
        except (KeyError, TypeError, ValueError, RecursionError):
            told = {"code": "host.studio.request", "message": "that cannot be understood"}
            return JSONResponse({"error": told}, 400)

    async def state(request: Request) -> Response:
        return JSONResponse(desk.state())

    async def picture(request: Request) -> Response:
        data = desk.still()
        if not data:
            return Response("no picture\n", status_code=404)
        return Response(data, media_type="image/jpeg")

    async def page(request: Request) -> Response:
        name = request.path_params.get("name") or "index.html"
        if name not in _TYPES:
            return Response("not here\n", status_code=404)
        data = resources.files("alpr_edge.host.studio").joinpath("page", name).read_bytes()
        return Response(data, media_type=_TYPES[name])

    app = Starlette(
        routes=[
            Route("/{token}/api/state", state),
            Route("/{token}/api/still.jpg", picture),
            Route("/{token}/api/{name}", act, methods=["POST"]),
            Route("/{token}/", page),
            Route("/{token}/{name}", page),
        ]
    )
    return Guard(app, host=host, token=token)


def run_studio(visit: Visit, *, http_port: int, browser: bool, sites: tuple[Site, ...] = ()) -> int:
    """Serve until Ctrl-C; prints the address first."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", http_port))
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        token = secrets.token_urlsafe(24)
        desk = StudioDesk(visit, sites)
        # The address holds the token: requests are not logged.
        config = uvicorn.Config(
            make_app(desk, host=host, token=token),
            log_level=logging.WARNING,
            access_log=False,
            server_header=False,
            ws="none",
            lifespan="off",
        )
        address = f"http://{host}/{token}/"
        sys.stdout.write(f"{address}\n")
        sys.stdout.flush()
        if browser:
            webbrowser.open(address)
        try:
            with contextlib.suppress(KeyboardInterrupt):
                uvicorn.Server(config).run(sockets=[listener])
        finally:
            desk.close()
    return 0
