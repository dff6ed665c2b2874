"""What `pip install .` installs: every package of the sources."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]


def test_every_package_of_the_sources_is_installed():
    found = set()
    for name, folder in SETUPTOOLS["package-dir"].items():
        for init in (ROOT / folder).rglob("__init__.py"):
            found.add(".".join([name, *init.parent.relative_to(ROOT / folder).parts]))
    assert set(SETUPTOOLS["packages"]) == found


def test_every_file_that_is_no_module_is_installed_with_its_package():
    kept = {
        (name, path.name)
        for name in SETUPTOOLS["packages"]
        for path in folder_of(name).iterdir()
        if path.is_file() and path.suffix not in (".py", ".pyc", ".toml", ".md")
    }
    assert kept == {(name, file) for name, files in SETUPTOOLS["package-data"].items() for file in files}


def folder_of(package: str) -> Path:
    top, *rest = package.split(".")
    return (ROOT / SETUPTOOLS["package-dir"][top]).joinpath(*rest)


def test_every_folder_with_modules_is_a_package():
    for folder in SETUPTOOLS["package-dir"].values():
        for module in (ROOT / folder).rglob("*.py"):
            assert (module.parent / "__init__.py").exists(), module
