"""Addresses of models whose content they may name: a hub's commits and digests of OCI manifests."""

import pytest
from distillery_api.sources import at_revision, revision_of

COMMIT, DIGEST = "c" * 40, "sha256:" + "d" * 64


@pytest.mark.parametrize(
    "uri",
    [
        "s3://bucket/model",
        "s3://bucket/a@b",
        f"pvc://claim/a@{COMMIT}",
        "hf://org/name@main",
        "hf://org/name@refs/pr/1",
        "hf://org/name@" + "c" * 7,
        "oci://ghcr.io/org/name:v1",
        "oci://localhost:5000/name:v1",
    ],
)
def test_folders_branches_and_tags_name_no_content(uri: str):
    assert revision_of(uri) is None


@pytest.mark.parametrize(
    ("uri", "revision", "pinned"),
    [
        ("hf://org/name@main", COMMIT, f"hf://org/name@{COMMIT}"),
        ("hf://org/name@refs/pr/1", COMMIT, f"hf://org/name@{COMMIT}"),
        (f"hf://org/name@{COMMIT}", COMMIT, f"hf://org/name@{COMMIT}"),
        ("oci://ghcr.io/org/name:v1", DIGEST, f"oci://ghcr.io/org/name@{DIGEST}"),
        ("oci://localhost:5000/name:v1", DIGEST, f"oci://localhost:5000/name@{DIGEST}"),
        (f"oci://ghcr.io/org/name@{DIGEST}", DIGEST, f"oci://ghcr.io/org/name@{DIGEST}"),
    ],
)
def test_an_address_at_a_revision_names_it(uri: str, revision: str, pinned: str):
    assert at_revision(uri, revision) == pinned
    assert revision_of(pinned) == revision
