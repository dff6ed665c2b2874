"""A soak that goes on where an earlier one stopped."""

import json
from pathlib import Path

import soak
from fault import Fault, Length, matrix
from scenario import Outcome

LENGTH = Length(writes=3, events=4, reads=2)
PLANNED = len(matrix(LENGTH))


def test_a_soak_goes_on_with_the_faults_that_are_left_while_the_code_is_the_same(tmp_path: Path):
    output = tmp_path / "faults.json"
    done = soak.nothing(LENGTH, PLANNED)
    for fault in matrix(LENGTH)[:2]:
        done = soak.added(done, Outcome(fault))
    output.write_text(json.dumps(done))
    found = soak.earlier(output, seeds=1)
    assert found == done
    assert (found["ran"], found["faults"]) == (2, 2)
    assert soak.earlier(output, seeds=2) is None
    output.write_text(json.dumps(done | {"code": "sha256:another"}))
    assert soak.earlier(output, seeds=1) is None
    assert soak.earlier(tmp_path / "none.json", seeds=1) is None


def test_runs_are_counted_by_kind_and_violations_named():
    found = soak.nothing(LENGTH, PLANNED)
    for outcome in (
        Outcome(Fault("cut", 1)), Outcome(Fault("cut", 2), void="the run had ended"),
        Outcome(Fault("gone", 3), violations=["two Jobs of train"]),
    ):  # fmt: skip
        found = soak.added(found, outcome)
    assert found["kinds"] == {"cut": {"passed": 1, "void": 1}, "gone": {"violations": 1}}
    assert (found["ran"], found["faults"], found["violations"]) == (3, 2, ["gone@3.0"])
