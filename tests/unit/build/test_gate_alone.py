"""`pip install ./gate`: the gate by itself, built, unpacked where nothing else of ours is, and run."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ALONE, WHOLE = (tomllib.loads((ROOT / path / "pyproject.toml").read_text())["project"] for path in ("gate", "."))
README = (ROOT / "gate" / "README.md").read_text()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages with the wheel of gate/ unpacked, as an installer does with one of pure Python."""
    work = tmp_path_factory.mktemp("gate")
    shutil.copytree(ROOT / "gate", work / "source", ignore=shutil.ignore_patterns("__pycache__"))
    script = f"from setuptools import build_meta; print(build_meta.build_wheel({str(work)!r}))"
    subprocess.run([sys.executable, "-c", script], cwd=work / "source", check=True, capture_output=True)
    [wheel] = work.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(work / "site")
    return work / "site"


def python(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python with the libraries of this environment, which has nothing of ours, and the unpacked wheel."""
    environment = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=site, env=environment, capture_output=True, text=True, check=False)


def test_the_wheel_needs_three_libraries_and_holds_every_module_of_the_package(site: Path):
    [gate] = distributions(path=[str(site)])
    assert (gate.name, gate.version) == ("distillery-gate", WHOLE["version"])
    assert {re.match(r"\w+", line)[0] for line in gate.requires} == {"numpy", "scipy", "pydantic"}
    held = {path.relative_to(site) for path in site.rglob("*.py")}
    assert held == {path.relative_to(ROOT / "gate") for path in (ROOT / "gate" / "distillery_gate").rglob("*.py")}


def test_what_it_needs_is_what_the_whole_project_asks_for():
    asked = {*WHOLE["dependencies"], *WHOLE["optional-dependencies"]["worker"]}
    assert set(ALONE["dependencies"]) <= asked
    assert {name: ALONE[name] for name in ("version", "license", "requires-python")} == {
        name: WHOLE[name] for name in ("version", "license", "requires-python")
    }


def test_the_example_of_the_readme_runs(site: Path):
    code, shown = re.findall(r"```(?:python|text)\n(.*?)```", README, re.DOTALL)
    ran = python(site, "-c", code)
    assert (ran.stdout, ran.stderr) == (shown, "")


def test_its_command_decides(site: Path, tmp_path: Path):
    (tmp_path / "items.csv").write_text("teacher,student\n" + "1,1\n" * 200 + "0,0\n" * 20)
    script = (
        "import sys; from importlib.metadata import entry_points\n"
        "[command] = entry_points(group='console_scripts', name='distillery-gate')\n"
        "sys.exit(command.load()(sys.argv[1:]))"
    )
    asked = ["decide", str(tmp_path / "items.csv"), "--metric", "exact-match", "--min-retention", "0.95"]
    ran = python(site, "-c", script, *asked)
    assert (ran.returncode, ran.stderr[:16]) == (0, "retention: Pass:")
    assert ran.stdout.startswith('{"verdict":"Pass","level":0.025,"look"')


def test_nothing_else_of_ours_is_there(site: Path):
    ran = python(site, "-c", "import distillery_gate.__main__, distillery_api")
    assert "No module named 'distillery_api'" in ran.stderr
