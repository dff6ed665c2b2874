"""A Hugging Face hub of this process: one repository with branches, over the parts of its API that downloads use."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote, urlsplit

from local_http import send, serving

Files = dict[str, bytes]


@dataclass
class Hub:
    """What it holds and what it was asked. `token`: asked for everywhere, where it is not empty."""

    url: str
    repository: str
    commits: dict[str, Files]
    branches: dict[str, str]  # branch -> commit
    token: str = ""
    status: int = 0  # that it answers with, whatever is asked
    fetched: list[str] = field(default_factory=list)


@contextmanager
def hub(repository: str, commits: dict[str, Files], branches: dict[str, str]) -> Iterator[Hub]:
    """A running hub at 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            answer(self, served)

        def do_GET(self) -> None:
            answer(self, served)

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as port:
        served = Hub(f"http://127.0.0.1:{port}", repository, commits, branches)
        yield served


def answer(request: BaseHTTPRequestHandler, served: Hub) -> None:
    """Route one request."""
    path = unquote(urlsplit(request.path).path)
    api, files = f"/api/models/{served.repository}/", f"/{served.repository}/resolve/"
    if served.status:
        send(request, served.status, b"")
    elif served.token and request.headers.get("Authorization") != f"Bearer {served.token}":
        send(request, 401, b"", {"X-Error-Code": "RepoNotFound"})
    elif path.startswith(f"{api}revision/"):
        listing(request, served, path.removeprefix(f"{api}revision/"))
    elif path.startswith(f"{api}tree/"):
        tree(request, served, path.removeprefix(f"{api}tree/"))
    elif path.startswith(files):
        commit, _, name = path.removeprefix(files).partition("/")
        content(request, served, commit, name)
    else:
        send(request, 404, b"", {"X-Error-Code": "RepoNotFound"})


def listing(request: BaseHTTPRequestHandler, served: Hub, revision: str) -> None:
    """What a revision is: its commit and its files."""
    commit = served.branches.get(revision, revision)
    if commit not in served.commits:
        send(request, 404, b"", {"X-Error-Code": "RevisionNotFound"})
        return
    files = [{"rfilename": name} for name in served.commits[commit]]
    send_json(request, {"id": served.repository, "sha": commit, "siblings": files, "tags": [], "private": False})


def tree(request: BaseHTTPRequestHandler, served: Hub, commit: str) -> None:
    """Files of a commit with their sizes."""
    files = served.commits[commit].items()
    send_json(request, [{"type": "file", "path": name, "size": len(data), "oid": oid(data)} for name, data in files])


def content(request: BaseHTTPRequestHandler, served: Hub, commit: str, name: str) -> None:
    """One file."""
    data = served.commits[commit][name]
    if request.command == "GET":
        served.fetched.append(name)
    send(request, 200, data, {"ETag": f'"{oid(data)}"', "X-Repo-Commit": commit})


def oid(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def send_json(request: BaseHTTPRequestHandler, body: Any) -> None:
    send(request, 200, json.dumps(body).encode(), {"Content-Type": "application/json"})
