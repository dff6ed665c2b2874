"""A student of images behind the same routes: a model that tells dark images from bright ones."""

import base64
import io
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import onnx
import pytest
from distillery_api.artifact import ArtifactManifest
from distillery_api.digests import digest_bytes
from distillery_api.run import ArtifactRef, ServeRun
from distillery_engine import ArtifactInvalid, TextModel
from distillery_server.app import create_app
from distillery_server.limits import Limits
from distillery_server.model import Model
from distillery_server.state import State
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

ZERO = "sha256:" + "0" * 64


def graph() -> bytes:
    """Logits are minus and plus the mean of the normalised pixels."""
    nodes = [
        helper.make_node("ReduceMean", ["pixel_values"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("Mul", ["mean", "signs"], ["logits"]),
    ]
    inputs = [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["batch", 1, 8, 8])]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])]
    signs = numpy_helper.from_array(onnx.numpy_helper.np.array([[-5.0, 5.0]], dtype="float32"), "signs")
    made = helper.make_graph(nodes, "brightness", inputs, outputs, [signs])
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ArtifactManifest]:
    folder, data = tmp_path_factory.mktemp("artifact"), graph()
    (folder / "model.onnx").write_bytes(data)
    preprocessing = {
        "kind": "image", "height": 8, "width": 8, "resample": "bilinear", "channels": 1,
        "scale": 1 / 255, "mean": [0.5], "std": [0.5],
    }  # fmt: skip
    return folder, ArtifactManifest.model_validate(
        {
            "task": "image-classification",
            "labels": ["dark", "bright"],
            "preprocessing": preprocessing,
            "parameters": 2,
            "files": {"model.onnx": {"sha256": digest_bytes(data), "size": len(data)}},
            "provenance": {"teacher": ZERO, "labelsKey": ZERO, "studentKey": ZERO, "jobUid": "u"},
        }
    )


@pytest.fixture
async def client(manifest: tuple[Path, ArtifactManifest]) -> AsyncIterator[httpx.AsyncClient]:
    """A client that may send three images."""
    run = ServeRun(namespace="ns", model="light", revision="abc", artifact=ArtifactRef(uri="file:///x", digest=ZERO))
    state = State(run, Model(*manifest, rows_per_run=2))
    app = create_app(state, workers=1, limits=Limits(max_images=3))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as opened:
        yield opened


def image(shade: int, kind: str = "PNG", side: int = 20) -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), (shade,) * 3).save(buffer, kind)
    return base64.b64encode(buffer.getvalue()).decode()


async def test_classify_names_the_label_of_an_image(client: httpx.AsyncClient) -> None:
    answer = await client.post("/classify", json={"image": image(250)})
    assert [result["label"] for result in answer.json()["results"]] == ["bright"]
    assert answer.json()["results"][0]["score"] > 0.9


async def test_classify_takes_several_images_of_both_formats_in_their_order(client: httpx.AsyncClient) -> None:
    answer = await client.post("/classify", json={"images": [image(5), image(250, "JPEG"), image(9)], "top_k": 2})
    assert [result["label"] for result in answer.json()["results"]] == ["dark", "bright", "dark"]
    assert [len(result["scores"]) for result in answer.json()["results"]] == [2, 2, 2]


async def test_infer_takes_a_tensor_of_base64(client: httpx.AsyncClient) -> None:
    tensor = {"name": "image", "datatype": "BYTES", "shape": [2], "data": [image(5), image(250)]}
    answer = await client.post("/v2/models/light/infer", json={"inputs": [tensor]})
    assert answer.json()["outputs"][0] == {
        "name": "label", "datatype": "BYTES", "shape": [2], "data": ["dark", "bright"]
    }  # fmt: skip


async def test_metadata_tell_the_input_and_what_the_model_sees_of_it(client: httpx.AsyncClient) -> None:
    told = (await client.get("/v2/models/light")).json()
    assert told["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [-1]}]
    assert told["parameters"] == {"labels": ["dark", "bright"], "height": 8, "width": 8, "channels": 1}


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        pytest.param({"text": "a"}, 400, "text: no such field; use image or images", id="a text"),
        pytest.param({"image": 7}, 400, "image[0]: is a number", id="no string"),
        pytest.param({"image": "a?"}, 400, "image[0]: is not base64", id="no base64"),
        pytest.param({"images": []}, 400, "images: must be a list of at least one image", id="none"),
        pytest.param({"images": [image(5)] * 4}, 413, "4 images; send at most 3", id="too many"),
        pytest.param(
            {"images": [image(5), base64.b64encode(b"GIF89a").decode()]},
            400, "image 1, counted from 0, is neither a PNG nor a JPEG image", id="another format",
        ),
    ],
)  # fmt: skip
async def test_what_is_no_image_is_refused_by_name(
    client: httpx.AsyncClient, body: dict[str, object], status: int, message: str
) -> None:
    answer = await client.post("/classify", json=body)
    assert answer.status_code == status
    assert message in answer.json()["error"]


async def test_refused_images_are_counted_as_invalid(client: httpx.AsyncClient) -> None:
    await client.post("/classify", json={"image": base64.b64encode(b"no image").decode()})
    lines = (await client.get("/metrics")).text.splitlines()
    counted = [line for line in lines if line.startswith("distillery_server_requests_total{")]
    assert [line.rsplit(" ", 1)[1] for line in counted if 'outcome="invalid"' in line] == ["1.0"]


def test_an_artifact_of_images_is_no_text_model(manifest: tuple[Path, ArtifactManifest]) -> None:
    with pytest.raises(ArtifactInvalid, match="its inputs are images, not texts"):
        TextModel(*manifest)
