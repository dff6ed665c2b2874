"""At start: the stored CRDs must be the ones that this operator was built with."""

from typing import Any

from distillery_api.crd import distillationjobs, distilledmodels

from .cluster import Cluster
from .names import CRD


class SchemaMismatchError(Exception):
    """The cluster's CRD is missing or another version's: fields would be lost silently."""


async def check_schemas(cluster: Cluster) -> None:
    """Raise SchemaMismatchError that names the CRD and the fix."""
    for wanted in (distillationjobs(), distilledmodels()):
        name = wanted["metadata"]["name"]
        held = await cluster.get(CRD, None, name)
        if held is None or held["metadata"].get("deletionTimestamp"):
            raise SchemaMismatchError(
                f"the CRD {name} is not installed; set crds.enabled=true in the chart, or apply crds/"
            )
        if version(held)["schema"] != version(wanted)["schema"]:
            raise SchemaMismatchError(
                f"the CRD {name} is of another version; run `helm upgrade` with crds.enabled=true, or apply crds/"
            )


def version(crd: dict[str, Any]) -> dict[str, Any]:
    """The only version of the CRD."""
    found: dict[str, Any] = crd["spec"]["versions"][0]
    return found
