"""A model folder at a revision of a repository on a Hugging Face hub. HF_ENDPOINT, HF_TOKEN and HF_HOME count."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from distillery_api.sources import HUB, at_revision
from distillery_storage import Unavailable
from huggingface_hub import HfApi, constants, is_offline_mode, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    XetDownloadError,
)

from ..errors import InputRefused
from .wanted import SUFFIXES, wanted

PATTERNS = [f"*{suffix}" for suffix in SUFFIXES]
BELOW_THE_TOP = ["*/*"]
PATIENCE = 30.0  # seconds for the list of a repository's files
SAFETENSORS, GGUF = ".safetensors", ".gguf"


def pull_from_hub(uri: str, field: str, dest: Path) -> str:
    """Fetch hf://org/name@revision into the hub's cache and link the model's files into the empty folder `dest`.

    Gives the address with the commit. Raises InputRefused (SourceNotFound, AccessDenied, StorageRefused,
    ModelUnsupported) and Unavailable.
    """
    address = re.fullmatch(HUB, uri)
    assert address is not None  # noqa: S101 - the API takes no other
    with refusals(uri, field):
        if not is_offline_mode():
            check_files(address[1], address[2], uri, field)
        snapshot = Path(
            snapshot_download(
                address[1], revision=address[2], allow_patterns=PATTERNS, ignore_patterns=BELOW_THE_TOP,
                local_files_only=is_offline_mode(),
            )
        )  # fmt: skip
    for file in snapshot.iterdir():
        if wanted(file.name):
            (dest / file.name).symlink_to(file.resolve())
    return at_revision(uri, snapshot.name)


def check_files(repository: str, revision: str, uri: str, field: str) -> None:
    """Raise InputRefused (ModelUnsupported) before several models are fetched where one is meant."""
    found = HfApi().model_info(repository, revision=revision, timeout=PATIENCE)
    names = [file.rfilename for file in found.siblings or () if wanted(file.rfilename)]
    files = [name for name in names if name.endswith(GGUF)]
    if len(files) > 1 and not any(name.endswith(SAFETENSORS) for name in names):
        raise InputRefused(
            "ModelUnsupported",
            f"{field}.uri: {uri} holds {len(files)} .gguf files, {files[0]} and others; name a repository with one,"
            " or copy one to a folder in storage",
        )


@contextmanager
def refusals(uri: str, field: str) -> Iterator[None]:
    """Turn the hub's errors into ours."""
    try:
        yield
    except GatedRepoError as error:
        raise denied(uri, field, "is gated: accept its terms on the hub's page, and") from error
    except RepositoryNotFoundError as error:
        raise InputRefused(
            "SourceNotFound",
            f"{field}.uri: {uri} is not at {constants.ENDPOINT}, or is private; correct the name, or put a token that"
            " may read it into the key HF_TOKEN of the Secret in storage.secretRef",
        ) from error
    except RevisionNotFoundError as error:
        raise InputRefused(
            "SourceNotFound",
            f"{field}.uri: {uri}: the repository has no such revision; name a branch, a tag or a commit of it",
        ) from error
    except LocalEntryNotFoundError as error:
        raise not_cached(uri, field) from error
    except HfHubHTTPError as error:
        raise http_error(uri, field, error) from error
    except (httpx.TransportError, XetDownloadError) as error:
        raise unavailable(uri, str(error) or type(error).__name__) from error


def not_cached(uri: str, field: str) -> Exception:
    """Why files are not in the cache: nobody may ask the hub, or it did not answer."""
    if not is_offline_mode():
        return unavailable(uri, "the download broke off")
    return InputRefused(
        "SourceNotFound",
        f"{field}.uri: {uri} is not whole in the hub's cache at {constants.HF_HUB_CACHE}, and HF_HUB_OFFLINE forbids to"
        " ask the hub; unset it, fill the cache, or copy the model to a folder in storage",
    )


def http_error(uri: str, field: str, error: HfHubHTTPError) -> Exception:
    """By status: no right, an outage, or a refusal in the hub's words."""
    status = error.response.status_code
    if status in (401, 403):
        return denied(uri, field, f"is refused ({status}):")
    if status >= 500 or status in (408, 429):
        return unavailable(uri, f"status {status}")
    words = (error.server_message or str(error)).splitlines()[0]
    return InputRefused("StorageRefused", f"{field}.uri: {uri} is refused ({status}): {words}; correct the uri")


def denied(uri: str, field: str, why: str) -> InputRefused:
    """No token, or one without the right."""
    return InputRefused(
        "AccessDenied",
        f"{field}.uri: {uri} {why} put a token that may read it into the key HF_TOKEN of the Secret in"
        " storage.secretRef",
    )


def unavailable(uri: str, why: str) -> Unavailable:
    """Another try may mend it."""
    return Unavailable(f"{uri}: {constants.ENDPOINT} does not answer: {why}; check that pods can reach it")
