"""Plain scalars mean what they mean to kubectl, which is neither YAML 1.2 nor what PyYAML reads."""

import io
from pathlib import Path
from typing import Any

import pytest
import yaml
from distillery.admission import read_manifests
from distillery.admission.scalars import plain_scalar
from distillery.errors import Refused

SAME = Path(__file__).parents[3] / "examples"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("no", False, id="a Norwegian no is false"),
        pytest.param("y", True, id="y is true, which PyYAML reads as text"),
        pytest.param("N", False, id="N is false"),
        pytest.param("On", True, id="On is true"),
        pytest.param("oN", "oN", id="other capitals are text"),
        pytest.param("~", None, id="a tilde is null"),
        pytest.param("", None, id="nothing is null"),
        pytest.param("010", 8, id="a leading zero is octal"),
        pytest.param("0o10", 8, id="0o is octal, too"),
        pytest.param("08", 8.0, id="no octal number, so a float"),
        pytest.param("0x1F", 31, id="hexadecimal"),
        pytest.param("-0b101", -5, id="binary"),
        pytest.param("1_000", 1000, id="underscores separate"),
        pytest.param("1e3", 1000.0, id="an exponent without a dot is a number"),
        pytest.param(".5", 0.5, id="no digit before the dot"),
        pytest.param("+12", 12, id="a plus sign"),
        pytest.param("1:30", "1:30", id="no sexagesimal numbers"),
        pytest.param("2026-01-31", "2026-01-31", id="a date is text"),
        pytest.param("1.2.3", "1.2.3", id="a version is text"),
        pytest.param("18446744073709551615", 2**64 - 1, id="the largest unsigned number"),
        pytest.param("18446744073709551616", 2.0**64, id="a larger one is a float"),
        pytest.param("1e999", "1e999", id="out of a float's range"),
        pytest.param("_1", "_1", id="an underscore first is text"),
        pytest.param("500m", "500m", id="a quantity is text"),
    ],
)
def test_a_plain_scalar_is_read_as_by_kubectl(text: str, value: Any) -> None:
    read = plain_scalar(text)
    assert (read, type(read)) == (value, type(value))


def read(text: str, tmp_path: Path) -> list[dict[str, Any]]:
    (tmp_path / "file.yaml").write_text(text)
    return [manifest.body for manifest in read_manifests([str(tmp_path / "file.yaml")])]


def test_quoted_scalars_are_text_and_whole_floats_are_integers(tmp_path: Path) -> None:
    (body,) = read("{kind: K, quoted: 'no', tagged: !!str 010, whole: 3.0, half: 0.5, [no, 2.0]: x}"
                   .replace("[no, 2.0]: x", "no: a, 2.0: b, 7: c"), tmp_path)  # fmt: skip
    wanted = {"kind": "K", "quoted": "no", "tagged": "010", "whole": 3, "half": 0.5, "false": "a", "2": "b", "7": "c"}
    assert body == wanted
    assert type(body["whole"]) is int


def test_documents_and_lists_give_their_objects_and_merge_keys_merge(tmp_path: Path) -> None:
    text = "kind: A\n---\n---\nkind: List\nitems:\n- &b {kind: B, x: 1}\n- {<<: *b, kind: C}\n"
    assert read(text, tmp_path) == [{"kind": "A"}, {"kind": "B", "x": 1}, {"kind": "C", "x": 1}]


def test_the_examples_read_as_any_yaml_reader_reads_them() -> None:
    for path in SAME.glob("*/*.yaml"):
        assert [manifest.body for manifest in read_manifests([str(path)])] == [yaml.safe_load(path.read_text())]


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("kind: K"))
    assert read_manifests(["-"])[0].body == {"kind": "K"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("a: [", "expected", id="no YAML"),
        pytest.param("- 1", "Object 'Kind' is missing", id="a list"),
        pytest.param("a: 1", "Object 'Kind' is missing", id="no kind"),
        pytest.param("{kind: K, x: .inf}", "unsupported value", id="infinity"),
        pytest.param("{kind: K, ? [a] : x}", "unhashable", id="a list as a key"),
        pytest.param("{kind: K, ~: x}", "unsupported map key", id="null as a key"),
        pytest.param("{kind: K, x: !!binary aGk=}", "no form in JSON", id="bytes"),
    ],
)
def test_what_kubectl_could_not_send_is_refused(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=words):
        read(text, tmp_path)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(Refused, match=r"nowhere\.yaml"):
        read_manifests(["nowhere.yaml"])
