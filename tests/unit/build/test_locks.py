"""The lock files agree with pyproject.toml and with each other."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
IMAGES = ("operator", "worker", "server", "cli")


def text(extra: str) -> str:
    return (ROOT / f"locks/{extra}.txt").read_text()


def pins(extra: str) -> dict[str, str]:
    """Package -> version."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text(extra), re.MULTILINE))


def wanted(extra: str) -> list[Requirement]:
    """What pyproject.toml asks for, without the project's own name."""
    requirements = [Requirement(line) for line in [*PROJECT["dependencies"], *EXTRAS[extra]]]
    return [requirement for requirement in requirements if requirement.name != PROJECT["name"]]


@pytest.mark.parametrize("extra", ["dev", *IMAGES])
def test_every_requirement_is_pinned_to_a_version_it_allows(extra: str) -> None:
    locked = pins(extra)
    for requirement in wanted(extra):
        version = locked.get(canonicalize_name(requirement.name))
        assert version, f"locks/{extra}.txt lacks {requirement.name}; run `make lock`"
        assert requirement.specifier.contains(version), f"{requirement} does not allow {version}; run `make lock`"


@pytest.mark.parametrize("extra", IMAGES)
def test_an_image_holds_the_versions_that_the_tests_ran_with(extra: str) -> None:
    assert pins(extra).items() <= pins("dev").items()


@pytest.mark.parametrize("extra", ["dev", *IMAGES])
def test_every_pin_has_hashes_and_no_index_is_named(extra: str) -> None:
    blocks = re.split(r"^(?=[a-z0-9-]+==)", text(extra), flags=re.MULTILINE)[1:]
    assert len(blocks) == len(pins(extra))
    assert all("--hash=sha256:" in block for block in blocks)
    assert "://" not in text(extra)
    assert "--index" not in text(extra)


@pytest.mark.parametrize(
    ("extra", "absent"),
    [
        ("operator", {"torch", "transformers", "numpy"}),
        ("server", {"torch", "transformers", "kopf", "kubernetes"}),
        ("worker", {"kopf", "kubernetes"}),
        ("cli", {"torch", "transformers", "kopf", "kubernetes"}),
    ],
)
def test_an_image_leaves_out_what_it_must_not_import(extra: str, absent: set[str]) -> None:
    assert not absent & set(pins(extra))
