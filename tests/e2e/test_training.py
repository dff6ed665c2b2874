"""Training that is spread over pods."""

from conftest import Team


def test_two_pods_train_one_student_together(shared: Team):
    training = {"epochs": 3, "learningRate": 0.005, "seed": 11, "nodes": 2}
    shared.job("together", model=None, training=training)
    job = shared.passed("together")
    pods = shared.items("pods", "distillery.dev/owner-name=together,distillery.dev/stage=train")
    index = "batch.kubernetes.io/job-completion-index"
    assert sorted(pod["metadata"]["annotations"][index] for pod in pods) == ["0", "1"]
    assert [pod["status"]["phase"] for pod in pods] == ["Succeeded"] * 2
    train = next(stage for stage in job["status"]["stages"] if stage["name"] == "train")
    assert (train["attempt"], train.get("retries")) == (1, None)
