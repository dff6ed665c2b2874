"""The student of a language model: a Llama decoder over the teacher's vocabulary, from its config and a seed alone."""

from pathlib import Path

import torch
from distillery_api.student import StudentConfig
from torch import Tensor
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from ..data.language_tokenizer import LanguageTokenizer
from ..errors import InputRefused
from ..model_folders import ModelFolder, load_weights
from ..teachers.language_model import cut_vocabulary
from .bert import check_width, project
from .pretrained import FIELD


def build_decoder(
    config: StudentConfig, tokenizer: LanguageTokenizer, teacher_embeddings: Tensor, seed: int
) -> PreTrainedModel:
    """An untrained student; the same arguments give the same weights. Raises InputRefused (ModelUnsupported).

    teacher_embeddings: [vocabulary of the tokenizer, teacher hidden]
    """
    check_width(config, teacher_embeddings.shape[1])
    torch.manual_seed(seed)
    special = tokenizer.tokenizer
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=tokenizer.vocabulary,
            hidden_size=config.hidden_size,
            num_hidden_layers=config.layers,
            num_attention_heads=config.attention_heads,
            intermediate_size=config.intermediate_size,
            max_position_embeddings=tokenizer.length,
            tie_word_embeddings=True,
            bos_token_id=special.bos_token_id,
            eos_token_id=special.eos_token_id,
            pad_token_id=special.pad_token_id,
        )
    )
    if config.embeddings == "FromTeacher":
        with torch.no_grad():
            model.get_input_embeddings().weight.copy_(project(teacher_embeddings.cpu(), config.hidden_size))
    return model


def load_given(folder: ModelFolder, vocabulary: int) -> PreTrainedModel:
    """A given model, without embeddings that pad its vocabulary. Raises InputRefused."""
    model, lacking = load_weights(AutoModelForCausalLM, folder.path, folder.uri, FIELD)
    if lacking:
        raise InputRefused(
            "WeightsCorrupt",
            f"{FIELD}: the weights at {folder.uri} lack {lacking[0]} or have it in another shape than config.json says;"
            " upload a causal language model with all its weights",
        )
    cut_vocabulary(model, vocabulary, f"{FIELD}: {folder.uri}")
    return model


def load_decoder(folder: Path) -> PreTrainedModel:
    """A trained student, in evaluation mode."""
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        folder, use_safetensors=True, trust_remote_code=False, local_files_only=True, dtype=torch.float32
    )
    return model.eval()
