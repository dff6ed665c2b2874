"""An OCI registry over its HTTP API (OCI distribution specification 1.1): manifests and blobs of one repository."""

import base64
import hashlib
import json
import os
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from distillery_storage import DigestMismatch, Unavailable

from ..errors import InputRefused

MANIFEST_TYPES = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG, PLAIN_HTTP = "DOCKER_AUTH_CONFIG", "OCI_PLAIN_HTTP"  # keys of storage.secretRef
LOCAL = ("localhost", "127.0.0.1")
TIMEOUT = 30.0  # seconds of silence
CHUNK = 8 * 1024 * 1024  # bytes


class TokenAuth(httpx.Auth):
    """Answers a challenge: with user and password, or with a token that the realm gives for them, or for nobody."""

    def __init__(self, credentials: str | None) -> None:
        self._basic = f"Basic {credentials}" if credentials else None
        self._header: str | None = None

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """The request, and once more after a challenge. Bodies are left to be streamed, but for the token's."""
        if self._header:
            request.headers["Authorization"] = self._header
        response = yield request
        scheme, _, rest = response.headers.get("www-authenticate", "").partition(" ")
        if response.status_code != 401:
            return
        if scheme.lower() == "bearer":
            answer = yield self._token_request(dict(re.findall(r'(\w+)="([^"]*)"', rest)))
            answer.read()
            self._header = f"Bearer {token_in(answer)}" if answer.is_success else None
        elif scheme.lower() == "basic":
            self._header = self._basic
        if self._header:
            request.headers["Authorization"] = self._header
            yield request

    def _token_request(self, challenge: dict[str, str]) -> httpx.Request:
        asked = {name: value for name, value in challenge.items() if name in ("service", "scope")}
        headers = {"Authorization": self._basic} if self._basic else {}
        return httpx.Request("GET", challenge.get("realm", ""), params=asked, headers=headers)


def token_in(answer: httpx.Response) -> str:
    """The token of a realm's answer; an empty one is refused by the registry."""
    try:
        body = answer.json()
        return str(body.get("token") or body.get("access_token") or "")
    except (ValueError, AttributeError):
        return ""


class Registry:
    """One repository of a registry. `field` names it in messages. A context manager that ends its connections.

    Every method raises InputRefused (SourceNotFound, AccessDenied, StorageRefused), DigestMismatch or Unavailable.
    """

    def __init__(self, host: str, repository: str, uri: str, field: str) -> None:
        self._uri, self._field = uri, field
        self._client = httpx.Client(
            base_url=f"{protocol_of(host)}://{host}/v2/{repository}/",
            auth=TokenAuth(credentials_for(host)),
            follow_redirects=True,  # to a store of blobs, which is not told who asks
            timeout=TIMEOUT,
        )

    def __enter__(self) -> "Registry":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def manifest(self, reference: str) -> tuple[dict[str, Any], str]:
        """The image manifest with this tag or digest, and its digest."""
        with self._get(f"manifests/{reference}", {"Accept": MANIFEST_TYPES}) as response:
            content = response.read()
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        if reference.startswith("sha256:") and digest != reference:
            raise DigestMismatch(f"{self._uri}: the registry gives a manifest with digest {digest}; ask its operator")
        try:
            manifest: dict[str, Any] = json.loads(content)
            manifest["layers"][0]["digest"]
        except (ValueError, LookupError, TypeError) as error:
            raise InputRefused(
                "ModelUnsupported",
                f"{self._field}.uri: {self._uri} is no manifest with layers, such as an index of several; name the"
                " artifact itself by its digest",
            ) from error
        return manifest, digest

    def blob(self, digest: str, path: Path) -> None:
        """Write the blob of this digest to a file; one with other bytes leaves none."""
        found = hashlib.sha256()
        with self._get(f"blobs/{digest}", {}) as response, path.open("wb") as file:
            for chunk in response.iter_raw(CHUNK):
                found.update(chunk)
                file.write(chunk)
        if f"sha256:{found.hexdigest()}" != digest:
            path.unlink()
            raise DigestMismatch(f"{self._uri}: blob {digest} has other bytes at the registry; push the artifact again")

    @contextmanager
    def _get(self, path: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
        try:
            with self._client.stream("GET", path, headers={"Accept-Encoding": "identity", **headers}) as response:
                if not response.is_success:
                    response.read()
                    raise self._trouble(response)
                yield response
        except (httpx.TransportError, httpx.TooManyRedirects, httpx.DecodingError) as error:
            raise Unavailable(
                f"{self._uri}: {self._client.base_url.host} does not answer: {type(error).__name__}: {error};"
                " check that pods can reach it"
            ) from error

    def _trouble(self, response: httpx.Response) -> Exception:
        status, place = response.status_code, f"{self._field}.uri: {self._uri}"
        if status == 404:
            return InputRefused("SourceNotFound", f"{place} is not there; correct the repository, its tag or digest")
        if status in (401, 403):
            return InputRefused(
                "AccessDenied",
                f"{place} may not be read ({status}): put a Docker configuration with the registry's user into the key"
                f" {DOCKER_CONFIG} of the Secret in storage.secretRef",
            )
        if status >= 500 or status in (408, 429):
            return Unavailable(f"{self._uri}: the registry answers with status {status}; check that it works")
        return InputRefused("StorageRefused", f"{place}: the registry refuses it ({status}): {response.text[:200]}")


def protocol_of(host: str) -> str:
    """http for this machine, as Docker has it, and for the registries that OCI_PLAIN_HTTP lists; https for others."""
    plain = os.environ.get(PLAIN_HTTP, "").replace(",", " ").split()
    return "http" if host in plain or host.partition(":")[0] in LOCAL else "https"


def credentials_for(host: str) -> str | None:
    """User and password in base64 of the Docker configuration in DOCKER_AUTH_CONFIG, where it names the registry.

    Raises InputRefused (AccessDenied) for one that cannot be read.
    """
    try:
        auths: dict[str, dict[str, str]] = json.loads(os.environ.get(DOCKER_CONFIG) or "{}").get("auths", {})
        for name, entry in auths.items():
            if host in (name, urlsplit(name).netloc):
                pair = f"{entry.get('username', '')}:{entry.get('password', '')}"
                return entry.get("auth") or base64.b64encode(pair.encode()).decode()
    except (ValueError, AttributeError) as error:
        raise InputRefused(
            "AccessDenied",
            f"storage.secretRef: the key {DOCKER_CONFIG} is no Docker configuration: {error}; write it as docker login"
            ' does: {"auths": {"HOST": {"auth": "…"}}}',
        ) from error
    return None
