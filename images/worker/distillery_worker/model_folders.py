"""A Hugging Face folder: downloaded, checked, and loaded. `field` is the field of the spec that names it."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from distillery_api.digests import digest_files
from distillery_api.sources import ModelSource
from distillery_storage import download_folder
from distillery_storage.folders import file_digest
from transformers import PreTrainedModel

from .data.files import first_line
from .devices import best_device
from .errors import InputRefused
from .model_sources.artifact import pull_artifact
from .model_sources.hub import pull_from_hub

CONFIG, TOKENIZER, TOKENIZER_CONFIG = "config.json", "tokenizer.json", "tokenizer_config.json"
SAFETENSORS, ONNX = ".safetensors", ".onnx"
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")


class Downloaded(NamedTuple):
    """Digests of a folder's files by name, and of all together, and its address at the revision that was fetched."""

    files: dict[str, str]
    digest: str
    uri: str


@dataclass(frozen=True)
class ModelFolder:
    """A folder whose static files have been read."""

    path: Path
    uri: str  # with the revision, where its source has any
    field: str
    digest: str  # of all files
    files: dict[str, str]  # digests by name
    config: dict[str, Any]

    def read_json(self, name: str) -> dict[str, Any]:
        """A JSON object of the folder. Raises InputRefused (ModelUnsupported)."""
        return read_json(self.path / name, self.uri, self.field)


def fetch_folder(
    source: ModelSource, field: str, needed: Sequence[str], dest: Path, weights: tuple[str, ...] = (SAFETENSORS,)
) -> ModelFolder:
    """Download a folder and check it; `needed` are files beside config and weights, `weights` suffixes of the latter.

    Raises InputRefused, DigestMismatch's reason included, and storage errors.
    """
    return read_folder(field, needed, download(source, field, dest), dest, weights)


def read_folder(
    field: str,
    needed: Sequence[str],
    downloaded: Downloaded,
    dest: Path,
    weights: tuple[str, ...] = (SAFETENSORS,),
) -> ModelFolder:
    """Check a downloaded folder; arguments as of `fetch_folder`. Raises InputRefused."""
    files, digest, uri = downloaded
    check_formats(files, needed, uri, field, weights)
    config = read_json(dest / CONFIG, uri, field)
    if "auto_map" in config:
        raise InputRefused(
            "UnsafeFormat", f"{field}: {uri} needs Python code of its own (auto_map); use a built-in model"
        )
    return ModelFolder(dest, uri, field, digest, files, config)


def download(source: ModelSource, field: str, dest: Path) -> Downloaded:
    """Download a folder. Raises InputRefused (DigestMismatch, and what its source refuses) and storage errors."""
    files, uri = fetch_files(source.uri, field, dest)
    digest = digest_files(files)
    if source.digest and source.digest != digest:
        raise InputRefused(
            "DigestMismatch",
            f"{field}: {source.uri} is {digest}, not {source.digest};"
            " the folder was changed: restore it, or set the digest you mean",
        )
    return Downloaded(files, digest, uri)


def fetch_files(uri: str, field: str, dest: Path) -> tuple[dict[str, str], str]:
    """Digests by name of the files that are now in `dest`, and the address with the revision that they are of."""
    for scheme, pull in (("hf://", pull_from_hub), ("oci://", pull_artifact)):
        if uri.startswith(scheme):
            if dest.exists():
                shutil.rmtree(dest)  # what lies there would be taken for a part of the model
            dest.mkdir(parents=True)
            pinned = pull(uri, field, dest)
            return {path.name: file_digest(path) for path in dest.iterdir()}, pinned
    return download_folder(uri, dest), uri


def check_formats(files: dict[str, str], needed: Sequence[str], uri: str, field: str, weights: tuple[str, ...]) -> None:
    """A config, what prepares the inputs, and weights of these suffixes, and no pickle in their place."""
    if not any(name.endswith(weights) for name in files):
        pickles = [name for name in files if name.endswith(PICKLES)]
        if pickles:
            raise InputRefused(
                "UnsafeFormat",
                f"{field}: {uri} has its weights in {pickles[0]}, a pickle that can run code when it is"
                " read; save the model with safetensors",
            )
        wanted = " or ".join(weights)
        raise InputRefused(
            "ModelUnsupported", f"{field}: {uri} has no {wanted} weights; add them, since pickles are not read"
        )
    for name in (CONFIG, *needed):
        if name not in files:
            raise InputRefused(
                "ModelUnsupported", f"{field}: {uri} has no {name}; save the model and what prepares its inputs there"
            )


def read_json(path: Path, uri: str, field: str) -> dict[str, Any]:
    """A JSON object of the folder."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputRefused(
            "ModelUnsupported", f"{field}: {uri}/{path.name} is not JSON: {first_line(error)}; save it again"
        ) from error
    if not isinstance(value, dict):
        raise InputRefused("ModelUnsupported", f"{field}: {uri}/{path.name} is not an object; save it again")
    return value


def load_weights(auto: Any, path: Path, uri: str, field: str, **config: Any) -> tuple[PreTrainedModel, list[str]]:
    """The model in float32 and evaluation mode, and the names of weights that it lacked or had in another shape.

    auto: the Auto class of the task; `config` replaces parts of config.json. Raises InputRefused (WeightsCorrupt).
    """
    try:
        model, report = auto.from_pretrained(
            path,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            dtype=torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are reported
            **config,
        )
    except Exception as error:  # whatever the libraries raise, the folder does not load
        raise InputRefused(
            "WeightsCorrupt", f"{field}: {uri} does not load: {first_line(error)}; upload the model again"
        ) from error
    if any(not bool(torch.isfinite(tensor).all()) for tensor in model.parameters()):
        raise InputRefused("WeightsCorrupt", f"{field}: the weights at {uri} hold NaN or infinity; upload sound ones")
    loaded: PreTrainedModel = model.eval().to(best_device())
    mismatched = [name[0] if isinstance(name, tuple) else name for name in report["mismatched_keys"]]
    return loaded, sorted([*report["missing_keys"], *mismatched])
