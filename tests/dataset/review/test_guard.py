"""No token, another origin, another host: refused, for pages and for sockets alike."""

import asyncio
import re
from typing import Any

import pytest

from ltml_dataset.review.guard import Guard

TOKEN, PORT = "secret-token", 8420
OWN = f"127.0.0.1:{PORT}"


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"report"})


def ask(query: str = "", kind: str = "http", port: int = PORT, **headers: str) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    scope = {
        "type": kind,
        "query_string": query.encode(),
        "headers": [
            (name.encode(), value.encode()) for name, value in {"host": f"127.0.0.1:{port}", **headers}.items()
        ],
    }
    asyncio.run(Guard(application, token=TOKEN, port=port)(scope, receive, send))
    return sent


def cookie(port: int = PORT) -> str:
    headers = dict(ask(f"token={TOKEN}", port=port)[0]["headers"])
    return str(headers[b"set-cookie"].decode().split(";")[0])


def test_the_address_with_the_token_opens_and_sets_a_cookie_for_this_browser_only() -> None:
    start = ask(f"token={TOKEN}")[0]
    headers = dict(start["headers"])
    assert start["status"] == 200
    assert b"HttpOnly" in headers[b"set-cookie"]
    assert b"SameSite=Strict" in headers[b"set-cookie"]
    assert headers[b"cache-control"] == b"no-store"


def test_the_policy_allows_one_script_by_its_nonce_and_nothing_inline() -> None:
    policies = [dict(ask(f"token={TOKEN}")[0]["headers"])[b"content-security-policy"].decode() for _ in range(2)]
    directives = [dict(part.strip().split(" ", 1) for part in policy.split(";")) for policy in policies]
    for directive in directives:
        assert directive["default-src"] == "'none'"
        assert re.fullmatch(r"'nonce-[\w-]{20,}'", directive["script-src"])
    assert "unsafe" not in "".join(policies)
    assert directives[0]["script-src"] != directives[1]["script-src"], "a nonce is used once"


def test_the_cookie_opens_the_next_pages() -> None:
    start = ask(cookie=f"other=1; {cookie()}")[0]
    assert start["status"] == 200
    assert b"set-cookie" not in dict(start["headers"])


def test_the_cookie_holds_no_token_and_opens_its_own_port_only() -> None:
    assert TOKEN not in cookie()
    assert ask(cookie=f"ltml_review_{PORT}={TOKEN}")[0]["status"] == 401
    value = cookie().split("=")[1]
    assert ask(port=PORT + 1, cookie=f"{cookie()}; ltml_review_{PORT + 1}={value}")[0]["status"] == 401
    assert ask(port=PORT + 1, cookie=cookie(PORT + 1))[0]["status"] == 200


@pytest.mark.parametrize("query", ["", "token=", "token=wrong", f"token={TOKEN}x", "token=%C3%A9"])
def test_without_the_token_the_answer_is_401(query: str) -> None:
    sent = ask(query)
    assert sent[0]["status"] == 401
    assert b"report" not in sent[1]["body"]


@pytest.mark.parametrize("origin", ["http://evil.example", f"https://{OWN}", "http://127.0.0.1:9", "null"])
def test_another_origin_is_refused_even_with_the_token(origin: str) -> None:
    assert ask(f"token={TOKEN}", origin=origin)[0]["status"] == 403


def test_a_name_made_to_resolve_to_this_machine_is_refused() -> None:
    assert ask(f"token={TOKEN}", host=f"evil.example:{PORT}")[0]["status"] == 403


def test_a_tunnel_to_another_port_is_told_to_keep_the_port() -> None:
    start, body = ask(f"token={TOKEN}", host="localhost:9000")
    assert start["status"] == 403
    assert "keep the port the same at both ends" in body["body"].decode()
    assert f"ssh -L {PORT}:127.0.0.1:{PORT}" in body["body"].decode()


def test_sockets_are_guarded_too() -> None:
    assert ask(kind="websocket")[0]["type"] == "websocket.close"
    evil = ask(kind="websocket", origin="http://evil.example", cookie=cookie())
    assert evil[0]["type"] == "websocket.close"
    assert ask(kind="websocket", origin=f"http://{OWN}", cookie=cookie())[0]["type"] == "websocket.accept"
