"""distillery-gate decide: recorded columns and a gate in, the verdict and its exit code out."""

import json
from pathlib import Path

import pytest
from distillery_gate import Gate, decide, items_of
from distillery_gate.__main__ import main
from distillery_gate.gate_options import fields_of, option

ROWS = [("a", "a", "a")] * 380 + [("b", "b", "a")] * 5 + [("b", "a", "b")] * 5 + [("a", "b", "b")] * 10
ASK = ["--metric", "accuracy", "--min-retention", "0.95"]


def csv(path: Path, rows: list[tuple[str, ...]] = ROWS, header: str = "gold,teacher,student") -> str:
    file = path / "items.csv"
    file.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n")
    return str(file)


def jsonl(path: Path, rows: list[object]) -> str:
    file = path / "items.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return str(file)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["decide", *arguments]) == 3
    shown = capsys.readouterr()
    assert shown.out == ""
    return shown.err


def test_the_verdict_is_the_packages_own_with_its_sentences_on_standard_error(tmp_path, capsys):
    assert main(["decide", csv(tmp_path), *ASK]) == 0
    shown = capsys.readouterr()
    columns = dict(zip(("gold", "teacher", "student"), zip(*ROWS, strict=True), strict=True))
    expected = decide(items_of("accuracy", columns), Gate(min_retention=0.95))
    assert shown.out == expected.model_dump_json(by_alias=True, exclude_none=True) + "\n"
    assert shown.err == f"retention: Pass: {expected.criteria[0].message}\n"


@pytest.mark.parametrize(("lost", "code"), [(0, 0), (60, 1), (15, 2)])
def test_the_exit_code_tells_the_verdict(tmp_path, lost, code):
    rows = [("a", "a", "b")] * lost + [("a", "a", "a")] * (400 - lost)
    assert main(["decide", csv(tmp_path, rows), *ASK]) == code


def test_json_lines_say_the_same_as_csv(tmp_path, capsys):
    rows = [{"gold": gold, "teacher": teacher, "student": student} for gold, teacher, student in ROWS]
    main(["decide", jsonl(tmp_path, rows), *ASK])
    first = capsys.readouterr().out
    main(["decide", csv(tmp_path), *ASK])
    assert capsys.readouterr().out == first


@pytest.mark.parametrize(
    ("metric", "header", "rows"),
    [
        ("exact-match", "teacher,student", [("1", "1"), ("0", "1"), ("1", "1")] * 100),
        ("mean-score", "teacher,student", [("0.5", "0.5"), ("1", "1")] * 200),
        ("mean-absolute-error", "gold,teacher,student", [("1.5", "1", "1.1"), ("2", "3", "2.5")] * 200),
        ("macro-F1", "gold,teacher,student", [("1", "1", "1"), ("2", "2", "2"), ("1", "3", "3")] * 100),
        ("NDCG@10", "query,gold,teacher,student", [(f"q{n // 2}", str(n % 2), "1.5", "2") for n in range(400)]),
        ("perplexity", "cluster,tokens,teacher,student", [(f"doc{n}", "10", "3.25", "3.2") for n in range(50)]),
        ("win-rate", "judge,judge_swapped", [("student", "student"), ("tie", "reference"), ("student", "tie")] * 50),
    ],
)
def test_every_metric_is_read_from_csv(tmp_path, metric, header, rows):
    assert main(["decide", csv(tmp_path, rows, header), "--metric", metric, "--min-retention", "0.9"]) == 0


def test_labels_that_look_like_numbers_stay_what_they_are(tmp_path, capsys):
    rows = [("007", "007", "7"), ("1", "1", "1")] * 100
    assert main(["decide", csv(tmp_path, rows), *ASK]) == 1
    assert json.loads(capsys.readouterr().out)["criteria"][0]["value"] == 0.5


def test_there_is_an_option_for_every_field_of_the_gate_and_its_parts():
    options = [option(path) for path, _ in fields_of(Gate)]
    assert {"--min-retention", "--slices-min-items", "--level"} <= set(options)
    for name in Gate.model_fields:
        assert [each for each in options if each.startswith(f"--{name.replace('_', '-')}")], name


def test_costs_that_were_measured_are_judged_too(tmp_path, capsys):
    (tmp_path / "costs.json").write_text('{"artifactBytes": 5000000}')
    asked = [csv(tmp_path), *ASK, "--cost-max-artifact-bytes", "1000000"]
    assert main(["decide", *asked, "--costs", str(tmp_path / "costs.json")]) == 1
    assert json.loads(capsys.readouterr().out)["criteria"][1]["verdict"] == "Fail"
    assert "costs" in refusal(capsys, *asked)
    (tmp_path / "costs.json").write_text('{"artifactBytes": 0}')
    assert "costs.artifactBytes: " in refusal(capsys, *asked, "--costs", str(tmp_path / "costs.json"))


def test_rows_that_the_student_learned_from_are_counted(tmp_path, capsys):
    rows = [(*row, str(int(place < 40))) for place, row in enumerate(ROWS)]
    items = csv(tmp_path, rows, "gold,teacher,student,contaminated")
    assert main(["decide", items, *ASK, "--max-contamination", "0.05"]) == 1


def test_a_later_verdict_on_the_same_items_needs_more_evidence(tmp_path, capsys):
    levels = []
    for look in ("1", "2"):
        main(["decide", csv(tmp_path), *ASK, "--look", look])
        levels.append(json.loads(capsys.readouterr().out)["level"])
    assert levels == pytest.approx([0.05 / 2, 0.05 / 6])
    for none in ("0", "first"):
        assert f"--look: {none} counts no verdict" in refusal(capsys, csv(tmp_path), *ASK, "--look", none)


def test_parts_of_a_gate_are_options_or_objects_of_a_file_alike(tmp_path, capsys):
    rows = [(*row, "xy"[place % 2]) for place, row in enumerate(ROWS)]
    items = csv(tmp_path, rows, "gold,teacher,student,slice")
    (tmp_path / "gate.json").write_text('{"minRetention": 0.9, "slices": {"minRetention": 0.9, "minItems": 100}}')
    main(["decide", items, "--metric", "accuracy", "--gate", str(tmp_path / "gate.json")])
    by_file = capsys.readouterr().out
    asked = ["--min-retention", "0.9", "--slices-min-retention", "0.9", "--slices-min-items", "100"]
    main(["decide", items, "--metric", "accuracy", *asked])
    assert capsys.readouterr().out == by_file
    assert [each["name"] for each in json.loads(by_file)["slices"]] != []


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ([], "gate.minRetention: Field required"),
        (["--min-retention", "95"], "gate.minRetention: Input should be less than or equal to 1"),
        (["--min-retention", "high"], "gate.minRetention: Input should be a valid number"),
        (["--min-retention", "0.9", "--slices-min-items", "9"], "gate.slices.minRetention: Field required"),
        (["--min-retention", "0.9", "--gate", "g"], "--gate: given beside --min-retention"),
        (["--min-retention", "0.9", "--max-perplexity", "9"], "maxPerplexity: the items have accuracy"),
        (["--gate", "nowhere.json"], "nowhere.json: cannot be read"),
        (["--gate", __file__], "is no JSON"),
    ],
)
def test_a_gate_that_cannot_be_asked_names_the_field(tmp_path, capsys, asked, words):
    assert words in refusal(capsys, csv(tmp_path), "--metric", "accuracy", *asked)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is no CSV with a header"),
        ("gold,teacher\na,a\n", "student: no such column, only gold, teacher"),
        ("gold,teacher,student\na,a\n", "row 0 has 2 values for 3 columns"),
        ("gold,gold,student\na,a,a\n", "a name stands twice"),
        ("gold,teacher,student\na,a,a\n,a,a\n", "gold: item 1 has none; give it"),
        ("gold,teacher,student\n", "ids: there are no items"),
        ('gold,teacher,student\n"a,a,a\n', "is no CSV with a header"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path, capsys, text, words):
    (tmp_path / "items.csv").write_text(text)
    assert words in refusal(capsys, str(tmp_path / "items.csv"), *ASK)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "student: no such column"),
        ("{}\n", "student: no such column"),
        ("not json\n", "line 1 is no JSON"),
        ("[1]\n", "line 1 is no object"),
        ('{"gold": 1, "student": 1}\n{"gold": 1}\n', "row 0 and row 1 differ in 'student'"),
        ('{"gold": null, "student": 1, "teacher": 1}\n', "gold: item 0 has none"),
    ],
)
def test_lines_that_are_no_rows_are_refused(tmp_path, capsys, text, words):
    (tmp_path / "items.jsonl").write_text(text)
    assert words in refusal(capsys, str(tmp_path / "items.jsonl"), *ASK)


def test_a_cell_that_is_no_number_gives_no_verdict(tmp_path, capsys):
    items = csv(tmp_path, [("1.0", "1.0"), ("1.0", "n/a")], "teacher,student")
    assert "student: results are not numbers" in refusal(
        capsys, items, "--metric", "mean-score", "--min-retention", "1"
    )


def test_other_files_and_wrong_arguments_are_bad_input_not_inconclusive(tmp_path, capsys):
    assert "is neither .csv nor .jsonl" in refusal(capsys, str(tmp_path / "items.parquet"), *ASK)
    assert "cannot be read" in refusal(capsys, str(tmp_path / "none.csv"), *ASK)
    with pytest.raises(SystemExit) as wrong:
        main(["decide", "items.csv", "--metric", "bleu"])
    assert wrong.value.code == 3
