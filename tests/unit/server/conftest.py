"""A student of three words, built in memory, and its application."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import numpy as np
import onnx
import pytest
from distillery_api.artifact import ArtifactManifest
from distillery_api.digests import digest_bytes
from distillery_api.run import ArtifactRef, ServeRun
from distillery_server.app import create_app
from distillery_server.limits import Limits
from distillery_server.model import Model
from distillery_server.state import State
from distillery_storage import open_prefix, publish_folder
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers

LABELS = ["negative", "neutral", "positive"]
WORDS = {"[UNK]": 0, "bad": 1, "fine": 2, "good": 3}
ZERO = "sha256:" + "0" * 64


# Bad, fine and good each vote 2 for a label; other words vote 0.
VOTES = np.vstack([np.zeros((1, 3)), 2 * np.eye(3)]).astype(np.float32)


def graph(votes: NDArray[np.float32]) -> bytes:
    """Outputs are the sum of one row per word. votes: [words, outputs]"""
    nodes = [
        helper.make_node("Gather", ["votes", "input_ids"], ["rows"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["mask3"]),
        helper.make_node("Mul", ["rows", "mask3"], ["masked"]),
        helper.make_node("ReduceSum", ["masked", "middle"], ["logits"], keepdims=0),
    ]
    names = ("input_ids", "attention_mask")
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "seq"]) for name in names]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", votes.shape[1]])]
    constants = {"votes": votes, "last": np.array([-1]), "middle": np.array([1])}
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    made = helper.make_graph(nodes, "votes", inputs, outputs, initializers)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def write_artifact(folder: Path, votes: NDArray[np.float32] = VOTES) -> ArtifactManifest:
    """The artifact's files and its manifest."""
    tokenizer = Tokenizer(models.WordLevel(WORDS, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()  # type: ignore[assignment]
    files = {"model.onnx": graph(votes), "tokenizer.json": tokenizer.to_str().encode()}
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return ArtifactManifest.model_validate(
        {
            "labels": LABELS,
            "preprocessing": {"maxLength": 16},
            "parameters": 12,
            "files": {name: {"sha256": digest_bytes(data), "size": len(data)} for name, data in files.items()},
            "provenance": {"teacher": ZERO, "labelsKey": ZERO, "studentKey": ZERO, "jobUid": "u"},
        }
    )


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> ArtifactRef:
    """A published artifact that no test changes."""
    root = tmp_path_factory.mktemp("published")
    manifest = write_artifact(root / "made")
    uri = f"file://{root}/storage/student"
    data = manifest.model_dump_json(by_alias=True).encode()
    return ArtifactRef(uri=uri, digest=publish_folder(root / "made", open_prefix(uri), data))


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """The loaded student; two rows a run, so that requests of three texts take two runs."""
    folder = tmp_path_factory.mktemp("loaded") / "artifact"
    return Model(folder, write_artifact(folder), rows_per_run=2)


@pytest.fixture
def state(artifact: ArtifactRef, model: Model) -> State:
    """A server that is ready."""
    run = ServeRun(namespace="ns", model="sentiment", revision="abc", artifact=artifact, drain_seconds=1)
    return State(run, model)


@pytest.fixture
def connect(state: State) -> Callable[..., httpx.AsyncClient]:
    """A client of the application, with limits of the test's choice."""

    def client(**limits: int) -> httpx.AsyncClient:
        app = create_app(state, workers=1, limits=Limits(**limits))
        return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server")

    return client


@pytest.fixture
async def client(connect: Callable[..., httpx.AsyncClient]) -> AsyncIterator[httpx.AsyncClient]:
    """A client with small limits: 3 texts, 20 characters, 300 bytes."""
    async with connect(max_texts=3, max_characters=20, max_body_bytes=300) as opened:
        yield opened


@pytest.fixture(scope="session")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bool], Model]:
    """A student that scores 2 for each "good", alone or behind a query."""

    def load(query: bool) -> Model:
        folder = tmp_path_factory.mktemp("scorer") / "artifact"
        manifest = write_artifact(folder, votes=np.array([[0], [0], [0], [2]], dtype=np.float32))
        scoring = {"task": "text-scoring", "labels": [], "preprocessing": {"maxLength": 16, "query": query}}
        return Model(folder, ArtifactManifest.model_validate(manifest.dump() | scoring), rows_per_run=2)

    return load
