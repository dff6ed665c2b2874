"""A language of twenty words, a teacher that has learned it, and runs that are small enough for unit tests."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from distillery_api.run import RUN
from distillery_worker.data.blocks import collate
from distillery_worker.data.language_tokenizer import LanguageTokenizer
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import LlamaConfig, LlamaForCausalLM

LENGTH = 16  # tokens of a block
END = "<end>"
CONFIG = {"hiddenSize": 16, "layers": 1, "attentionHeads": 2, "intermediateSize": 16}
TRAINING = {"epochs": 3, "batchSize": 8, "learningRate": 0.02, "checkpointEverySteps": 5}
PADDING = 3  # rows of the teacher's embeddings that no token has
GRAMMAR = {
    "the": ["cat", "dog", "owl", "old", "small"],
    "old": ["cat", "dog", "owl"],
    "small": ["cat", "owl"],
    "cat": ["sees", "sleeps", "eats"],
    "dog": ["sees", "barks"],
    "owl": ["sees", "sleeps", "flies"],
    "sees": ["the"],
    "eats": ["fish", "rice"],
    "fish": ["and"],
    "rice": ["and"],
    "sleeps": ["and", "then"],
    "barks": ["and", "then"],
    "flies": ["and", "then"],
    "and": ["the"],
    "then": ["the"],
}
WORDS = sorted({*GRAMMAR, *(word for words in GRAMMAR.values() for word in words)})


def document(seed: int, words: int) -> str:
    """A walk through the grammar."""
    draw, walk = random.Random(seed), ["the"]
    while len(walk) < words:
        walk.append(draw.choice(GRAMMAR[walk[-1]]))
    return " ".join(walk)


def write_data(folder: Path) -> None:
    """12 documents to learn from and 6 held-out ones, of two to four blocks each."""
    for name, seeds in {"train": range(12), "test": range(100, 106)}.items():
        texts = [document(seed, 25 + 5 * (seed % 5)) for seed in seeds]
        pq.write_table(pa.table({"text": texts}), folder / f"{name}.parquet")


def write_pairs(folder: Path) -> None:
    """The same language as prompts of four words and responses of eight."""
    for name, seeds in {"pairs": range(40), "test-pairs": range(100, 110)}.items():
        words = [document(seed, 12).split() for seed in seeds]
        columns = {"question": [" ".join(each[:4]) for each in words], "answer": [" ".join(each[4:]) for each in words]}
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")


def write_exchanges(folder: Path) -> None:
    """20 prompts with gold responses to learn from, 8 held-out ones, and 6 without responses."""
    pairs = exchanges()
    for name, rows in {"answered": pairs[:20], "test-answered": pairs[20:28]}.items():
        prompts, responses = zip(*rows, strict=True)
        pq.write_table(pa.table({"question": prompts, "answer": responses}), folder / f"{name}.parquet")
    pq.write_table(pa.table({"question": [prompt for prompt, _ in pairs[28:34]]}), folder / "prompts.parquet")


def write_tokenizer(folder: Path, **fields: object) -> None:
    """Words as tokens; nothing is added to a text. `fields` add to tokenizer_config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {word: index for index, word in enumerate([END, "<unk>", "<user>", "<model>", *WORDS])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.add_special_tokens([END, "<user>", "<model>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": END, "model_max_length": 64}
    (folder / "tokenizer_config.json").write_text(json.dumps(config | fields))


def sentence(seed: int) -> list[str]:
    """A walk through the grammar up to its first animal that eats, sleeps, barks or flies."""
    words = document(seed, 60).split()
    return words[: 1 + next(place for place, word in enumerate(words) if word in ("eats", "sleeps", "barks", "flies"))]


def exchanges() -> list[tuple[str, str]]:
    """Different prompts, each with the last two words of a sentence as its gold response."""
    walks = [words for words in map(sentence, range(400)) if 3 < len(words) < 14]
    return list({" ".join(words[:-2]): " ".join(words[-2:]) for words in walks}.items())


def write_teacher(folder: Path, write: Callable[[int], str] = lambda seed: document(seed, 40)) -> None:
    """A Llama of one layer, trained on what is written by 30 seeds until it knows the grammar."""
    write_tokenizer(folder)
    tokenizer = LanguageTokenizer(folder, LENGTH)
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=tokenizer.vocabulary + PADDING,
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=64,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.end,
        )
    )
    blocks = [block for seed in range(30) for block in tokenizer.blocks(write(seed))]
    batch = collate(blocks)
    ids, mask = torch.from_numpy(batch.input_ids), torch.from_numpy(batch.attention_mask)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
    for _ in range(60):
        loss = model(input_ids=ids, attention_mask=mask, labels=ids.masked_fill(mask == 0, -100)).loss
        torch.autograd.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)


def from_text(source: Path, **dataset: Any) -> dict[str, Any]:
    """Fields of a run that learns what the teacher writes; `dataset` adds to that field."""
    files = {"train": "answered", "unlabelled": "prompts", "test": "test-answered"}
    given = {field: f"file://{source}/{name}.parquet" for field, name in files.items()}
    columns = {"prompt": "question", "response": "answer"}
    return {
        "dataset": given | {"columns": columns, "sequenceLength": 24} | dataset,
        "softLabels": {"kind": "text", "maxNewTokens": 12},
    }


def make_run(stage: str, source: Path, storage: Path, **fields: Any) -> Any:
    """run.json of a stage, parsed; `fields` add to it or replace parts of it."""
    storage.mkdir(parents=True, exist_ok=True)
    run = {
        "stage": stage,
        "job": {"namespace": "team", "name": "grammar", "uid": "uid-1"},
        "attempt": 1,
        "task": "causal-lm",
        "storage": f"file://{storage}",
        "teachers": [{"model": {"uri": f"file://{source}/teacher"}}],
        "dataset": {name: f"file://{source}/{name}.parquet" for name in ("train", "test")} | {"sequenceLength": LENGTH},
        "softLabels": {},
    }
    if stage in ("preflight", "train"):
        run |= {"student": {"config": CONFIG}, "objective": {}, "training": TRAINING}
    else:  # what these stages are not told
        fields = {name: value for name, value in fields.items() if name not in ("student", "objective", "training")}
    return RUN.validate_python(run | fields)
