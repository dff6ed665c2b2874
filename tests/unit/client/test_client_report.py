"""`distillery report`: a page for people, made of nothing that was not decided again."""

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distillery.__main__ import main
from distillery.report_page.interval_plot import WIDTH, interval_plot
from distillery.report_page.page import number
from evaluations import answers, examples, write_evaluation

VOID = {"meta", "line", "circle", "br", "rect", "polyline", "img"}
GATE = {
    "minRetention": 0.9, "slices": {"minRetention": 0.8, "minItems": 50}, "maxCopiedErrors": 0.05,
    "robustness": {"maxAccuracyLoss": 0.1},
}  # fmt: skip


class Page(HTMLParser):
    """The text of a page by row, and whether every tag that is opened is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.rows: list[list[str]] = [[]]
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [str(value) for name, value in attrs if name in ("href", "src")]
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("tr", "p", "h1", "h2"):
            self.rows.append([])

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip() and not {"style", "title", "desc"} & set(self.open):
            self.rows[-1].append(" ".join(data.split()))

    def row(self, first: str) -> list[str]:
        return next(row for row in self.rows if row and row[0] == first)


def made(path: Path, tmp_path: Path) -> Page:
    assert main(["report", str(path), "-o", str(tmp_path / "page.html")]) == 0
    return Page((tmp_path / "page.html").read_text())


@pytest.fixture
def full(tmp_path: Path) -> Path:
    columns = answers(0.93) | {"slice": ["<script>alert(1)</script>" if row % 3 else "long" for row in range(600)]}
    columns["student_confidence"] = np.linspace(0.5, 1, 600).tolist()
    columns |= {"control": columns["teacher"][::-1], "incumbent": ["a"] * 500 + ["b"] * 100}
    columns |= {"student_typos": ["b"] * 300 + columns["student"][300:], "student_case": columns["student"]}
    return write_evaluation(tmp_path, columns, GATE)


def test_the_verdict_comes_first_and_every_criterion_has_its_numbers(full: Path, tmp_path: Path) -> None:
    page, verdict = made(full, tmp_path), json.loads(full.read_text())["verdict"]
    assert page.rows[1] == ["team/topics", verdict["verdict"]]
    for criterion, title in (
        ("retention", "Retention"),
        ("copiedErrors", "Copied errors"),
        ("robustness", "Robustness"),
    ):
        found = next(each for each in verdict["criteria"] if each["name"] == criterion)
        numbers = [f"{found[name]:.4f}" for name in ("value", "low", "high", "threshold")]
        assert page.row(title) == [title, found["verdict"], *numbers]
        assert [found["message"]] in page.rows
    assert page.row("student")[1] == f"{verdict['measurements'][1]['value']:.4f}"


def test_every_perturbation_has_its_line_worst_first(full: Path, tmp_path: Path) -> None:
    page, told = made(full, tmp_path), json.loads(full.read_text())["verdict"]["perturbations"]
    lines = [[each["name"], each["verdict"], "600", f"{each['value']:.4f}"] for each in told]
    assert [line[:2] for line in lines] == [["typos", "Fail"], ["case", "Pass"]]
    assert [page.row(line[0])[:4] for line in lines] == lines


def test_the_page_is_one_file_that_asks_nobody_and_runs_nothing(full: Path, tmp_path: Path) -> None:
    page = made(full, tmp_path)
    assert page.links == []
    assert not {"script", "link", "img", "iframe"} & page.tags
    assert any(row[0] == "<script>alert(1)</script>" for row in page.rows if row)


def test_the_page_allows_nothing_but_what_is_in_it(full: Path, tmp_path: Path) -> None:
    made(full, tmp_path)
    html = (tmp_path / "page.html").read_text()
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in html
    assert not re.search(r"url\(|@import|javascript:|\son\w+=", html)


def test_every_picture_is_told_in_words_and_every_cell_by_its_column(full: Path, tmp_path: Path) -> None:
    made(full, tmp_path)
    html = (tmp_path / "page.html").read_text()
    pictures = re.findall(r"<svg .*?</svg>", html)
    assert len(pictures) > 8
    assert all(re.search(r'role="img"><title>[^<]+</title><desc>[^<]+</desc>', each) for each in pictures)
    heads = set(re.findall(r'<th scope="col"[^>]*>([^<]+)</th>', html))
    assert set(re.findall(r'data-label="([^"]*)"', html)) <= heads  # what a narrow screen shows in their place


def test_slices_flips_costs_and_origins_are_told(full: Path, tmp_path: Path) -> None:
    page = made(full, tmp_path)
    columns = answers(0.93)
    both = sum(map(lambda one, two: one == two == "a", columns["teacher"], columns["student"]))
    assert ["teacher", f"{both:,} ({100 * both / 600:.1f} %)"] == next(
        row[:2] for row in page.rows if row and row[0] == "teacher" and "%" in row[-1]
    )
    assert page.row("long")[2] == "200"
    assert ["7 rows dropped by the filter length."] in page.rows
    assert any("12.5000" in row for row in page.rows)
    (measured,) = [row[0] for row in page.rows if row and row[0].startswith("The student: ")]
    assert measured == (
        "The student: 1,000 answers to 600 rows in ONNX Runtime 1.0 on Some CPU, 0.2500 ms of CPU time each;"
        " files of 3.81 MiB; a process that answers held up to 85.8 MiB of memory."
    )
    report = json.loads(full.read_text())
    assert page.row("test")[1:] == [report["test"]["uri"], report["test"]["digest"]]
    assert [row[0] for row in page.rows if row and row[0] == "incumbent"] == ["incumbent", "incumbent"]


@pytest.mark.parametrize("metric", ["mean absolute error", "perplexity"])
def test_scores_and_language_models_have_a_page_too(metric: str, tmp_path: Path) -> None:
    values = np.random.default_rng(2).uniform(1, 3, (3, 80)).tolist()
    columns: dict[str, Any] = dict(zip(("teacher", "student", "gold"), values, strict=True))
    columns |= {"tokens": [10] * 80, "cluster": [f"d{row // 2}" for row in range(80)]}
    ranking = {"student": {"queries": 4, "pairwiseAccuracy": 0.75}}
    page = made(write_evaluation(tmp_path, columns, {"minRetention": 0.9}, metric, ranking=ranking), tmp_path)
    assert page.row("Model")[1] == metric.capitalize()
    assert any("smaller is better" in row[0] for row in page.rows if row and row[0].startswith(metric.capitalize()))
    counted = {"perplexity": "40 held-out texts", "mean absolute error": "80 held-out rows"}[metric]
    assert counted in " ".join(page.rows[2])
    assert ["student", "4", "–", "0.7500"] in page.rows
    assert ["Who is right where"] not in page.rows


def test_a_gate_by_macro_f1_still_shows_who_is_right_where(tmp_path: Path) -> None:
    asked = {"metric": "macroF1", "minRetention": 0.9, "minF1": 0.2}
    page = made(write_evaluation(tmp_path, answers(0.9), asked, "macro F1"), tmp_path)
    assert page.row("Model")[1] == "Macro F1"
    assert page.row("Macro F1")[1] == "Pass"
    assert ["Who is right where"] in page.rows


def test_no_page_is_made_of_a_report_that_was_edited(
    full: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = json.loads(full.read_text())
    report["verdict"]["verdict"] = "Fail" if report["verdict"]["verdict"] == "Pass" else "Pass"
    full.write_text(json.dumps(report))
    assert main(["report", str(full), "-o", str(tmp_path / "page.html")]) == 3
    assert "another verdict than it holds, in verdict" in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize(
    ("low", "value", "high", "threshold"), [(0.9, 0.95, 1.0, 0.2), (0.5, 0.5, 0.5, 0.5), (-1, 0, 1e6, 0)]
)
def test_whatever_the_numbers_are_the_picture_holds_them(
    low: float, value: float, high: float, threshold: float
) -> None:
    shown = Page(f"<p>{interval_plot(low, value, high, threshold)}</p>")
    assert shown.tags == {"p", "svg", "title", "desc", "line", "circle"}
    for part in interval_plot(low, value, high, threshold).split('x1="')[1:]:
        assert 0 <= float(part.split('"')[0]) <= WIDTH


def test_lines_that_are_compared_share_a_scale() -> None:
    one, other = (interval_plot(*numbers, others=[0.1, 0.9]) for numbers in ((0.1, 0.2, 0.3), (0.7, 0.8, 0.9)))
    at = [float(part.split('cx="')[1].split('"')[0]) for part in (one, other)]
    assert at[0] < WIDTH / 2 < at[1]


def test_a_calibrated_model_is_told_of_and_drawn(full: Path, tmp_path: Path) -> None:
    page, [told] = made(full, tmp_path), json.loads(full.read_text())["verdict"]["calibration"]
    numbers = [f"{told[name]:.4f}" for name in ("error", "low", "high", "brier")]
    assert any(row[:5] == ["student", *numbers] for row in page.rows)
    assert "polyline" in page.tags


SHOWN = [
    {
        "item": 6,
        "kinds": ["negativeFlip", "confidentMistake"],
        "text": "<script>alert(1)</script> & more",
        "image": None,
    },
    {"item": 14, "kinds": ["worstSlice"], "text": None, "image": b"\x89PNG"},
]


def test_the_rows_of_a_report_are_shown_with_what_every_model_says(tmp_path: Path) -> None:
    columns = answers(0.7) | {"item": range(0, 1200, 2)}
    path = write_evaluation(tmp_path, columns, {"minRetention": 0.9}, examples=examples(tmp_path, SHOWN))
    page = made(path, tmp_path)
    said = [columns[name][3] for name in ("gold", "teacher", "student")]
    assert ["negative flip, confident mistake", SHOWN[0]["text"], *said] in page.rows
    assert page.links == ["data:image/png;base64," + base64.b64encode(b"\x89PNG").decode()]
    assert not {"script", "link", "iframe"} & page.tags


def test_rows_that_were_changed_make_no_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named = examples(tmp_path, SHOWN)
    columns = answers(0.7) | {"item": range(600)}
    path = write_evaluation(tmp_path, columns, {"minRetention": 0.9}, examples=named)
    examples(tmp_path, SHOWN[:1])
    assert main(["report", str(path), "-o", str(tmp_path / "page.html")]) == 3
    assert "examples.parquet: its digest is sha256:" in capsys.readouterr().err
    assert main(["gate", str(path)]) == 1  # they decide nothing


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (8_991_915, "8,991,915"), (8_991_915.0, "8,991,915"), (1234.56, "1,234.6"), (0.5, "0.5000"),
     (0.0, "0.0000"), (0.0001234, "0.000123")],
)  # fmt: skip
def test_numbers_are_written_for_people(value: float | None, shown: str) -> None:
    assert number(value) == shown
