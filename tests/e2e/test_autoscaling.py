"""A real HorizontalPodAutoscaler on metrics-server's numbers."""

from conftest import Team
from load import Load
from waiting import eventually


def test_a_student_scales_up_under_load_and_down_again(shared: Team):
    scaling = {"minReplicas": 1, "maxReplicas": 3, "targetCpuUtilization": 50, "scaleDownStabilizationSeconds": 5}
    limits = {"requests": {"cpu": "50m", "memory": "256Mi"}, "limits": {"cpu": "300m", "memory": "512Mi"}}

    def replicas() -> int:
        count: int = shared.get("dm", "served")["status"]["replicas"]
        return count

    before = shared.get("dm", "served")["status"]["active"]
    shared.model(autoscaling=scaling, resources=limits)  # another pod template: it cuts over without a new verdict
    eventually(
        lambda: shared.get("dm", "served")["status"]["active"],
        lambda active: active["revision"] != before["revision"] and active["digest"] == before["digest"],
    )
    with Load(shared.address(), callers=6) as load:
        eventually(replicas, lambda count: count >= 2, seconds=150)
    assert set(load.outcomes) == {"200"}, load.outcomes
    eventually(replicas, lambda count: count == 1, seconds=240)
    assert shared.get("hpa", "served")["spec"]["maxReplicas"] == 3
    shared.model(replicas=1)
    eventually(lambda: shared.items("hpa"), lambda found: not found)
