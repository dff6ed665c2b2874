"""A classification task, a teacher and runs that are small enough for unit tests: which of three animals is named."""

import hashlib
import itertools
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from distillery_api.run import RUN
from distillery_engine import TextTokenizer
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertForSequenceClassification

ANIMALS = ["cat", "dog", "owl"]
FILLERS = ["the", "old", "small", "grey", "sleeps", "sees", "a", "house", "garden", "today", "often", "quietly"]
MAX_LENGTH = 12
STUDENT = {"config": {"hiddenSize": 16, "layers": 1, "attentionHeads": 2, "intermediateSize": 8}}
TRAINING = {"epochs": 3, "batchSize": 16, "learningRate": 0.02, "checkpointEverySteps": 5}


def sentences() -> list[tuple[str, str]]:
    """Every text with its label, in a fixed order."""
    frames = itertools.product(ANIMALS, itertools.permutations(FILLERS, 2))
    rows = [(f"{first} {animal} {second}", animal) for animal, (first, second) in frames]
    return sorted(rows, key=lambda row: hashlib.sha256(row[0].encode()).digest())  # a shuffle without a generator


def write_data(folder: Path) -> None:
    """40 labelled, 100 unlabelled and 200 held-out rows."""
    rows = sentences()
    write_rows(folder / "train.parquet", rows[:40])
    pq.write_table(pa.table({"text": [text for text, _ in rows[40:140]]}), folder / "unlabelled.parquet")
    write_rows(folder / "test.parquet", rows[140:340])


def write_rows(path: Path, rows: list[tuple[str, str]]) -> None:
    """A Parquet file with text and label."""
    pq.write_table(pa.table({"text": [text for text, _ in rows], "label": [label for _, label in rows]}), path)


def write_teacher(folder: Path) -> None:
    """A BERT of one layer, trained until it knows the animals."""
    folder.mkdir(parents=True)
    write_tokenizer(folder)
    torch.manual_seed(0)
    labels = {animal: index for index, animal in enumerate(ANIMALS)}
    model = BertForSequenceClassification(bert(id2label=dict(enumerate(ANIMALS)), label2id=labels))
    rows = sentences()[:120]
    fit(model, folder, [text for text, _ in rows], torch.tensor([ANIMALS.index(label) for _, label in rows]))
    model.save_pretrained(folder)


def bert(**fields: Any) -> BertConfig:
    """A BERT of one layer over the words."""
    return BertConfig(
        vocab_size=4 + len(ANIMALS) + len(FILLERS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=MAX_LENGTH,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        **fields,
    )


def fit(model: BertForSequenceClassification, folder: Path, texts: list[str], gold: torch.Tensor) -> None:
    """Train a teacher on all texts at once."""
    batch = TextTokenizer(folder / "tokenizer.json", MAX_LENGTH, 0).batch(texts)
    inputs = {name: torch.from_numpy(array) for name, array in batch._asdict().items()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(40):
        torch.autograd.backward(model(**inputs, labels=gold).loss)
        optimizer.step()
        optimizer.zero_grad()


def score_of(text: str) -> float:
    """What a text is worth: its animal, and a little for how long its words are."""
    return ANIMALS.index(text.split()[1]) + len(text) / 100


def write_scores(folder: Path) -> None:
    """The same rows with scores in place of labels, and a teacher of one output that knows them."""
    folder.mkdir()
    rows = [text for text, _ in sentences()]
    for name, part in {"train": rows[:40], "test": rows[140:340]}.items():
        table = {"text": part, "label": [score_of(text) for text in part]}
        pq.write_table(pa.table(table), folder / f"{name}.parquet")
    pq.write_table(pa.table({"text": rows[40:140]}), folder / "unlabelled.parquet")
    teacher = folder / "teacher"
    teacher.mkdir()
    write_tokenizer(teacher)
    torch.manual_seed(0)
    model = BertForSequenceClassification(bert(num_labels=1))
    texts = rows[:120]
    fit(model, teacher, texts, torch.tensor([[score_of(text)] for text in texts]))
    model.save_pretrained(teacher)


def write_tokenizer(folder: Path) -> None:
    """Words as tokens, between [CLS] and [SEP]."""
    vocabulary = {word: index for index, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *ANIMALS, *FILLERS])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": MAX_LENGTH}))


def make_run(stage: str, source: Path, storage: Path, **fields: Any) -> Any:
    """run.json of a stage, parsed; `fields` add to it or replace parts of it."""
    storage.mkdir(parents=True, exist_ok=True)
    files = {name: f"file://{source}/{name}.parquet" for name in ("train", "unlabelled", "test")}
    run = {
        "stage": stage,
        "job": {"namespace": "team", "name": "animals", "uid": "uid-1"},
        "attempt": 1,
        "storage": f"file://{storage}",
        "teachers": [{"model": {"uri": f"file://{source}/teacher"}}],
        "dataset": files,
        "softLabels": {},
    }
    if stage in ("preflight", "train"):
        run |= {"student": STUDENT, "objective": {}, "training": TRAINING}
    return RUN.validate_python(run | fields)
