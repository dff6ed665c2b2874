"""The student: a BERT encoder over the teacher's vocabulary, built from its config and a seed alone."""

import json
from pathlib import Path
from typing import Any

import torch
from distillery_api.student import StudentConfig
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, BertConfig, BertModel, BertPreTrainedModel, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from ..errors import InputRefused
from ..model_folders import CONFIG
from ..tasks.head import Head

EMBEDDING_STD = 0.05  # of the projected teacher embeddings


class MeanPooledBert(BertPreTrainedModel):  # type: ignore[misc]  # transformers decorates it away
    """A BERT encoder and a linear layer on the mean of its token vectors.

    Not on the first token's: a student of few layers gathers too little there (docs/decisions/009-mean-pooling.md).
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        self.bert = BertModel(config, add_pooling_layer=False)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> SequenceClassifierOutput:
        """Logits [batch, labels] of int64 [batch, seq]; attention_mask is 0 on padding."""
        tokens = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        weights = attention_mask.unsqueeze(-1).to(tokens.dtype)
        mean = (tokens * weights).sum(dim=1) / weights.sum(dim=1)
        return SequenceClassifierOutput(logits=self.classifier(mean))


def check_width(config: StudentConfig, teacher_hidden: int) -> None:
    """Refuse a student whose embeddings cannot be projections of the teacher's."""
    if config.embeddings == "FromTeacher" and config.hidden_size > teacher_hidden:
        raise InputRefused(
            "ModelUnsupported",
            f"student.config.hiddenSize: {config.hidden_size} is more than the teacher's {teacher_hidden}, so its"
            " embeddings cannot be projected; lower it or set student.config.embeddings: Random",
        )


def build_student(
    config: StudentConfig,
    head: Head,
    teacher_embeddings: Tensor,
    *,
    max_length: int,
    pad_token_id: int,
    seed: int,
) -> MeanPooledBert:
    """An untrained student; the same arguments give the same weights.

    teacher_embeddings: [vocabulary, teacher hidden]. Raises InputRefused (ModelUnsupported).
    """
    check_width(config, teacher_embeddings.shape[1])
    torch.manual_seed(seed)
    model = MeanPooledBert(
        BertConfig(
            vocab_size=teacher_embeddings.shape[0],
            hidden_size=config.hidden_size,
            num_hidden_layers=config.layers,
            num_attention_heads=config.attention_heads,
            intermediate_size=config.intermediate_size,
            max_position_embeddings=max_length,
            type_vocab_size=1,
            pad_token_id=pad_token_id,
            hidden_dropout_prob=0.0,  # the soft labels regularise
            attention_probs_dropout_prob=0.0,
            **label_maps(head),
        )
    )
    if config.embeddings == "FromTeacher":
        with torch.no_grad():
            model.get_input_embeddings().weight.copy_(project(teacher_embeddings, config.hidden_size))
    return model


def label_maps(head: Head) -> dict[str, Any]:
    """The names of the outputs, as transformers stores them; their number alone where they have none."""
    if not head.labels:
        return {"num_labels": head.outputs}
    return {
        "id2label": dict(enumerate(head.labels)),
        "label2id": {label: index for index, label in enumerate(head.labels)},
    }


def project(embeddings: Tensor, rank: int) -> Tensor:
    """The best rank-`rank` coordinates of the rows (truncated SVD), scaled to EMBEDDING_STD: [vocabulary, rank]."""
    # The Gram matrix is only [hidden, hidden]: its eigenvectors are the right singular vectors.
    rows = embeddings.detach().double()
    _, vectors = torch.linalg.eigh(rows.T @ rows)
    coordinates = rows @ vectors.flip(-1)[:, :rank]
    scaled: Tensor = coordinates * (EMBEDDING_STD / coordinates.std())
    return scaled.float()


def load_student(folder: Path) -> PreTrainedModel:
    """A trained student, in evaluation mode: its config.json names its class."""
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    ours = config["architectures"] == [MeanPooledBert.__name__]
    auto: Any = MeanPooledBert if ours else AutoModelForSequenceClassification
    model: PreTrainedModel = auto.from_pretrained(
        folder, use_safetensors=True, local_files_only=True, dtype=torch.float32
    )
    model.eval()
    return model


def count_parameters(model: torch.nn.Module) -> int:
    """All weights of a model."""
    return sum(parameter.numel() for parameter in model.parameters())
