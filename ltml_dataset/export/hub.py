"""Upload of a finished folder, only ever on request."""

from pathlib import Path

from ltml_dataset.errors import UserError
from ltml_dataset.export.manifest import differences, read_manifest


def push_to_hub(folder: Path, repository: str, *, credentialed: bool) -> str:
    """Upload a data set to the Hugging Face hub, into a private repository.

    Args:
        folder: Folder written by `build` or `split`; it must be as its manifest says.
        repository: `user/name`; made as a private data set if it does not exist.
        credentialed: The reports are under a data use agreement: a repository that is public is refused.

    Returns:
        Address of the commit.

    Raises:
        UserError: The folder was changed, the repository is public, or the hub refuses.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError

    problems = differences(folder)
    if problems:
        raise UserError(f"`{folder}` is not as its manifest says ({problems[0]}): build it again before the upload.")
    api = HfApi()
    try:
        api.create_repo(repository, repo_type="dataset", private=True, exist_ok=True)
        if credentialed and not api.repo_info(repository, repo_type="dataset").private:
            raise UserError(f"`{repository}` is public on the hub: make it private first, or give another name.")
        commit = api.upload_folder(
            repo_id=repository,
            repo_type="dataset",
            folder_path=folder,
            allow_patterns=[*read_manifest(folder).files, "manifest.json"],
            commit_message="Upload data set",
        )
    except (HfHubHTTPError, HFValidationError, LocalTokenNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"`{folder}` is finished, but the hub did not take it as `{repository}` ({reason}): sign in with "
            "`hf auth login` and repeat the call; nothing is labelled again."
        ) from None
    return str(commit)
