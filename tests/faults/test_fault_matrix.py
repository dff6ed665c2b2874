"""Whatever happens between operator and API server, a run ends as if nothing had."""

from collections.abc import Callable

import pytest
from arena import length_of
from conftest import SHORTEST
from fault import KINDS, Fault, Length, matrix, sample
from journal import Tally
from scenario import Outcome


def test_an_undisturbed_run_is_as_long_as_the_sample_takes_it_to_be(undisturbed: Outcome):
    length = length_of(undisturbed)
    assert all(length.of(kind) >= SHORTEST.of(kind) for kind in KINDS), length


def test_a_run_ends_as_if_the_fault_had_not_been(fault: Fault, outcome_of: Callable[[Fault], Outcome]):
    outcome = outcome_of(fault)
    if outcome.void:
        pytest.skip(outcome.void)
    assert not outcome.violations, outcome.report()


def test_a_matrix_holds_every_kind_at_every_point_once_and_a_sample_every_kind():
    faults = matrix(Length(writes=3, events=5, reads=2))
    assert len(faults) == len(set(faults))
    assert {fault.kind for fault in faults[: len(KINDS)]} == set(KINDS)
    assert {fault.point for fault in faults if fault.kind == "kill-after"} == {1, 2, 3}
    assert [fault.kind for fault in sample(SHORTEST, 1)] == list(KINDS)
    assert sample(SHORTEST, 1) != sample(SHORTEST, 2)


def test_a_write_counts_as_a_trespass_unless_its_process_holds_the_lease():
    tally = Tally()
    tally.write("0-1", "before anybody led")
    tally.led_by("0-1")
    tally.write("0-1", "as the leader")
    tally.led_by("1-1")
    tally.write("0-1", "after another took over")
    tally.write("0-2", "under a new name, without the Lease")
    tally.write("1-1", "as the next leader")
    tally.led_by("")
    tally.write("1-1", "after it gave the Lease back")
    assert [entry.number for entry in tally.trespasses()] == [1, 3, 4, 6]


def test_a_fault_is_found_again_by_its_name():
    fault = Fault("kill-after", 17, 3)
    assert Fault.parse(str(fault)) == fault
    with pytest.raises(ValueError, match="no fault is called 'klil'"):
        Fault.parse("klil@1")
