"""What the API server holds of a pod's own namespace, by the pod's ServiceAccount, without a Kubernetes client."""

import json
import os
import ssl
import urllib.parse
import urllib.request
from pathlib import Path

from distillery_api import GROUP, VERSION
from distillery_operator.names import JOB, MODEL
from distillery_operator.store import Object

from ..errors import Refused

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
API = "https://{host}:{port}"
PAGE = 500  # objects
PATIENCE = 60.0  # seconds for a page


def read_cluster() -> list[Object]:
    """DistillationJobs and DistilledModels of the namespace. Raises Refused for anything less than all of them."""
    try:
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
        namespace, token = ((ACCOUNT / name).read_text().strip() for name in ("namespace", "token"))
        context = ssl.create_default_context(cafile=ACCOUNT / "ca.crt")
        root = API.format(host=f"[{host}]" if ":" in host else host, port=port)
        paths = (f"{root}/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{kind.plural}" for kind in (JOB, MODEL))
        kinds = (JOB.kind, MODEL.kind)
        # Items of a list carry no kind of their own.
        return [{**item, "kind": kind} for kind, path in zip(kinds, paths, strict=True)
                for item in listed(path, token, context)]  # fmt: skip
    except (OSError, KeyError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise Refused(
            f"--in-cluster: the API server's objects cannot be read ({reason}); nothing was deleted"
        ) from error


def listed(path: str, token: str, context: ssl.SSLContext) -> list[Object]:
    """All objects of a collection, page by page."""
    found: list[Object] = []
    following = ""
    while True:
        query = urllib.parse.urlencode({"limit": PAGE, "continue": following})
        request = urllib.request.Request(f"{path}?{query}", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=PATIENCE, context=context) as answer:
            page = json.load(answer)
        found += page["items"]
        following = page["metadata"].get("continue", "")
        if not following:
            return found
