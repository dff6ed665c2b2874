"""Options and the arena of the fault tests; all selected faults run side by side, and each test waits for its own."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import arena as arenas
import pytest
from fault import Fault, Length, sample
from scenario import Arena, Outcome, run

SIDE_BY_SIDE = 8  # runs wait far more than they compute
OUTAGE = 3.0  # seconds
SHORTEST = Length(writes=40, events=90, reads=50)  # an undisturbed run has at least these


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fault", action="append", default=[], help="run this fault, as a report names it")
    parser.addoption("--faults-seed", type=int, default=0, help="choose another sample")


def chosen(options: pytest.Config) -> list[Fault]:
    """The faults that were asked for, or a sample."""
    named = [Fault.parse(text) for text in options.getoption("--fault")]
    return named or sample(SHORTEST, options.getoption("--faults-seed"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "fault" in metafunc.fixturenames:
        metafunc.parametrize("fault", chosen(metafunc.config), ids=str)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.faults)


@pytest.fixture(scope="session")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    with arenas.arena(tmp_path_factory.mktemp("arena"), OUTAGE) as arena:
        yield arena


@pytest.fixture(scope="session")
def undisturbed(arena: Arena) -> Outcome:
    return arenas.undisturbed(arena)


@pytest.fixture(scope="session")
def outcome_of(
    arena: Arena, undisturbed: Outcome, request: pytest.FixtureRequest
) -> Iterator[Callable[[Fault], Outcome]]:
    """Begins every selected fault at once."""
    faults = [item.callspec.params["fault"] for item in request.session.items if hasattr(item, "callspec")]
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        runs: dict[Fault, Future[Outcome]] = {
            fault: pool.submit(run, arena, fault, undisturbed.state) for fault in faults
        }
        yield lambda fault: runs[fault].result()
