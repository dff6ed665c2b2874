"""Teachers as ONNX files: black boxes with named inputs and an output whose name says what it is."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from distillery_worker.errors import InputRefused
from distillery_worker.teachers.onnx_model import OnnxModel, log_probabilities
from onnx import TensorProto, helper
from scipy.special import softmax

IDS = np.array([[1, 2, 3], [4, 5, 0]])
FEEDS = {"input_ids": IDS, "attention_mask": (IDS > 0).astype(np.int64)}


def write(folder: Path, output: str = "logits", kind: int = TensorProto.INT64, then: str = "Identity") -> Path:
    """A graph that answers row r with the numbers input_ids[r] / 2, or what `then` makes of them."""
    nodes = [
        helper.make_node("Cast", ["input_ids"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["floats", "half"], ["halves"]),
        helper.make_node(then, ["halves"], [output]),
    ]
    graph = helper.make_graph(
        nodes,
        "halves",
        [helper.make_tensor_value_info("input_ids", kind, ["rows", 3])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["rows", 3])],
        [helper.make_tensor("half", TensorProto.FLOAT, [], [0.5])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    path = folder / "model.onnx"
    onnx.save(model, path)
    return path


def test_logits_are_given_as_they_are(tmp_path: Path) -> None:
    answers = OnnxModel(write(tmp_path), "s3://models/a").logits(FEEDS)
    assert answers.dtype == np.float32
    np.testing.assert_array_equal(answers, IDS / 2)


def test_probabilities_become_logits_that_softmax_gives_back(tmp_path: Path) -> None:
    answers = OnnxModel(write(tmp_path, "probabilities", then="Softmax"), "s3://models/a").logits(FEEDS)
    np.testing.assert_allclose(softmax(answers, axis=1), softmax(IDS / 2, axis=1), rtol=1e-5)


@pytest.mark.parametrize(
    "kind", [TensorProto.INT32, TensorProto.FLOAT, TensorProto.FLOAT16], ids=["int32", "float", "float16"]
)
def test_inputs_are_cast_to_what_the_graph_takes(tmp_path: Path, kind: int) -> None:
    np.testing.assert_array_equal(OnnxModel(write(tmp_path, kind=kind), "s3://models/a").logits(FEEDS), IDS / 2)


def test_an_input_that_the_task_does_not_give_is_refused(tmp_path: Path) -> None:
    model = OnnxModel(write(tmp_path), "s3://models/a")
    model.check_inputs({"input_ids", "attention_mask"})
    with pytest.raises(InputRefused, match=r"takes input 'input_ids'.*\['pixel_values'\]") as refused:
        model.check_inputs({"pixel_values"})
    assert refused.value.reason == "ModelUnsupported"


def test_an_output_of_another_name_is_refused_because_it_does_not_say_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match=r"outputs \['scores'\].*'logits' or 'probabilities'") as refused:
        OnnxModel(write(tmp_path, "scores"), "s3://models/a")
    assert refused.value.reason == "ModelUnsupported"


def test_a_file_that_is_no_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(InputRefused, match=r"s3://models/a/model.onnx does not load") as refused:
        OnnxModel(tmp_path / "model.onnx", "s3://models/a")
    assert refused.value.reason == "WeightsCorrupt"


def test_a_probability_of_zero_stays_finite() -> None:
    logs = log_probabilities(np.array([[1.0, 0.0]], dtype=np.float32), "s3://models/a")
    assert np.isfinite(logs).all()
    assert softmax(logs)[0, 1] < 1e-37


@pytest.mark.parametrize(
    "row",
    [
        pytest.param([2.0, 1.0], id="logits by the wrong name"),
        pytest.param([1.5, -0.5], id="a negative one"),
        pytest.param([np.nan, 1.0], id="NaN"),
    ],
)
def test_numbers_that_are_no_probabilities_are_refused(row: list[Any]) -> None:
    with pytest.raises(InputRefused, match="do not add up to 1") as refused:
        log_probabilities(np.array([row], dtype=np.float32), "s3://models/a")
    assert refused.value.reason == "WeightsCorrupt"
