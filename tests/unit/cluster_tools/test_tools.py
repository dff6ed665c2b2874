"""The folder of the programs is named by what they are built from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import tools


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    for name in ("etcd", "coredns"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "go.mod").write_text(f"module {name}\n")
        (tmp_path / name / "go.sum").write_text("")
    return tmp_path


@pytest.mark.parametrize("file", ["etcd/go.mod", "coredns/go.sum"])
def test_a_changed_pin_changes_the_key(modules: Path, file: str) -> None:
    before = tools.pins_key(modules)
    (modules / file).write_text("something newer\n")
    assert tools.pins_key(modules) != before


def test_a_changed_wheel_changes_the_key(modules: Path) -> None:
    newer = replace(tools.WHEEL_PROGRAMS[0], sha256="0" * 64)
    assert tools.pins_key(modules, (newer,)) != tools.pins_key(modules, tools.WHEEL_PROGRAMS[:1])


def test_files_beside_the_pins_and_their_place_on_disk_do_not_change_the_key(modules: Path) -> None:
    before = tools.pins_key(modules)
    (modules / "etcd/README.md").write_text("notes")
    assert tools.pins_key(modules) == before


def test_the_version_that_the_programs_report_is_the_one_that_is_pinned() -> None:
    pins = (tools.MODULES / "kubernetes/go.mod").read_text()
    assert f"k8s.io/kubernetes v{tools.KUBERNETES_VERSION} //" in pins


def test_every_module_that_is_built_has_both_of_its_files_committed() -> None:
    for folder in (tools.HEALTH, *(tools.MODULES / program.module for program in tools.GO_PROGRAMS)):
        assert (folder / "go.mod").is_file()
        assert (folder / "go.sum").is_file() or folder.name == "pause", "pause has no dependency"


def test_a_program_takes_its_name_only_once_it_is_complete(tmp_path: Path) -> None:
    def interrupted(target: Path) -> None:
        target.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tools.provide(tmp_path / "etcd", interrupted)
    assert not (tmp_path / "etcd").exists()
    tools.provide(tmp_path / "etcd", lambda target: target.touch())
    assert (tmp_path / "etcd").exists()


def test_a_program_that_is_complete_is_not_made_again(tmp_path: Path) -> None:
    (tmp_path / "etcd").write_text("whole")
    tools.provide(tmp_path / "etcd", lambda _: pytest.fail("made again"))
