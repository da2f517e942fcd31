"""Who may talk to the page: this machine's browser, with the session's token, from the page itself."""

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
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' {sockets}; frame-ancestors 'none'; "
    "form-action 'self'; base-uri 'self'"
)
"""Content policy of every answer: the browser itself refuses requests that would leave the machine."""


class Guard:
    """ASGI middleware that refuses every request, socket connections included, which is not the reader's own page.

    * `Host` must be this server's own address (403): a name that was made to resolve here (DNS rebinding) is not.
    * `Origin`, where a browser sends one, must be the page itself (403).
    * The token must come in the address or in the cookie that the first visit set (401).
    """

    def __init__(self, app: Application, *, token: str, port: int) -> None:
        """Wrap an application.

        Args:
            app: The application behind the guard.
            token: The session's token.
            port: The port the server listens on, part of its address and of the cookie's name.
        """
        self._app = app
        self._token = token
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self._cookie = f"ltml_review_{port}"
        self._policy = POLICY.format(sockets=" ".join(f"ws://{host}" for host in sorted(self._hosts)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        from_address = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
        if headers.get("host") not in self._hosts or not self._is_own_origin(headers.get("origin")):
            await _refuse(scope, send, 403, "This page answers its own address only.")
        elif self._is_token(from_address):
            await self._app(scope, receive, self._with_headers(send, set_cookie=True))
        elif self._is_token(_cookie_value(headers.get("cookie", ""), self._cookie)):
            await self._app(scope, receive, self._with_headers(send, set_cookie=False))
        else:
            await _refuse(scope, send, 401, "Open the address that the command printed: it holds the session's token.")

    def _is_own_origin(self, origin: str | None) -> bool:
        return origin is None or origin.removeprefix("http://") in self._hosts

    def _is_token(self, value: str) -> bool:
        return secrets.compare_digest(value.encode(), self._token.encode())

    def _with_headers(self, send: Send, *, set_cookie: bool) -> Send:
        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                added = [
                    (b"content-security-policy", self._policy.encode()),
                    (b"referrer-policy", b"no-referrer"),
                    (b"x-content-type-options", b"nosniff"),
                    (b"cross-origin-resource-policy", b"same-origin"),
                ]
                if set_cookie:
                    cookie = f"{self._cookie}={self._token}; HttpOnly; SameSite=Strict; Path=/"
                    added.append((b"set-cookie", cookie.encode()))
                message = {**message, "headers": [*message.get("headers", []), *added]}
            await send(message)

        return send_with_headers


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
    await send({"type": "http.response.body", "body": sentence.encode()})
