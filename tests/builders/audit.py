"""The API server's own record of who wrote what and when."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "verbs": ["create", "update", "patch", "delete"]}, {"level": "None"}],
}
CREDENTIAL = "authentication.kubernetes.io/credential-id"


@dataclass(frozen=True)
class Write:
    """A write that reached the API server, whatever it answered. `at` sorts by time."""

    at: str
    verb: str
    resource: str
    name: str


class Audit:
    """Give `flags()` to a kube-apiserver; tokens are told apart by their ids."""

    def __init__(self, folder: Path) -> None:
        self._policy, self._log = folder / "policy.yaml", folder / "audit.log"
        self._policy.write_text(yaml.safe_dump(POLICY))

    def flags(self) -> list[str]:
        return [f"--audit-policy-file={self._policy}", f"--audit-log-path={self._log}"]

    def writes(self, token: str) -> list[Write]:
        """All but to Leases, in order of arrival."""
        who = [f"JTI={token_id(token)}"]
        events = [json.loads(line) for line in self._log.read_text().splitlines()]
        ours = [event for event in events if event["user"].get("extra", {}).get(CREDENTIAL) == who]
        return sorted((write(e) for e in ours if e["objectRef"]["resource"] != "leases"), key=lambda w: w.at)


def write(event: dict[str, Any]) -> Write:
    """An audit event's essence."""
    target = event["objectRef"]
    return Write(event["requestReceivedTimestamp"], event["verb"], target["resource"], target.get("name", ""))


def token_id(token: str) -> str:
    """The `jti` of a JSON Web Token."""
    payload = token.split(".")[1]
    found: str = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["jti"]
    return found
