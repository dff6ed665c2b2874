"""A real HorizontalPodAutoscaler on metrics-server's numbers."""

from conftest import Team, eventually
from load import Load


def test_a_student_scales_up_under_load_and_down_again(team: Team):
    team.model(
        autoscaling={
            "minReplicas": 1, "maxReplicas": 3, "targetCpuUtilization": 50, "scaleDownStabilizationSeconds": 5,
        },
        resources={"requests": {"cpu": "50m", "memory": "256Mi"}, "limits": {"cpu": "300m", "memory": "512Mi"}},
    )  # fmt: skip
    team.job("first")
    digest = team.passed("first")["status"]["artifacts"]["artifactDigest"]
    team.serves(digest)

    def replicas() -> int:
        count: int = team.get("dm", "served")["status"]["replicas"]
        return count

    with Load(team.address(), callers=6) as load:
        eventually(replicas, lambda count: count >= 2, seconds=150)
    assert set(load.outcomes) == {"200"}, load.outcomes
    eventually(replicas, lambda count: count == 1, seconds=240)
