"""The student: a BERT encoder over the teacher's vocabulary, built from its config and a seed alone."""

from collections.abc import Sequence
from pathlib import Path

import torch
from distillery_api.distillationjob import StudentConfig
from torch import Tensor
from transformers import BertConfig, BertForSequenceClassification

from .errors import InputRefused

EMBEDDING_STD = 0.05  # of the projected teacher embeddings


def check_student(config: StudentConfig, teacher_hidden: int) -> None:
    """Refuse a student that cannot be built from this teacher."""
    if config.embeddings == "FromTeacher" and config.hidden_size > teacher_hidden:
        raise InputRefused(
            "ModelUnsupported",
            f"student.config.hiddenSize: {config.hidden_size} is more than the teacher's {teacher_hidden}, so its"
            " embeddings cannot be projected; lower it or set student.config.embeddings: Random",
        )


def build_student(
    config: StudentConfig,
    labels: Sequence[str],
    teacher_embeddings: Tensor,
    *,
    max_length: int,
    pad_token_id: int,
    seed: int,
) -> BertForSequenceClassification:
    """An untrained student; the same arguments give the same weights.

    teacher_embeddings: [vocabulary, teacher hidden]
    """
    torch.manual_seed(seed)
    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=teacher_embeddings.shape[0],
            hidden_size=config.hidden_size,
            num_hidden_layers=config.layers,
            num_attention_heads=config.attention_heads,
            intermediate_size=config.intermediate_size,
            max_position_embeddings=max_length,
            type_vocab_size=1,
            pad_token_id=pad_token_id,
            hidden_dropout_prob=0.0,  # the soft labels regularise; and training needs no random state to resume
            attention_probs_dropout_prob=0.0,
            id2label=dict(enumerate(labels)),
            label2id={label: index for index, label in enumerate(labels)},
        )
    )
    if config.embeddings == "FromTeacher":
        with torch.no_grad():
            model.get_input_embeddings().weight.copy_(project(teacher_embeddings, config.hidden_size))
    return model


def project(embeddings: Tensor, rank: int) -> Tensor:
    """The best rank-`rank` coordinates of the rows (truncated SVD), scaled to EMBEDDING_STD: [vocabulary, rank]."""
    # The Gram matrix is only [hidden, hidden]: its eigenvectors are the right singular vectors.
    rows = embeddings.detach().double()
    _, vectors = torch.linalg.eigh(rows.T @ rows)
    coordinates = rows @ vectors.flip(-1)[:, :rank]
    scaled: Tensor = coordinates * (EMBEDDING_STD / coordinates.std())
    return scaled.float()


def load_student(folder: Path) -> BertForSequenceClassification:
    """A trained student, in evaluation mode."""
    model: BertForSequenceClassification = BertForSequenceClassification.from_pretrained(
        folder, use_safetensors=True, local_files_only=True, dtype=torch.float32
    )
    return model.eval()


def count_parameters(model: torch.nn.Module) -> int:
    """All weights of a model."""
    return sum(parameter.numel() for parameter in model.parameters())
