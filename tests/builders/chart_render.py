"""The chart as Helm renders it, with the helm that the embedded cluster's tools hold."""

import os
import subprocess
from pathlib import Path
from typing import Any

import yaml
from tools import tools_directory

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm/distillery"
RELEASE, NAMESPACE = "distillery", "distillery-system"

Values = dict[str, Any]
Manifest = dict[str, Any]


def helm_path() -> Path:
    """Where `hack/cluster/cluster.py tools` puts helm; AssertionError when it is not there."""
    path = tools_directory() / "helm"
    assert path.exists(), f"{path} is missing: run `python3 hack/cluster/cluster.py tools`"
    return path


class Helm:
    """Runs helm apart from the user's own configuration."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.path = helm_path()

    def run(self, *arguments: str, values: Values | None = None) -> subprocess.CompletedProcess[str]:
        """Run with values from standard input."""
        homes = {f"HELM_{kind}_HOME": str(self._home) for kind in ("CACHE", "CONFIG", "DATA")}
        return subprocess.run(
            [str(self.path), *arguments, "--values", "-"],
            input=yaml.safe_dump(values or {}),
            env={"PATH": os.environ["PATH"], "HOME": str(self._home), **homes},
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def template(self, values: Values | None = None) -> list[Manifest]:
        """Every manifest of the release."""
        result = self.run("template", RELEASE, str(CHART), "--namespace", NAMESPACE, values=values)
        assert result.returncode == 0, result.stderr
        return [manifest for manifest in yaml.load_all(result.stdout, Loader=yaml.CSafeLoader) if manifest]

    def refusal(self, values: Values) -> str:
        """What helm says about values that it refuses."""
        result = self.run("template", RELEASE, str(CHART), values=values)
        assert result.returncode != 0, "helm took the values"
        return result.stderr


def nested(path: str, value: Any) -> Values:
    """`a.b` and 1 as {"a": {"b": 1}}."""
    for key in reversed(path.split(".")):
        value = {key: value}
    return dict(value)


def leaves(values: Values, prefix: str = "") -> dict[str, Any]:
    """Dotted path of every value that is not a mapping with keys of its own."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict) and value:
            found |= leaves(value, f"{path}.")
        else:
            found[path] = value
    return found


def default_values() -> Values:
    """values.yaml."""
    return dict(yaml.safe_load((CHART / "values.yaml").read_text()))


def one(manifests: list[Manifest], kind: str, name: str = RELEASE) -> Manifest:
    """The manifest of that kind and name."""
    (found,) = (m for m in manifests if m["kind"] == kind and m["metadata"]["name"] == name)
    return found
