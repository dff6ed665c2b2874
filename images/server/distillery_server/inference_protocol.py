"""Open Inference Protocol v2, REST: a BYTES tensor `text` or `image` in, `label` and `probabilities`, or `score`, out.

A model that scores texts against queries takes a second BYTES tensor, `query`, with as many strings.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from distillery_api.artifact import ArtifactManifest, ImagePreprocessing, TextPreprocessing
from numpy.typing import NDArray

from .errors import Refused
from .fields import kind
from .inputs import INPUTS, Inputs
from .limits import Limits


@dataclass(frozen=True)
class InferRequest:
    """Inputs [n] and the names of the outputs to send back."""

    id: str | None
    inputs: list[Any]
    outputs: tuple[str, ...]


def input_names(manifest: ArtifactManifest) -> tuple[str, ...]:
    """The BYTES tensors that the model takes."""
    one = INPUTS[manifest.preprocessing.kind].one
    paired = isinstance(manifest.preprocessing, TextPreprocessing) and manifest.preprocessing.query
    return ("query", one) if paired else (one,)


def output_tensors(manifest: ArtifactManifest) -> dict[str, dict[str, Any]]:
    """The tensors that the model gives, by name; -1 stands for the number of inputs."""
    if not manifest.labels:
        return {"score": {"datatype": "FP32", "shape": [-1]}}
    return {
        "label": {"datatype": "BYTES", "shape": [-1]},
        "probabilities": {"datatype": "FP32", "shape": [-1, len(manifest.labels)]},
    }


def model_metadata(name: str, version: str, manifest: ArtifactManifest) -> dict[str, Any]:
    """What GET /v2/models/{name} answers; `parameters` has the label names, in the order of `probabilities`."""
    return {
        "name": name,
        "versions": [version],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": field, "datatype": "BYTES", "shape": [-1]} for field in input_names(manifest)],
        "outputs": [{"name": output, **tensor} for output, tensor in output_tensors(manifest).items()],
        "parameters": {"labels": manifest.labels, **input_limits(manifest.preprocessing)},
    }


def input_limits(preprocessing: TextPreprocessing | ImagePreprocessing) -> dict[str, int]:
    """How much of an input the model sees: tokens of a text, pixels of an image."""
    if isinstance(preprocessing, TextPreprocessing):
        return {"max_length": preprocessing.max_length}
    return {"height": preprocessing.height, "width": preprocessing.width, "channels": preprocessing.channels}


def parse_infer(body: dict[str, Any], manifest: ArtifactManifest, limits: Limits) -> InferRequest:
    """Read an inference request. Raises Refused with the field that is wrong."""
    request_id = body.get("id")
    if request_id is not None and not isinstance(request_id, str):
        raise Refused(400, f"id: is a {kind(request_id)}; send a string, or leave it out")
    names, expected = input_names(manifest), INPUTS[manifest.preprocessing.kind]
    tensors = _tensors(body.get("inputs"), names)
    columns = [_data(*tensors[name], expected, limits) for name in names]
    if len({len(column) for column in columns}) > 1:
        raise Refused(400, "inputs: query and text must have as many strings each")
    inputs = columns[0] if len(names) == 1 else list(zip(*columns, strict=True))
    return InferRequest(request_id, inputs, _outputs(body.get("outputs"), tuple(output_tensors(manifest))))


def _tensors(inputs: Any, names: tuple[str, ...]) -> dict[str, tuple[str, dict[str, Any]]]:
    # Each tensor by its name, with its place in the body.
    if not isinstance(inputs, list) or len(inputs) != len(names) or not all(isinstance(t, dict) for t in inputs):
        wanted = f"one tensor, named {names[0]}" if len(names) == 1 else f"two tensors, named {' and '.join(names)}"
        raise Refused(400, f"inputs: must be a list of {wanted}")
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for index, tensor in enumerate(inputs):
        if tensor.get("name") not in names or tensor["name"] in found:
            there = f"there is one {' and one '.join(names)}"
            wanted = f"the one input is named {names[0]}" if len(names) == 1 else there
            raise Refused(400, f"inputs[{index}].name: {tensor.get('name')!r}; {wanted}")
        found[tensor["name"]] = (f"inputs[{index}]", tensor)
    return found


def _data(field: str, tensor: dict[str, Any], expected: Inputs, limits: Limits) -> list[Any]:
    if tensor.get("datatype") != "BYTES":
        raise Refused(400, f"{field}.datatype: {tensor.get('datatype')!r}; {tensor['name']} is BYTES")
    shape, data = tensor.get("shape"), tensor.get("data")
    if not isinstance(data, list):
        raise Refused(400, f"{field}.data: must be a list of strings (binary tensor data is not supported)")
    flat = [item for row in data for item in (row if isinstance(row, list) else [row])]
    found = expected.read(flat, f"{field}.data", limits)
    if shape not in ([len(found)], [len(found), 1]):
        raise Refused(
            400, f"{field}.shape: {shape}; for {len(found)} {expected.many} it is [{len(found)}] or [{len(found)}, 1]"
        )
    return found


def _outputs(requested: Any, names: tuple[str, ...]) -> tuple[str, ...]:
    if requested is None or requested == []:
        return names
    if not isinstance(requested, list) or not all(isinstance(output, dict) for output in requested):
        raise Refused(400, f'outputs: must be a list of objects such as {{"name": "{names[0]}"}}')
    for index, output in enumerate(requested):
        if output.get("name") not in names:
            raise Refused(400, f"outputs[{index}].name: {output.get('name')!r}; there are {' and '.join(names)}")
    return tuple(output["name"] for output in requested)


def infer_response(
    request: InferRequest, name: str, version: str, labels: list[str], values: NDArray[np.float32]
) -> dict[str, Any]:
    """The answer; probabilities [inputs, labels] are flat, row by row, as the protocol asks, scores [inputs, 1] too."""
    rows = len(values)
    flat = {"datatype": "FP32", "shape": [rows, len(labels)] if labels else [rows], "data": values.ravel().tolist()}
    tensors = {"score": flat}
    if labels:
        best = [labels[index] for index in values.argmax(axis=-1)]
        tensors = {"label": {"datatype": "BYTES", "shape": [rows], "data": best}, "probabilities": flat}
    response = {"model_name": name, "model_version": version}
    if request.id is not None:
        response["id"] = request.id
    return {**response, "outputs": [{"name": output, **tensors[output]} for output in request.outputs]}
