"""Events on parents: the name is made of the content, so the same event is stored once."""

import logging
from collections import OrderedDict

from distillery_api.digests import digest_of

from .cluster import ApiError, Cluster
from .event_reasons import closed
from .names import EVENT, FIELD_MANAGER
from .plans import Note
from .store import Object

log = logging.getLogger(__name__)

REMEMBERED = 4096


class Recorder:
    """Posts events; a failure to post is logged and never stops a pass."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._posted: OrderedDict[str, None] = OrderedDict()

    async def post(self, parent: Object, note: Note, now: str) -> None:
        """Post unless this very event was posted already."""
        metadata = parent["metadata"]
        name = f"{metadata['name']}.{digest_of([metadata['uid'], note.reason, note.message])[7:23]}"
        if name in self._posted:
            return
        body = event(parent, note, name, now)
        try:
            await self._cluster.create(EVENT, body)
        except ApiError as error:
            if error.status != 409:  # an earlier process posted it
                log.warning("event not posted: %s", error, extra={"reason": note.reason})
                return
        self._posted[name] = None
        while len(self._posted) > REMEMBERED:
            self._posted.popitem(last=False)


def event(parent: Object, note: Note, name: str, now: str) -> Object:
    """A core/v1 Event, with a reason of the closed list."""
    metadata = parent["metadata"]
    reason, message = closed(note.reason, note.message)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": metadata["namespace"]},
        "involvedObject": {
            "apiVersion": parent["apiVersion"], "kind": parent["kind"], "name": metadata["name"],
            "namespace": metadata["namespace"], "uid": metadata["uid"],
        },
        "type": note.type, "reason": reason, "message": message[:1024],
        "source": {"component": FIELD_MANAGER}, "reportingComponent": FIELD_MANAGER,
        "firstTimestamp": now, "lastTimestamp": now, "count": 1,
    }  # fmt: skip
