"""The store never moves back and forgets what is gone."""

import json
from typing import Any

from distillery_operator.names import BATCH_JOB, INDEX, OWNER_NAME, OWNER_UID, POD
from distillery_operator.store import Store


def pod(name: str, version: int, uid: str = "u", owner: str | None = None) -> dict[str, Any]:
    labels = {OWNER_UID: owner, OWNER_NAME: "parent"} if owner else {}
    return {"metadata": {"namespace": "n", "name": name, "uid": uid, "resourceVersion": str(version), "labels": labels,
                         "managedFields": [{}]}}  # fmt: skip


def test_an_older_version_is_ignored():
    store = Store()
    assert store.put(POD, pod("a", 5))
    assert not store.put(POD, pod("a", 4))
    assert not store.put(POD, pod("a", 5))
    assert store.get(POD, ("n", "a"))["metadata"]["resourceVersion"] == "5"


def test_an_object_created_again_replaces_the_old_one_whatever_its_version():
    store = Store()
    store.put(POD, pod("a", 5, uid="old", owner="x"))
    assert store.put(POD, pod("a", 3, uid="new", owner="y"))
    assert store.owned(POD, "x") == []
    assert len(store.owned(POD, "y")) == 1


def test_a_late_delete_of_the_old_object_does_not_remove_the_new_one():
    store = Store()
    store.put(POD, pod("a", 5, uid="new"))
    assert not store.remove(POD, ("n", "a"), "old")
    assert store.get(POD, ("n", "a"))


def test_a_list_purges_what_is_gone_and_keeps_what_is_newer_than_itself():
    store = Store()
    store.put(POD, pod("gone", 5, uid="g"))
    store.put(POD, pod("later", 20, uid="l"))
    gone = store.replace(POD, [pod("listed", 7)], listed_at=10)
    assert [obj["metadata"]["name"] for obj in gone] == ["gone"]
    assert sorted(obj["metadata"]["name"] for obj in store.all(POD)) == ["later", "listed"]


def test_field_ownership_is_not_kept():
    store = Store()
    store.put(POD, pod("a", 1))
    assert "managedFields" not in store.get(POD, ("n", "a"))["metadata"]


def test_a_list_shows_what_a_watch_did_not_bring():
    store = Store()
    store.put(POD, pod("a", 5))
    assert not store.lacks(POD, pod("a", 5))
    assert store.lacks(POD, pod("a", 6))
    assert store.lacks(POD, pod("b", 1, uid="another"))


def test_a_list_from_before_a_deletion_neither_brings_the_object_back_nor_counts_as_missed():
    store = Store()
    store.put(POD, pod("a", 5))
    store.remove(POD, ("n", "a"), "u")
    assert not store.lacks(POD, pod("a", 5))
    store.replace(POD, [pod("a", 5)], listed_at=6)
    assert store.all(POD) == []
    assert not store.put(POD, pod("a", 7))


def test_of_jobs_and_pods_the_store_keeps_what_decisions_read():
    store = Store()
    container = {"name": "worker", "image": "registry/worker@sha256:1", "env": [{"name": "HOME", "value": "/tmp"}]}
    held = pod("a", 1)
    held["metadata"]["annotations"] = {"distillery.dev/run": "{}", INDEX: "3"}
    store.put(POD, {**held, "spec": {"containers": [container], "volumes": []}, "status": {"phase": "Running"}})
    kept = store.get(POD, ("n", "a"))
    assert kept["spec"] == {"containers": [{"image": "registry/worker@sha256:1"}]}
    assert kept["metadata"]["annotations"] == {INDEX: "3"}
    assert kept["status"] == {"phase": "Running"}
    store.put(BATCH_JOB, {**pod("b", 1), "spec": {"suspend": True, "backoffLimit": 2, "template": {"spec": {}}}})
    assert store.get(BATCH_JOB, ("n", "b"))["spec"] == {"suspend": True, "backoffLimit": 2}


def test_keys_and_labels_of_many_objects_are_held_once():
    store = Store()
    for name in ("a", "b"):
        store.put(POD, json.loads(json.dumps({**pod(name, 1, owner="parent-uid"), "status": {"phase": "Running"}})))
    one, other = store.owned(POD, "parent-uid")
    assert one["metadata"]["labels"][OWNER_UID] is other["metadata"]["labels"][OWNER_UID]
    assert next(iter(one["status"])) is next(iter(other["status"]))
