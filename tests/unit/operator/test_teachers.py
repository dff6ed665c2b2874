"""What the pods of a job with several teachers are told, and the keys that they get."""

from typing import Any

from distillery_api.run import RUN, RUN_ANNOTATION, Run, TrainRun
from distillery_api.sources import ModelSource
from job_world import JobWorld
from stage_results import DIGESTS, job_spec, preflight

BIG = {"url": "https://host/v1", "model": "big", "labels": ["yes", "no"], "secretRef": {"name": "big-key"}}
TEACHERS = [
    {"name": "main", "model": {"uri": "pvc://models/main"}},
    {"name": "pinned", "model": {"uri": "s3://bucket/pinned", "digest": DIGESTS["incumbent"]}},
    {"name": "far-away", "weight": 2, "endpoint": BIG},
]
KEY = {
    "name": "TEACHER_FAR_AWAY_API_KEY",
    "valueFrom": {"secretKeyRef": {"name": "big-key", "key": "apiKey", "optional": True}},
}


def stages(**spec: Any) -> dict[str, dict[str, Any]]:
    """The pod template of each stage of a job with these teachers, or as the spec says."""
    world, found = JobWorld(**{"teachers": TEACHERS} | spec), {}
    digests = {"main": DIGESTS["teacher"], "pinned": DIGESTS["incumbent"]}
    results = {"preflight": preflight().model_copy(update={"teacher_digests": digests})}
    world.settle()
    for stage in ("preflight", "label", "train", "compress", "evaluate"):
        found[stage] = world.current()["spec"]["template"]
        if stage != "evaluate":
            world.succeed(**{name: result for name, result in results.items() if name == stage})
    return found


def told(template: dict[str, Any]) -> Run:
    return RUN.validate_json(template["metadata"]["annotations"][RUN_ANNOTATION])


def test_every_folder_is_pinned_by_the_digest_that_preflight_found_and_its_claim_is_mounted():
    teachers = {stage: told(template).teachers for stage, template in stages().items()}
    assert [teacher.model and teacher.model.digest for teacher in teachers["preflight"]] == [
        None,
        DIGESTS["incumbent"],
        None,
    ]
    for stage in ("label", "train", "evaluate"):
        assert [teacher.model.digest for teacher in teachers[stage] if teacher.model] == [
            DIGESTS["teacher"],
            DIGESTS["incumbent"],
        ]
    claims = [volume.get("persistentVolumeClaim") for volume in stages()["label"]["spec"]["volumes"]]
    assert {"claimName": "models"} in claims


def test_the_key_of_an_endpoint_goes_to_the_stages_that_ask_it_and_never_into_run_json():
    keys = {stage: KEY in template["spec"]["containers"][0]["env"] for stage, template in stages().items()}
    assert keys == {"preflight": True, "label": True, "train": False, "compress": False, "evaluate": True}


def test_the_key_of_a_judge_goes_to_the_stages_that_ask_it():
    judge = {"endpoint": {"url": "https://host/v1", "model": "m", "secretRef": {"name": "judge-key"}}, "minScore": 7}
    columns = {"prompt": "question", "response": "answer"}
    dataset = job_spec()["dataset"] | {"columns": columns, "filters": {"answers": {"judge": judge}}}
    world, keys = JobWorld(task="causal-lm", dataset=dataset, softLabels={"kind": "text"}, promoteTo=None), {}
    world.settle()
    for stage in ("preflight", "label", "train", "compress", "evaluate"):
        environment = world.current()["spec"]["template"]["spec"]["containers"][0]["env"]
        keys[stage] = [each["valueFrom"] for each in environment if each["name"] == "JUDGE_API_KEY"]
        if stage != "evaluate":
            world.succeed()
    given = [{"secretKeyRef": {"name": "judge-key", "key": "apiKey", "optional": True}}]
    assert keys == {"preflight": given, "label": given, "train": [], "compress": [], "evaluate": []}


def test_an_endpoint_that_writes_is_asked_by_preflight_and_label_alone():
    endpoint = {name: value for name, value in BIG.items() if name != "labels"}
    folder = {"name": "main", "weight": 0, "model": {"uri": "pvc://models/main"}}
    teachers = [{"name": "far-away", "endpoint": endpoint}, folder]
    columns = {"train": "s3://bucket/train.parquet", "test": "s3://bucket/test.parquet"}
    dataset = columns | {"columns": {"prompt": "question", "response": "answer"}}
    found = stages(task="causal-lm", teachers=teachers, dataset=dataset, softLabels={"kind": "text"})
    keys = {stage: KEY in template["spec"]["containers"][0]["env"] for stage, template in found.items()}
    assert keys == {"preflight": True, "label": True, "train": False, "compress": False, "evaluate": False}
    assert told(found["evaluate"]).teachers[1].model.digest == DIGESTS["teacher"]


def test_status_tells_the_digests_of_several_teachers_by_name():
    world = JobWorld(teachers=TEACHERS)
    world.settle()
    digests = {"main": DIGESTS["teacher"], "pinned": DIGESTS["incumbent"]}
    world.succeed(preflight=preflight().model_copy(update={"teacher_digests": digests}))
    assert world.status["artifacts"]["teacherDigests"] == digests


def test_later_stages_read_a_repository_at_the_revision_that_preflight_found():
    repositories = [
        {"name": "hub", "model": {"uri": "hf://org/name@main"}},
        {"name": "stored", "model": {"uri": "s3://bucket/stored"}},
        {"name": "registry", "model": {"uri": "oci://ghcr.io/org/name:v1"}},
    ]
    commit, digest = "c" * 40, DIGESTS["artifact"]
    found = {"teacher_revisions": [commit, "", digest], "student_model_revision": commit}
    world = JobWorld(teachers=repositories, student={"model": {"uri": "hf://org/small@main"}})
    world.settle()
    world.succeed(preflight=preflight().model_copy(update=found))
    assert world.status["artifacts"]["teacherRevisions"] == {"hub": commit, "registry": digest}
    assert world.status["artifacts"]["studentModelRevision"] == commit
    uris = [teacher.model.uri for teacher in told(world.current()["spec"]["template"]).teachers if teacher.model]
    assert uris == [f"hf://org/name@{commit}", "s3://bucket/stored", f"oci://ghcr.io/org/name@{digest}"]
    world.succeed()
    train = told(world.current()["spec"]["template"])
    assert isinstance(train, TrainRun)
    assert train.student.model is not None
    assert train.student.model.uri == f"hf://org/small@{commit}"


def test_under_endpoints_alone_every_stage_is_told_of_the_students_own_tokenizer():
    world = JobWorld(teachers=[TEACHERS[2]], student={"model": {"uri": "pvc://models/small"}})
    world.settle()
    assert told(world.current()["spec"]["template"]).tokenizer == ModelSource(uri="pvc://models/small")
    found = preflight().model_copy(update={"student_model_digest": DIGESTS["artifact"]})
    for result in ({"preflight": found}, {}, {}, {}):
        world.succeed(**result)
        template = world.current()["spec"]["template"]
        pinned = ModelSource(uri="pvc://models/small", digest=DIGESTS["artifact"])
        assert told(template).tokenizer == pinned
        assert {"claimName": "models"} in [
            volume.get("persistentVolumeClaim") for volume in template["spec"]["volumes"]
        ]


def test_a_teachers_folder_has_the_tokenizer_where_there_is_one():
    assert all(told(template).tokenizer is None for template in stages().values())
