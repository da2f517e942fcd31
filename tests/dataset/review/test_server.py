"""The address that the command prints is its own, whoever starts beside it."""

import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from review_folder import make_folder
from review_server import Server

from ltml_dataset.errors import UserError
from ltml_dataset.review.server import _listen


def test_pages_started_at_once_answer_each_at_its_own_address(tmp_path: Path) -> None:
    folders = []
    for reader in "abcd":
        (tmp_path / reader).mkdir()
        folders.append(make_folder(tmp_path / reader))
    with ThreadPoolExecutor(len(folders)) as pool:
        servers = list(pool.map(Server, folders))
    try:
        assert len({server.root for server in servers}) == len(servers)
        for server in servers:
            with urllib.request.urlopen(server.address, timeout=10) as answer:
                assert answer.status == 200
    finally:
        printed = [server.kill() for server in servers]
    assert all("error" not in text.lower() for text in printed)


def test_a_port_that_is_taken_is_the_users_to_change() -> None:
    with _listen(None) as first:
        port = first.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} of 127.0.0.1 is taken"):
            _listen(port)
        with _listen(None) as second:
            assert second.getsockname()[1] != port
