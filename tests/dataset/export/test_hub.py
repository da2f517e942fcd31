"""Upload: what is sent, where to, and what is refused; nothing leaves this machine."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from small_folder import fill

from ltml_dataset.errors import UserError
from ltml_dataset.export.hub import push_to_hub


class RecordingApi:
    """Takes the place of the hub."""

    calls: list[tuple[str, dict[str, Any]]]
    is_private = True

    def create_repo(self, repository: str, **options: Any) -> None:
        self.calls.append(("create", {"repository": repository, **options}))

    def repo_info(self, repository: str, **_: Any) -> SimpleNamespace:
        return SimpleNamespace(private=self.is_private)

    def upload_folder(self, **options: Any) -> str:
        self.calls.append(("upload", options))
        return "https://hub.example/commit"


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> type[RecordingApi]:
    class Api(RecordingApi):
        calls: list[tuple[str, dict[str, Any]]] = []  # noqa: RUF012

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    return Api


def test_upload_is_private_and_only_of_listed_files(tmp_path: Path, api: type[RecordingApi]) -> None:
    fill(tmp_path)
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "labels.arrow").write_text("x")
    assert push_to_hub(tmp_path, "me/set", credentialed=True) == "https://hub.example/commit"
    (_, created), (_, uploaded) = api.calls
    assert created["private"] is True
    assert created["repo_type"] == uploaded["repo_type"] == "dataset"
    assert sorted(uploaded["allow_patterns"]) == [
        "README.md",
        "data/test-00000-of-00001.parquet",
        "data/train-00000-of-00001.parquet",
        "manifest.json",
    ]


def test_a_public_repository_is_refused_for_credentialed_data(tmp_path: Path, api: type[RecordingApi]) -> None:
    fill(tmp_path)
    api.is_private = False
    with pytest.raises(UserError, match="is public"):
        push_to_hub(tmp_path, "me/set", credentialed=True)
    assert [name for name, _ in api.calls] == ["create"]


def test_a_changed_folder_is_not_uploaded(tmp_path: Path, api: type[RecordingApi]) -> None:
    fill(tmp_path)
    (tmp_path / "README.md").write_text("changed")
    with pytest.raises(UserError, match="not as its manifest"):
        push_to_hub(tmp_path, "me/set", credentialed=False)
    assert api.calls == []


def test_a_refusal_of_the_hub_is_one_sentence(
    tmp_path: Path, api: type[RecordingApi], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("no route to the hub\nsecond line")

    fill(tmp_path)
    monkeypatch.setattr(api, "create_repo", refuse)
    with pytest.raises(UserError, match=r"no route to the hub\): sign in"):
        push_to_hub(tmp_path, "me/set", credentialed=False)
