"""The server: two pages, their script's questions, and images. Starlette on 127.0.0.1, behind the guard."""

import gc
import json
import secrets
import socket
import sys
import threading
import webbrowser
from contextlib import suppress
from importlib.resources import files
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ltml_dataset.errors import UserError
from ltml_dataset.review.api import Api, GoneError
from ltml_dataset.review.desk import Desk, Filters
from ltml_dataset.review.events import ROLES, Role
from ltml_dataset.review.guard import NONCE, Guard
from ltml_dataset.review.pages import reading_page, start_page
from ltml_dataset.review.pixels import browser_image
from ltml_dataset.review.session import Review

HOST = "127.0.0.1"
"""The page shows protected text: it is never served to the network."""

FIRST_PORT = 8420

_ASSETS = {"review.css": "text/css", "review.js": "text/javascript"}


class AsciiJson(JSONResponse):
    """JSON in ASCII: a note may hold half of a surrogate pair, which no other encoding can carry."""

    def render(self, content: Any) -> bytes:
        """The body."""
        return json.dumps(content, separators=(",", ":"), allow_nan=False).encode("ascii")


def serve(review: Review, *, port: int | None = None, open_browser: bool = True) -> None:
    """Serve the pages until the process is stopped; prints the address with the session's token.

    Raises:
        UserError: The port is taken.
    """
    listener = _listen(port)
    port = listener.getsockname()[1]
    token = secrets.token_urlsafe(24)
    address = f"http://{HOST}:{port}/?token={token}"
    prepare(review)
    # No access log: addresses hold the token.
    config = uvicorn.Config(make_app(review, token=token, port=port), log_level="error", access_log=False)
    print(f"Review page: {address}\nDecisions:   {review.log.path}\nStop with Ctrl-C.", flush=True)
    if open_browser:
        threading.Timer(0.5, webbrowser.open, [address]).start()
    with listener, suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])


def prepare(review: Review) -> None:
    """All that a key would otherwise wait for: decisions read, and what was read set aside from garbage collection.

    Reports and decisions live as long as the server. To look through all of them for garbage takes a second at 20,000
    studies read twice, in the middle of a key.
    """
    review.log.refresh()
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 1_000)
    # Another reader's summary is made beside the keys: it gives way after half a millisecond, not five.
    sys.setswitchinterval(0.0005)


def make_app(review: Review, *, token: str, port: int) -> Starlette:
    """The application behind its guard."""
    api = Api(review)

    # Not `async`: the summary of a long review takes seconds, in a thread of its own.
    def start(request: Request) -> Response:
        return HTMLResponse(start_page(review, request.scope[NONCE], request.query_params.get("reader", "")))

    def read(request: Request) -> Response:
        query = request.query_params
        reader, role = query.get("reader", ""), _role(query.get("role", "first"))
        if role is None or not reader.strip():
            told = "Say who reads, and in which role."
            return HTMLResponse(start_page(review, request.scope[NONCE], reader, told), status_code=400)
        filters = Filters(**{name: query.get(name, "") for name in Filters.__slots__})
        desk = Desk(review.folder, review.queue, review.log, reader, role, filters)
        if "study" in query:
            try:
                desk.go(query["study"])
            except UserError:
                return PlainTextResponse("No such study under review.", status_code=404)
        return HTMLResponse(reading_page(review, desk, api.open_tab(desk), request.scope[NONCE]))

    async def act(request: Request) -> Response:
        try:
            values = json.loads(await request.body())
            if not isinstance(values, dict):
                raise TypeError("an object is expected")
            return AsciiJson(api.act(request.path_params["action"], values))
        except GoneError as error:
            return JSONResponse({"told": str(error)}, status_code=410)
        except KeyError:
            return JSONResponse({"told": "There is no such action."}, status_code=404)
        except (ValueError, TypeError, RecursionError):
            return JSONResponse({"told": "That is no question of this page."}, status_code=400)

    def image(request: Request) -> Response:
        study, index = request.query_params.get("study", ""), request.query_params.get("index", "")
        pictures = review.folder.pictures.of(study) if study in review.folder.row_of else []
        if not index.isdecimal() or int(index) >= len(pictures):
            return PlainTextResponse("No such image under review.", status_code=404)
        try:
            picture = pictures[int(index)]
            content, kind = browser_image(review.folder.pictures.read(picture), picture.name)
        except UserError as error:
            return PlainTextResponse(str(error), status_code=415)
        return Response(content, media_type=kind)

    async def asset(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _ASSETS:
            return PlainTextResponse("No such file.", status_code=404)
        text = files("ltml_dataset.review").joinpath("static", name).read_text(encoding="utf-8")
        return Response(text, media_type=_ASSETS[name])

    return Starlette(
        routes=[
            Route("/", start),
            Route("/read", read),
            Route("/api/{action}", act, methods=["POST"]),
            Route("/image", image),
            Route("/static/{name}", asset),
        ],
        middleware=[Middleware(Guard, token=token, port=port)],
    )


def _listen(port: int | None) -> socket.socket:
    """A socket that listens already: a port that is only looked at can be taken by a page started beside this one."""
    for candidate in [port] if port else range(FIRST_PORT, FIRST_PORT + 50):
        listener = socket.socket()
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((HOST, candidate))
            listener.listen(2048)
        except OSError:
            listener.close()
            continue
        return listener
    raise UserError(f"port {port or FIRST_PORT} of {HOST} is taken: give another --port.")


def _role(name: str) -> Role | None:
    return next((role for role in ROLES if role == name), None)
