"""What an image holds decides when it is built again."""

import ast
import re
from pathlib import Path

import pytest

import images

ROOT = Path(__file__).resolve().parents[3]
PROGRAMS = {"client": "distillery"}
ON_BASE = [name for name, recipe in images.RECIPES.items() if recipe.below]


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small tree with an operator image: a Dockerfile, a lock file and one package."""
    for name, content in {
        "images/base/Dockerfile": "FROM scratch\nADD rootfs.tar /\n",
        "images/base/rootfs.sh": "#!/bin/bash\n",
        "images/operator/Dockerfile": "FROM base\nCOPY --chmod=644 locks/operator.txt /p\nCOPY operator/app /app\n",
        "locks/operator.txt": "kopf==1\n",
        "operator/app/main.py": "",
        "operator/other.py": "",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    monkeypatch.setattr(images, "REPO", tmp_path)
    return tmp_path


def operator_key() -> str:
    return images.key_of(images.RECIPES["operator"])


@pytest.mark.parametrize(
    "changed", ["images/base/rootfs.sh", "images/operator/Dockerfile", "locks/operator.txt", "operator/app/main.py"]
)
def test_a_change_of_anything_that_goes_in_builds_again(clone: Path, changed: str) -> None:
    before = operator_key()
    (clone / changed).write_text((clone / changed).read_text() + "# changed\n")
    assert operator_key() != before


def test_a_new_file_of_a_package_builds_again(clone: Path) -> None:
    before = operator_key()
    (clone / "operator/app/new.py").touch()
    assert operator_key() != before


@pytest.mark.parametrize(
    "unrelated", ["operator/other.py", "README.md", "operator/app/__pycache__/main.cpython-311.pyc"]
)
def test_a_change_of_anything_else_builds_nothing(clone: Path, unrelated: str) -> None:
    before = operator_key()
    (clone / unrelated).parent.mkdir(exist_ok=True)
    (clone / unrelated).write_text("changed")
    assert operator_key() == before


def test_a_copied_folder_that_does_not_exist_is_named(clone: Path) -> None:
    (clone / "operator/app/main.py").unlink()
    (clone / "operator/app").rmdir()
    with pytest.raises(images.ImageError, match=r"images/operator/Dockerfile copies operator/app"):
        operator_key()


def test_an_unknown_name_is_refused_with_the_names_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        images.main(["serving"])
    assert "'serving'; choose from operator, server, client, worker" in capsys.readouterr().err


@pytest.mark.parametrize("name", ON_BASE)
def test_what_a_dockerfile_copies_passes_the_ignore_file(name: str) -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = images.COPIED.findall(images.RECIPES[name].dockerfile.read_text())
    assert all(source in allowed or source.split("/")[0] in allowed for source in copied)


@pytest.mark.parametrize("name", images.RELEASED)
def test_an_image_holds_every_package_of_ours_that_its_program_imports(name: str) -> None:
    folders = [ROOT / source for source in images.COPIED.findall(images.RECIPES[name].dockerfile.read_text())]
    packages = {folder.name: folder for folder in folders if folder.is_dir()}
    imported = {module for folder in packages.values() for module in own_imports(folder)}
    assert imported <= set(packages)
    assert PROGRAMS.get(name, f"distillery_{name}") in packages


def own_imports(folder: Path) -> set[str]:
    nodes = [node for file in folder.rglob("*.py") for node in ast.walk(ast.parse(file.read_text()))]
    names = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level]
    names += [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    return {name.split(".")[0] for name in names if name.startswith("distillery_")}


@pytest.mark.parametrize("name", [name for name in ON_BASE if images.RECIPES[name].lock])
def test_a_dockerfile_installs_its_lock_with_the_pinned_uv(name: str) -> None:
    dockerfile = images.RECIPES[name].dockerfile.read_text()
    assert f"COPY --chmod=644 locks/{images.RECIPES[name].lock}.txt /opt/packages.txt" in dockerfile
    assert set(re.findall(r"from=(astral/uv:[^,]+)", dockerfile)) == {images.UV_IMAGE}


@pytest.mark.parametrize("name", images.RELEASED)
def test_an_image_runs_its_program_as_a_numbered_user_without_rights(name: str) -> None:
    lines, program = images.RECIPES[name].dockerfile.read_text().splitlines(), PROGRAMS.get(name, f"distillery_{name}")
    assert lines[-2:] == ["USER 65532:65532", f'ENTRYPOINT ["python", "-m", "{program}"]']


@pytest.mark.parametrize("name", [name for name in images.RELEASED if name not in ("operator", "client")])
def test_an_image_with_onnx_runtime_sends_no_usage_data(name: str) -> None:
    assert "\nENV ORT_DISABLE_TELEMETRY=1\n" in images.RECIPES[name].dockerfile.read_text()
