"""distillery-gate harness: per-sample logs of lm-evaluation-harness 0.4.13 as it writes them."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from distillery_gate.__main__ import main

ASK = ["--min-retention", "0.9"]


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def line(doc_id: int, measures: dict[str, Any], task: str = "gsm8k", filter: str = "strict-match") -> dict[str, Any]:
    question, answer = f"{task}: {doc_id}", str(doc_id % 7)
    return {
        "doc_id": doc_id, "doc": {"question": question, "answer": answer}, "target": answer,
        "arguments": {"gen_args_0": {"arg_0": question, "arg_1": {"until": ["Question:"]}}},
        "resps": [["#### 1"]], "filtered_resps": ["1"], "filter": filter, "metrics": list(measures),
        "doc_hash": digest(question), "prompt_hash": digest("prompt" + question), "target_hash": digest(answer),
        **measures,
    }  # fmt: skip


def log(folder: Path, model: str, lines: list[dict[str, Any]], task: str = "gsm8k") -> str:
    path = folder / model / f"samples_{task}_2026-05-07T14-23-11.123456.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{json.dumps(each)}\n" for each in lines))
    return str(path)


def matches(n: int, wrong: int, **others: Any) -> list[dict[str, Any]]:
    return [line(doc_id, {"exact_match": float(doc_id >= wrong)}, **others) for doc_id in range(n)]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["harness", *arguments])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def both(folder: Path, student: list[dict[str, Any]], teacher: list[dict[str, Any]]) -> list[str]:
    return ["--student", log(folder, "student", student), "--teacher", log(folder, "teacher", teacher)]


def test_exact_matches_of_the_same_documents_give_a_verdict(tmp_path, capsys):
    given = both(tmp_path, matches(400, 42), matches(400, 40))
    code, out, err = run(capsys, *given, "--measure", "exact_match", *ASK)
    verdict = json.loads(out)
    assert (code, verdict["verdict"], verdict["n"]) == (0, "Pass", 400)
    assert err.startswith("retention: Pass: The student keeps 0.994 of the teacher's accuracy")


def test_lines_are_paired_by_document_whatever_their_order(tmp_path, capsys):
    same = both(tmp_path, matches(100, 10)[::-1], matches(100, 10))
    _, out, _ = run(capsys, *same, "--measure", "exact_match", *ASK)
    assert json.loads(out)["criteria"][0]["low"] > 0.95  # no document is answered differently


def test_incumbent_and_control_are_read_too(tmp_path, capsys):
    given = both(tmp_path, matches(400, 42), matches(400, 40))
    given += ["--incumbent", log(tmp_path, "incumbent", matches(400, 80))]
    given += ["--control", log(tmp_path, "control", matches(400, 100))]
    code, out, _ = run(capsys, *given, "--measure", "exact_match", *ASK)
    assert code == 0
    assert [each["name"] for each in json.loads(out)["measurements"]] == ["teacher", "student", "incumbent", "control"]


def test_of_several_filters_one_has_to_be_named(tmp_path, capsys):
    student = matches(200, 20) + matches(200, 10, filter="flexible-extract")
    teacher = matches(200, 20) + matches(200, 20, filter="flexible-extract")
    given = [*both(tmp_path, student, teacher), "--measure", "exact_match", *ASK]
    code, _, err = run(capsys, *given)
    assert code == 3
    assert err.startswith("--filter: ")
    assert "has answers by flexible-extract, strict-match; name one of them" in err
    code, out, _ = run(capsys, *given, "--filter", "flexible-extract")
    assert (code, json.loads(out)["measurements"][1]["value"]) == (0, 0.95)
    assert run(capsys, *given, "--filter", "none")[0] == 3


def test_tasks_are_slices_and_the_worst_is_judged(tmp_path, capsys):
    given = []
    for model, wrong in (("student", 100), ("teacher", 10)):
        arc = log(tmp_path, model, matches(200, 10, task="arc_easy"), "arc_easy")
        given += [f"--{model}", arc, log(tmp_path, model, matches(200, wrong))]
    given += ["--measure", "exact_match", "--min-retention", "0.5", "--slices-min-retention", "0.9"]
    code, out, _ = run(capsys, *given)
    assert code == 1
    assert [(each["name"], each["verdict"]) for each in json.loads(out)["slices"]] == [
        ("gsm8k", "Fail"), ("arc_easy", "Pass"),
    ]  # fmt: skip


def test_several_answers_to_a_document_and_equal_documents_are_one_cluster(tmp_path, capsys):
    twice = both(tmp_path, matches(200, 20) * 2, matches(200, 20) * 2)
    _, out, _ = run(capsys, *twice, "--measure", "exact_match", *ASK)
    assert json.loads(out)["criteria"][0]["clusters"] == 200
    again = [{**each, "doc_id": each["doc_id"] + 200} for each in matches(200, 20)]
    equal = both(tmp_path, matches(200, 20) + again, matches(200, 20) + again)
    _, out, _ = run(capsys, *equal, "--measure", "exact_match", *ASK)
    assert json.loads(out)["criteria"][0]["clusters"] == 200


def test_measures_between_0_and_1_are_mean_scores(tmp_path, capsys):
    lines = [line(doc_id, {"f1": 0.25 * (doc_id % 5)}) for doc_id in range(200)]
    _, out, err = run(capsys, *both(tmp_path, lines, lines), "--measure", "f1", *ASK)
    assert json.loads(out)["measurements"][0]["metric"] == "mean score"
    assert "of the teacher's mean score" in err


def test_log_likelihoods_of_documents_are_perplexities(tmp_path, capsys):
    def texts(gain: float) -> list[dict[str, Any]]:
        return [
            line(n, {"word_perplexity": [(gain - 3) * (50 + n), 50 + n], "bits_per_byte": [-9.0, 90]})
            for n in range(60)
        ]

    given = both(tmp_path, texts(0.1), texts(0.0))
    code, out, _ = run(capsys, *given, "--measure", "word_perplexity", *ASK)
    verdict = json.loads(out)
    assert code == 0
    assert verdict["measurements"][0]["metric"] == "perplexity"
    assert verdict["measurements"][0]["value"] == pytest.approx(20.085537, abs=1e-6)  # e^3, as the harness has it
    code, _, err = run(capsys, *given, "--measure", "bits_per_byte", *ASK)
    assert code == 3
    assert "one value of all documents; name byte_perplexity" in err


def test_the_likelihood_of_a_last_word_is_a_perplexity_too(tmp_path, capsys):
    lines = [line(n, {"perplexity": -2.0, "acc": 1}) for n in range(60)]
    _, out, _ = run(capsys, *both(tmp_path, lines, lines), "--measure", "perplexity", *ASK)
    assert json.loads(out)["measurements"][0]["value"] == pytest.approx(7.389056, abs=1e-6)


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("doc_hash", "doc_hash: differs between"),
        ("target_hash", "target_hash: differs between"),
        ("prompt_hash", "; --other-prompts takes other prompts"),
    ],
)
def test_the_first_document_that_differs_is_named(tmp_path, capsys, field, words):
    teacher = [each | ({field: "another"} if each["doc_id"] > 70 else {}) for each in matches(100, 9)]
    code, out, err = run(capsys, *both(tmp_path, matches(100, 9), teacher), "--measure", "exact_match", *ASK)
    assert (code, out) == (3, "")
    assert words in err
    assert "line 72" in err


def test_prompts_may_differ_where_that_is_said(tmp_path, capsys):
    teacher = [each | {"prompt_hash": "a chat template"} for each in matches(100, 9)]
    given = both(tmp_path, matches(100, 9), teacher)
    assert run(capsys, *given, "--measure", "exact_match", *ASK, "--other-prompts")[0] == 0


@pytest.mark.parametrize(
    ("student", "teacher", "words"),
    [
        (matches(99, 9), matches(100, 9), "--student: has no answer to {teacher}: line 100"),
        (matches(100, 9), matches(99, 9), "--teacher: has no answer to {student}: line 100"),
        (matches(100, 9), matches(100, 9, filter="none"), "filter: differs between"),
        (matches(9, 9), [], "has answers by none"),
        ([{"doc_id": 0, "acc": 1.0}], matches(9, 9), "line 1 has no filter; log with lm_eval --log_samples"),
        ([line(0, {"acc": 1.0})], matches(1, 0), "line 1 has no exact_match, only acc; name one"),
        ([line(0, {"exact_match": ["a", "b"]})], matches(1, 0), "is ['a', 'b'], of which the harness makes one value"),
        (
            [line(0, {"exact_match": float("nan")}), line(1, {"exact_match": 1})],
            matches(2, 0),
            "student: item 0 is NaN",
        ),
    ],
)
def test_logs_that_cannot_be_compared_are_refused(tmp_path, capsys, student, teacher, words):
    given = both(tmp_path, student, teacher)
    asked = ["--measure", "exact_match", *ASK] + (["--filter", "strict-match"] if not teacher else [])
    code, _, err = run(capsys, *given, *asked)
    assert code == 3
    assert words.format(student=given[1], teacher=given[3]) in err


def test_two_logs_of_a_task_and_other_counts_of_words_are_refused(tmp_path, capsys):
    once = log(tmp_path, "student", matches(9, 0))
    later = str(Path(once).with_name("samples_gsm8k_2026-05-08T00-00-00.000001.jsonl"))
    Path(later).write_text(Path(once).read_text())
    code, _, err = run(capsys, "--student", once, later, "--teacher", once, "--measure", "exact_match", *ASK)
    assert code == 3
    assert "is of task gsm8k, as" in err
    words = [[line(n, {"word_perplexity": [-9.0, count]}) for n in range(3)] for count in (4, 5)]
    code, _, err = run(capsys, *both(tmp_path, *words), "--measure", "word_perplexity", *ASK)
    assert "--student: word_perplexity counts other words" in err
