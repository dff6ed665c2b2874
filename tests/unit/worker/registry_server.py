"""An OCI registry of this process: manifests and blobs by digest, with the ways that registries ask who it is."""

import base64
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from local_http import send, serving

REPOSITORY = "team/small"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
TITLE, FILEPATH = "org.opencontainers.image.title", "org.cncf.model.filepath"


@dataclass
class OciRegistry:
    """What it holds and what it was asked. `user`: user:password that it asks for, in the way of `scheme`."""

    host: str
    tags: dict[str, str] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)  # manifests and blobs by digest
    user: str = ""
    scheme: str = "Bearer"
    status: int = 0  # that it answers with, whatever is asked
    elsewhere: str = ""  # where blobs are redirected to
    asked: list[tuple[str, str]] = field(default_factory=list)  # path and Authorization

    def add(self, data: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.contents[digest] = data
        return digest

    def push(self, layers: list[dict[str, Any]], tag: str = "v1") -> str:
        """The digest of a new manifest with these layers."""
        body = {"schemaVersion": 2, "mediaType": MANIFEST, "layers": layers}
        self.tags[tag] = self.add(json.dumps(body).encode())
        return self.tags[tag]

    def file(self, name: str, data: bytes, annotation: str = TITLE, media_type: str = "text/plain") -> dict[str, Any]:
        """A layer that is one file."""
        return {"mediaType": media_type, "digest": self.add(data), "annotations": {annotation: name}}

    def archive(self, files: dict[str, bytes], media_type: str, **annotations: str) -> dict[str, Any]:
        """A layer that is a tar archive."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz" if media_type.endswith("gzip") else "w") as archive:
            for name, data in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
        return {"mediaType": media_type, "digest": self.add(buffer.getvalue()), "annotations": annotations}


@contextmanager
def oci_registry() -> Iterator[OciRegistry]:
    """A running registry at 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self, served)

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as port:
        served = OciRegistry(f"127.0.0.1:{port}")
        yield served


def answer(request: BaseHTTPRequestHandler, served: OciRegistry) -> None:
    """Route one request."""
    path, _, query = request.path.partition("?")
    authorization = request.headers.get("Authorization", "")
    served.asked.append((path, authorization))
    basic = f"Basic {base64.b64encode(served.user.encode()).decode()}"
    if served.status:
        send(request, served.status, b"")
    elif path == "/token":
        send(request, 200 if authorization == basic and "scope=" in query else 401, b'{"token": "sesame"}')
    elif served.user and authorization != (basic if served.scheme == "Basic" else "Bearer sesame"):
        realm = f'realm="http://{served.host}/token",service="registry",scope="repository:{REPOSITORY}:pull"'
        send(request, 401, b"", {"WWW-Authenticate": f"{served.scheme} {realm}"})
    else:
        send_content(request, served, path)


def send_content(request: BaseHTTPRequestHandler, served: OciRegistry, path: str) -> None:
    """A manifest by tag or digest, or a blob by digest."""
    kind, _, reference = path.removeprefix(f"/v2/{REPOSITORY}/").partition("/")
    data = served.contents.get(served.tags.get(reference, reference))
    if kind == "blobs" and served.elsewhere:
        send(request, 307, b"", {"Location": f"{served.elsewhere}{path}"})
    elif data is None or kind not in ("manifests", "blobs"):
        send(request, 404, b"{}")
    else:
        send(request, 200, data, {"Content-Type": MANIFEST})
