"""Language models in GGUF, the format of llama.cpp: turned into the folder that everything else reads."""

import copy
import io
from contextlib import redirect_stderr
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from ..data.files import first_line, listed
from ..errors import InputRefused
from ..model_folders import CONFIG, TOKENIZER, Downloaded, ModelFolder, read_json

SUFFIX = ".gguf"


def read_gguf(field: str, downloaded: Downloaded, dest: Path) -> ModelFolder | None:
    """What the GGUF file of a downloaded folder was turned into; None where it has none.

    The digests stay those of the folder and of the file. Raises InputRefused (ModelUnsupported, WeightsCorrupt).
    """
    files, digest, uri = downloaded
    names = [name for name in files if name.endswith(SUFFIX)]
    if not names:
        return None
    if len(names) > 1:
        raise InputRefused("ModelUnsupported", f"{field}: {uri} holds {listed(names)}; keep one .gguf file in a folder")
    converted = dest / "converted"
    try:
        convert(dest, names[0], converted)
    except Exception as error:  # whatever the libraries raise, the file does not load
        raise InputRefused(
            "WeightsCorrupt", f"{field}: {uri}/{names[0]} does not load: {first_line(error)}; upload it again"
        ) from error
    config = read_json(converted / CONFIG, uri, field)
    return ModelFolder(converted, uri, field, digest, {TOKENIZER: files[names[0]]}, config)


def convert(folder: Path, name: str, out: Path) -> None:
    """Write weights in float32, configuration and tokenizer of a GGUF file. Raises what the libraries raise."""
    out.mkdir(exist_ok=True)
    with redirect_stderr(io.StringIO()):  # for a progress bar that has no switch
        model = AutoModelForCausalLM.from_pretrained(
            folder, gguf_file=name, trust_remote_code=False, local_files_only=True, dtype=torch.float32
        )
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name, trust_remote_code=False, local_files_only=True)
    write_model(model, out)
    write_tokenizer(tokenizer, model, out)


def write_model(model: PreTrainedModel, out: Path) -> None:
    """Plain weights: transformers takes a model from GGUF for a quantized one, and does not save it."""
    config = copy.deepcopy(model.config)
    del config.quantization_config
    config.architectures = [type(model).__name__]
    config.save_pretrained(out)
    model.generation_config.save_pretrained(out)
    tensors, seen = dict[str, torch.Tensor](), set[int]()
    for name, tensor in model.state_dict().items():
        if tensor.data_ptr() not in seen:  # tied weights stand under two names
            seen.add(tensor.data_ptr())
            tensors[name] = tensor.contiguous()
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})


def write_tokenizer(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, out: Path) -> None:
    """The tokenizer with the file's own end token: transformers guesses another one for some."""
    if isinstance(model.config.eos_token_id, int):
        tokenizer.eos_token = tokenizer.convert_ids_to_tokens(model.config.eos_token_id)
    tokenizer.save_pretrained(out)
