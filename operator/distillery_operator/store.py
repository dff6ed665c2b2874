"""What the operator believes about the cluster: observed objects, trimmed, by kind and place."""

from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from sys import intern
from typing import Any

from .names import BATCH_JOB, INDEX, OWNER_NAME, OWNER_UID, POD, Kind

BURIED = 20_000  # uids of deleted objects that are remembered; a uid never comes back
SHORT = 80  # characters of a string that is likely to come again

Object = dict[str, Any]
Key = tuple[str, str]  # namespace, name


def key_of(obj: Object) -> Key:
    """Namespace and name."""
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


def trimmed(kind: Kind, obj: Object) -> Object:
    """The object less what no decision reads, which is most of its bytes: field ownership, and templates of pods."""
    metadata = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
    if kind not in (BATCH_JOB, POD):
        return {**obj, "metadata": metadata}
    notes = metadata.pop("annotations", {})
    if INDEX in notes:
        metadata["annotations"] = {INDEX: notes[INDEX]}
    return {"metadata": metadata, "spec": read_of_spec(obj.get("spec", {})), "status": obj.get("status", {})}


def read_of_spec(spec: Object) -> Object:
    """What decisions read of the spec of a Job or a pod."""
    kept: Object = {name: spec[name] for name in ("suspend", "backoffLimit") if name in spec}
    if "containers" in spec:
        kept["containers"] = [{"image": container["image"]} for container in spec["containers"]]
    return kept


def shared(value: Any) -> Any:
    """A copy in which equal short strings are one object: each watch event brings its own of every key and label."""
    if isinstance(value, dict):
        return {intern(key): shared(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shared(item) for item in value]
    return intern(value) if isinstance(value, str) and len(value) <= SHORT else value


def version_of(obj: Object) -> int:
    """resourceVersion as a number: comparable within one resource since Kubernetes 1.35, and with etcd always."""
    return int(obj["metadata"].get("resourceVersion") or 0)


class Store:
    """A cache that never moves back: older versions of an object it holds are ignored."""

    def __init__(self) -> None:
        self._objects: dict[Kind, dict[Key, Object]] = defaultdict(dict)
        self._by_owner: dict[Kind, dict[str, set[Key]]] = defaultdict(lambda: defaultdict(set))
        self._buried: OrderedDict[str, None] = OrderedDict()

    def put(self, kind: Kind, obj: Object) -> bool:
        """Remember the object; False when a newer or equal version is held, or it is known to be deleted."""
        if obj["metadata"]["uid"] in self._buried:
            return False
        key, held = key_of(obj), self._objects[kind].get(key_of(obj))
        same = held is not None and held["metadata"]["uid"] == obj["metadata"]["uid"]
        if same and held is not None and version_of(held) >= version_of(obj):
            return False
        if held is not None:
            self._unlink(kind, key, held)
        self._objects[kind][key] = shared(trimmed(kind, obj))
        owner = obj["metadata"].get("labels", {}).get(OWNER_UID)
        if owner:
            self._by_owner[kind][owner].add(key)
        return True

    def remove(self, kind: Kind, key: Key, uid: str) -> bool:
        """Forget the object, unless another one took its name meanwhile."""
        self._bury(uid)  # also where it was never held: its LIST may still be on the way
        held = self._objects[kind].get(key)
        if held is None or held["metadata"]["uid"] != uid:
            return False
        self._unlink(kind, key, held)
        del self._objects[kind][key]
        return True

    def _bury(self, uid: str) -> None:
        """A LIST or a late event from before the deletion must not bring the object back."""
        self._buried[uid] = None
        while len(self._buried) > BURIED:
            self._buried.popitem(last=False)

    def lacks(self, kind: Kind, obj: Object) -> bool:
        """Whether this version of the object is news: neither held, nor older than what is, nor deleted since."""
        if obj["metadata"]["uid"] in self._buried:
            return False
        held = self._objects[kind].get(key_of(obj))
        return held is None or version_of(held) < version_of(obj)

    def _unlink(self, kind: Kind, key: Key, held: Object) -> None:
        owner = held["metadata"].get("labels", {}).get(OWNER_UID)
        if owner:
            owned = self._by_owner[kind][owner]
            owned.discard(key)
            if not owned:
                del self._by_owner[kind][owner]

    def get(self, kind: Kind, key: Key) -> Object | None:
        """The object at that place."""
        return self._objects[kind].get(key)

    def all(self, kind: Kind) -> list[Object]:
        """Every object of the kind."""
        return list(self._objects[kind].values())

    def owned(self, kind: Kind, uid: str) -> list[Object]:
        """Children of an owner, by name."""
        keys = self._by_owner[kind].get(uid, ())
        return [self._objects[kind][key] for key in sorted(keys)]

    def replace(self, kind: Kind, listed: Iterable[Object], listed_at: int) -> list[Object]:
        """Take a full LIST as the truth: returns the objects that vanished.

        `listed_at` is the LIST's resourceVersion: what was stored later is kept.
        """
        present = {key_of(obj): obj for obj in listed}
        for obj in present.values():
            self.put(kind, obj)
        gone = [
            obj for key, obj in list(self._objects[kind].items()) if key not in present and version_of(obj) <= listed_at
        ]
        for obj in gone:
            self.remove(kind, key_of(obj), obj["metadata"]["uid"])
        return gone

    def owner_of(self, obj: Object) -> Key | None:
        """Place of the parent that the object's labels name."""
        name = obj["metadata"].get("labels", {}).get(OWNER_NAME)
        return (obj["metadata"]["namespace"], name) if name else None
