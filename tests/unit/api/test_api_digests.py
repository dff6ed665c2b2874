"""Names by content: golden values, because stored soft labels and artifacts are found by them."""

import math

import pytest
from distillery_api.artifact import ArtifactManifest, Provenance, TextPreprocessing
from distillery_api.digests import canonical, digest_bytes, digest_files, digest_of
from distillery_api.gate import GateSpec

DIGEST = "sha256:" + "a" * 64


def manifest(**changes: object) -> ArtifactManifest:
    fields: dict[str, object] = {
        "labels": ["animal", "plant"], "preprocessing": TextPreprocessing(max_length=64), "parameters": 10, "files": {},
        "provenance": Provenance(teacher=DIGEST, labels_key=DIGEST, student_key=DIGEST, job_uid="u"),
    }  # fmt: skip
    return ArtifactManifest.model_validate(fields | changes)


def test_canonical_json_sorts_keys_at_every_depth_and_keeps_text_as_it_is():
    assert canonical({"b": {"d": 1.0, "c": [2, None]}, "a": "é"}) == '{"a":"é","b":{"c":[2,null],"d":1.0}}'.encode()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_canonical_json_refuses_numbers_that_json_lacks(value: float):
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical({"loss": value})


def test_the_digest_of_bytes_is_their_sha256():
    assert digest_bytes(b"abc") == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_the_digest_of_a_value_stays_the_same_across_versions():
    expected = "sha256:f13d6b2e1754f24ea61711bc315cf75e617b092ab6a6425e24ca59a0c55bc077"
    assert digest_of({"seed": 0, "alpha": 0.9}) == expected
    assert digest_of({"alpha": 0.9, "seed": 0}) == expected


def test_the_digest_of_a_folder_depends_on_names_and_content_but_not_on_order():
    folder = {"config.json": digest_bytes(b"{}"), "a/model.safetensors": digest_bytes(b"abc")}
    assert digest_files(folder) == "sha256:d1cc3a56042d5ccf3a672fa40c78d5aebf414126ed2a06da0d4f20ad3ed08dd0"
    assert digest_files(dict(reversed(folder.items()))) == digest_files(folder)
    assert digest_files({**folder, "config.json": digest_bytes(b"[]")}) != digest_files(folder)
    assert digest_files({**folder, "extra": digest_bytes(b"")}) != digest_files(folder)


def test_the_interface_of_an_artifact_stays_the_same_across_versions():
    assert manifest().interface() == "sha256:d51bcb46b663ddcfd3005ca024acc31cb0fa8355c72a461c81d461d455a618a4"


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": ["plant", "animal"]},
        {"labels": ["animal", "plant", "food"]},
        {"preprocessing": TextPreprocessing(max_length=128)},
    ],
    ids=["label order", "labels", "length limit"],
)
def test_the_interface_changes_with_what_a_caller_relies_on(changes: dict[str, object]):
    assert manifest(**changes).interface() != manifest().interface()


def test_the_interface_does_not_change_with_weights_or_origin():
    other = Provenance(teacher=DIGEST, labels_key=DIGEST, student_key=DIGEST, job_uid="another")
    assert manifest(parameters=99, provenance=other).interface() == manifest().interface()


def test_a_manifest_is_read_back_as_it_was_written():
    assert ArtifactManifest.model_validate_json(canonical(manifest().dump())) == manifest()


def test_a_gate_is_named_by_its_values_with_defaults_written_out():
    # sha256 of {"evidence":"Interval","incumbentMargin":0.01,"minRetention":0.95}
    assert GateSpec().hash == "sha256:bc858bff1ccb2c035f252b6d37e44bad8e573b5c36e7166331047ce650344614"
    assert GateSpec(min_retention=0.95, incumbent_margin=0.01).hash == GateSpec().hash


@pytest.mark.parametrize("other", [{"min_retention": 0.96}, {"incumbent_margin": 0.02}], ids=str)
def test_every_value_of_a_gate_changes_its_name(other: dict[str, float]):
    assert GateSpec.model_validate(other).hash != GateSpec().hash
