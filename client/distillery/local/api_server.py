"""The objects of a local run, as the API server would hold them: uids, versions, and children that go with parents."""

import copy
import datetime as dt
import uuid

from distillery_operator.names import POD, Kind
from distillery_operator.store import Object, Store


def now() -> str:
    """The time as Kubernetes writes it."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class ApiServer:
    """Writes into the operator's store, each version newer than all before."""

    def __init__(self) -> None:
        self.store = Store()
        self._version = 0

    def create(self, kind: Kind, obj: Object) -> None:
        """A new object; it gets its uid and its time."""
        obj["metadata"] |= {"uid": str(uuid.uuid4()), "creationTimestamp": now(), "generation": 1}
        self.update(kind, obj)

    def update(self, kind: Kind, obj: Object) -> None:
        """A newer version of the object."""
        self._version += 1
        obj["metadata"]["resourceVersion"] = str(self._version)
        self.store.put(kind, copy.deepcopy(obj))

    def remove(self, kind: Kind, obj: Object) -> None:
        """Delete the object and the pods that it owns."""
        metadata = obj["metadata"]
        for pod in self.store.all(POD):
            if any(owner["uid"] == metadata["uid"] for owner in pod["metadata"].get("ownerReferences", ())):
                place = (pod["metadata"]["namespace"], pod["metadata"]["name"])
                self.store.remove(POD, place, pod["metadata"]["uid"])
        self.store.remove(kind, (metadata["namespace"], metadata["name"]), metadata["uid"])
