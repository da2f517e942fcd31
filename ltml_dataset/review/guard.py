"""Who may talk to the page: this machine's browser, with the session's token, from the page itself."""

import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-ancestors 'none'; form-action 'self'; base-uri 'none'"
)
"""Content policy of every answer. The browser runs no script but the one that this very answer names, no inline
handler, nothing that a report or an id could bring along, and sends nothing to another address."""

NONCE = "ltml_nonce"
"""Key of the request's scope under which a page finds the nonce for its script."""


class Guard:
    """ASGI middleware that refuses every request, socket connections included, which is not the reader's own page.

    * `Host` must be this server's own address (403): a name that was made to resolve here (DNS rebinding) is not.
    * `Origin`, where a browser sends one, must be the page itself (403).
    * The token must come in the address, or the cookie that the first visit set (401). Browsers send a cookie to every
      port of a machine; this one is made from token and port, so it opens no other review, and the token stays secret.
    """

    def __init__(self, app: Application, *, token: str, port: int) -> None:
        """Wrap an application.

        Args:
            app: The application behind the guard.
            token: The session's token.
            port: The port the server listens on, part of its address and of the cookie.
        """
        self._app = app
        self._token = token
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self._cookie = f"ltml_review_{port}"
        self._pass = hmac.new(token.encode(), f"ltml review cookie {port}".encode(), hashlib.sha256).hexdigest()
        self._refusal = (
            f"This page answers at http://127.0.0.1:{port} and http://localhost:{port} only. Through a tunnel, keep "
            f"the port the same at both ends: ssh -L {port}:127.0.0.1:{port} MACHINE, or start with another --port."
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        from_address = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
        if headers.get("host") not in self._hosts or not self._is_own_origin(headers.get("origin")):
            await _refuse(scope, send, 403, self._refusal)
        elif _is_same(from_address, self._token):
            await self._answer(scope, receive, send, set_cookie=True)
        elif _is_same(_cookie_value(headers.get("cookie", ""), self._cookie), self._pass):
            await self._answer(scope, receive, send, set_cookie=False)
        else:
            await _refuse(scope, send, 401, "Open the address that the command printed: it holds the session's token.")

    def _is_own_origin(self, origin: str | None) -> bool:
        return origin is None or origin.removeprefix("http://") in self._hosts

    async def _answer(self, scope: Scope, receive: Receive, send: Send, *, set_cookie: bool) -> None:
        nonce = secrets.token_urlsafe(16)

        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                added = [
                    (b"content-security-policy", POLICY.format(nonce=nonce).encode()),
                    (b"referrer-policy", b"no-referrer"),
                    (b"x-content-type-options", b"nosniff"),
                    (b"cross-origin-resource-policy", b"same-origin"),
                    (b"cross-origin-opener-policy", b"same-origin"),
                    (b"cache-control", b"no-store"),
                ]
                if set_cookie:
                    cookie = f"{self._cookie}={self._pass}; HttpOnly; SameSite=Strict; Path=/"
                    added.append((b"set-cookie", cookie.encode()))
                message = {**message, "headers": [*message.get("headers", []), *added]}
            await send(message)

        await self._app({**scope, NONCE: nonce}, receive, send_with_headers)


def _is_same(given: str, wanted: str) -> bool:
    return secrets.compare_digest(given.encode(), wanted.encode())


def _cookie_value(header: str, name: str) -> str:
    try:
        morsel = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


async def _refuse(scope: Scope, send: Send, status: int, sentence: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{sentence}\n".encode()})
