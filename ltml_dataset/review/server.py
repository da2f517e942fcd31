"""The pages: a summary, and one study a screen. NiceGUI on 127.0.0.1, behind the guard."""

import secrets
import socket
from importlib.resources import files
from typing import Any

from nicegui import app, ui
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from ltml_dataset.errors import UserError
from ltml_dataset.review.decisions import ROLES, Role
from ltml_dataset.review.desk import Desk, Filters
from ltml_dataset.review.folder import ReviewFolder
from ltml_dataset.review.guard import Guard
from ltml_dataset.review.reading_page import ReadingPage
from ltml_dataset.review.session import Review
from ltml_dataset.review.start_page import build_start_page

HOST = "127.0.0.1"
"""The page shows protected text: it is never served to the network."""

FIRST_PORT = 8420


def serve(review: Review, *, port: int | None = None, open_browser: bool = True) -> None:
    """Serve the pages until the process is stopped; prints the address with the session's token.

    Raises:
        UserError: The port is taken.
    """
    port = _free_port(port)
    token = secrets.token_urlsafe(24)
    app.add_middleware(Guard, token=token, port=port)
    app.add_api_route("/images/{study}/{index}", _image_route(review.folder), methods=["GET"])
    _add_pages(review)
    address = f"http://{HOST}:{port}/?token={token}"
    print(f"Review page: {address}\nDecisions:   {review.log.path}\nStop with Ctrl-C.", flush=True)
    ui.run(
        host=HOST,
        port=port,
        title="Label review",
        reload=False,
        show=f"/?token={token}" if open_browser else False,
        dark=None,
        show_welcome_message=False,
        uvicorn_logging_level="error",
        reconnect_timeout=10,
    )


def _free_port(port: int | None) -> int:
    candidates = [port] if port else range(FIRST_PORT, FIRST_PORT + 50)
    for candidate in candidates:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, candidate))
            except OSError:
                continue
            return candidate
    raise UserError(f"port {port or FIRST_PORT} of {HOST} is taken: give another --port.")


def _image_route(folder: ReviewFolder) -> Any:
    def image(study: str, index: int) -> Response:
        paths = folder.images(study) if study in folder.row_of else []
        if not 0 <= index < len(paths):
            return PlainTextResponse("No such image under review.", status_code=404)
        return FileResponse(paths[index], headers={"cache-control": "private, no-store"})

    return image


def _asset(name: str) -> str:
    return files("ltml_dataset.review").joinpath("static", name).read_text(encoding="utf-8")


def _add_pages(review: Review) -> None:
    head = f"<style>{_asset('review.css')}</style>"
    script = f"<script>{_asset('review.js')}</script>"

    @ui.page("/")
    def start(request: Request) -> None:
        ui.add_head_html(head)
        build_start_page(review, dict(request.query_params))

    @ui.page("/read")
    def read(request: Request) -> Response | None:
        query = dict(request.query_params)
        role = query.get("role", "first")
        if role not in ROLES or not query.get("reader", "").strip():
            return PlainTextResponse("Say who reads, and in which role, on the first page.", status_code=400)
        filters = Filters(**{name: query.get(name, "") for name in Filters.__slots__})
        if query.get("study") is not None and query["study"] not in review.folder.row_of:
            return PlainTextResponse("No such study under review.", status_code=404)
        ui.add_head_html(head)
        ui.add_body_html(script)
        ReadingPage(review, Desk(review.folder, review.queue, review.log, query["reader"], _role(role), filters))
        return None


def _role(name: str) -> Role:
    return next(role for role in ROLES if role == name)
