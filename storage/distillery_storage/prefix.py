"""A place in storage: reads, writes, lists and streams objects below one uri."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import LocalStore, S3Store

from .errors import NotFound, StorageError, translated

CHUNK = 8 * 1024 * 1024  # bytes held in memory while a file streams


@dataclass(frozen=True)
class Entry:
    """One object: path relative to the prefix that was listed, size in bytes, and when it was last written (UTC)."""

    path: str
    size: int
    modified: datetime


@dataclass(frozen=True)
class Prefix:
    """A uri and the store behind it. Paths are relative, with '/', and never climb out with '..'."""

    uri: str
    store: S3Store | LocalStore
    root: str  # path of the uri inside the store, without slashes at the ends

    def child(self, rel: str) -> "Prefix":
        """The prefix one or more folders below this one."""
        return Prefix(self._uri(rel), self.store, self._key(rel))

    def read(self, path: str) -> bytes:
        """All bytes of an object. Raises NotFound, AccessDenied or Unavailable, as every method here."""
        with translated(self._uri(path)):
            return bytes(obstore.get(self.store, self._key(path)).bytes())

    def tail(self, path: str, count: int) -> tuple[bytes, int]:
        """The last `count` bytes of an object, or all of a shorter one, and how many there are in all."""
        with translated(self._uri(path)):
            found = obstore.get(self.store, self._key(path), options={"range": {"suffix": count}})
            return bytes(found.bytes()), found.meta["size"]

    def write(self, path: str, data: bytes) -> None:
        """Write an object in one step, over whatever is there."""
        with translated(self._uri(path)):
            obstore.put(self.store, self._key(path), data)

    def create(self, path: str, data: bytes) -> bool:
        """Write an object only where there is none; False, and nothing written, when there is one."""
        with translated(self._uri(path)):
            try:
                obstore.put(self.store, self._key(path), data, mode="create")
            except AlreadyExistsError:
                return False
            return True

    def exists(self, path: str) -> bool:
        """Whether there is an object (a folder is none)."""
        with translated(self._uri(path)):
            try:
                obstore.head(self.store, self._key(path))
            except FileNotFoundError:
                return False
            return True

    def list(self, prefix: str = "") -> list[str]:
        """Sorted paths, relative to this prefix, of every object in the folder `prefix` (whole segments)."""
        return [entry.path for entry in self.entries(prefix)]

    def entries(self, prefix: str = "") -> Sequence[Entry]:
        """What `list` gives, with sizes and times."""
        key = self._key(prefix) if prefix else self.root
        with translated(self._uri(prefix) if prefix else self.uri):
            found = [meta for page in obstore.list(self.store, prefix=key or None) for meta in page]
        below = len(self.root) + 1 if self.root else 0
        entries = (Entry(meta["path"][below:], meta["size"], meta["last_modified"]) for meta in found)
        return sorted(entries, key=lambda entry: entry.path)

    def delete(self, path: str) -> None:
        """Delete an object; one that is gone already is as good."""
        with translated(self._uri(path)), suppress(FileNotFoundError):
            obstore.delete(self.store, self._key(path))

    def download(self, path: str, to: Path) -> None:
        """Stream an object into a local file; folders are made, and a broken download leaves no file."""
        to.parent.mkdir(parents=True, exist_ok=True)
        part = to.with_name(to.name + ".part")
        try:
            with part.open("wb") as file:
                for chunk in self.stream(path):
                    file.write(chunk)
            part.replace(to)
        finally:
            part.unlink(missing_ok=True)

    def stream(self, path: str) -> Iterator[memoryview]:
        """The object's bytes in chunks of about CHUNK."""
        with translated(self._uri(path)):
            for chunk in obstore.get(self.store, self._key(path)).stream(min_chunk_size=CHUNK):
                yield memoryview(chunk)

    def upload(self, local: Path, path: str) -> None:
        """Stream a local file into storage, over whatever is there."""
        if not local.is_file():
            raise NotFound(f"{local}: no such local file, so nothing was written to {self._uri(path)}")
        with translated(self._uri(path)):
            obstore.put(self.store, self._key(path), local, chunk_size=CHUNK, max_concurrency=4)

    def _key(self, path: str) -> str:
        if not path or path.startswith("/") or ".." in path.split("/"):
            raise StorageError(f"{self.uri}: {path!r} is no path below it; use a relative one without '..'")
        return "/".join(part for part in (self.root, path.strip("/")) if part)

    def _uri(self, path: str) -> str:
        return f"{self.uri}/{path.strip('/')}"


def open_prefix(uri: str) -> Prefix:
    """The prefix at s3://bucket/path, pvc://claim/path (a mounted folder) or file:///absolute/path."""
    parts = urlsplit(uri)
    root = parts.path.strip("/")
    if ".." in root.split("/") or parts.query or parts.fragment:
        raise StorageError(f"{uri}: the path must not contain '..', '?' or '#'")
    with translated(uri):
        if parts.scheme == "s3" and parts.netloc:
            return Prefix(uri.rstrip("/"), _s3(parts.netloc), root)
        if parts.scheme == "pvc" and parts.netloc:
            return Prefix(uri.rstrip("/"), LocalStore(_claim(uri, parts.netloc)), root)
        if parts.scheme == "file" and not parts.netloc and root:
            return Prefix(uri.rstrip("/"), LocalStore("/"), root)
    raise StorageError(f"{uri}: write s3://bucket/path, pvc://claim/path or file:///absolute/path")


def read_uri(uri: str) -> bytes:
    """All bytes of the object at a full uri."""
    folder, name = split_uri(uri)
    return open_prefix(folder).read(name)


def download_uri(uri: str, dest: Path) -> None:
    """Stream the object at a full uri into the local file `dest`."""
    folder, name = split_uri(uri)
    open_prefix(folder).download(name, dest)


def split_uri(uri: str) -> tuple[str, str]:
    """The prefix and the name of the object at a full uri."""
    folder, _, name = uri.rpartition("/")
    if not name or not folder or folder.endswith("/"):
        raise StorageError(f"{uri}: name one object, as in s3://bucket/folder/file.parquet")
    return folder, name


def _claim(uri: str, claim: str) -> Path:
    folder = Path(os.environ.get("DISTILLERY_PVC_ROOT", "/mnt/pvc")) / claim
    if not folder.is_dir():
        raise NotFound(f"{uri}: claim {claim!r} is not mounted at {folder}; check its name and namespace")
    return folder


def _s3(bucket: str) -> S3Store:
    # Keys, region and endpoint come from the AWS_* variables. Plain HTTP only where the endpoint says so.
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")
    return S3Store(
        bucket,
        client_options={
            "allow_http": endpoint.startswith("http://"),
            "connect_timeout": timedelta(seconds=5),
            "read_timeout": timedelta(seconds=30),
            "timeout": timedelta(minutes=30),  # one object, from the first byte to the last
        },
        retry_config={  # rides out a restart of the store: about half a minute in all
            "max_retries": 10,
            "retry_timeout": timedelta(seconds=60),
            "backoff": {"init_backoff": timedelta(seconds=0.2), "max_backoff": timedelta(seconds=10)},
        },
    )
