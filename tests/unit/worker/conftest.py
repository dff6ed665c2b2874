import os
from collections.abc import Iterator
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import micro
import micro_language
import pytest
import torch
import transformers
from distillery_worker.context import Context

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Parallel test processes must not wait for each other's threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train, unlabelled and test.parquet and teacher/; read only."""
    folder = tmp_path_factory.mktemp("source")
    micro.write_data(folder)
    micro.write_teacher(folder / "teacher")
    return folder


@pytest.fixture(scope="session")
def language_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train, test, pairs and test-pairs.parquet and teacher/ of a language model; read only."""
    folder = tmp_path_factory.mktemp("language")
    micro_language.write_data(folder)
    micro_language.write_pairs(folder)
    micro_language.write_teacher(folder / "teacher")
    return folder


@pytest.fixture(scope="session")
def writing_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """answered, test-answered and prompts.parquet, and a teacher/ that writes sentences and ends them; read only."""
    folder = tmp_path_factory.mktemp("writing")
    micro_language.write_exchanges(folder)
    micro_language.write_teacher(folder / "teacher", lambda seed: " ".join(micro_language.sentence(seed)))
    return folder


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    return tmp_path / "storage"


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(workdir=tmp_path / "work")
