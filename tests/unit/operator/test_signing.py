"""The key that signs a report reaches the stage that judges, whose image is the chart's, and no other."""

from typing import Any

from job_world import JobWorld

VOLUME = {
    "name": "signing-key",
    "secret": {
        "secretName": "keys",
        "items": [{"key": "signing-key.pem", "path": "signing-key.pem"}],
        "optional": True,  # the stage says what is missing; a pod that waits for a Secret says nothing
    },
}
MOUNT = {"name": "signing-key", "mountPath": "/etc/distillery-signing", "readOnly": True}


def with_key(**spec: Any) -> list[str]:
    """Stages whose pods get it."""
    world, found = JobWorld(**spec), []
    world.settle()
    for stage in ("preflight", "label", "train", "compress", "evaluate"):
        pod = world.current()["spec"]["template"]["spec"]
        if VOLUME in pod["volumes"] and MOUNT in pod["containers"][0]["volumeMounts"]:
            found.append(stage)
        if stage != "evaluate":
            assert "keys" not in str(pod)
            world.succeed()
    return found


def test_the_key_goes_to_evaluate_alone():
    assert with_key(report={"signing": {"secretName": "keys"}}) == ["evaluate"]
    assert with_key() == []
