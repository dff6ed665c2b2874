"""How many words teacher, student and control pronounce exactly as the dictionary does.

    python examples/cmudict/score.py FOLDER STORAGE [--rows test|dev]

FOLDER is what prepare.py printed, STORAGE the folder in which `distillery run` has stored the job's students. Prints
one JSON object for each student: the share of the words of which every phoneme is right, by each model.
"""

import argparse
import json
import tempfile
from pathlib import Path

import pyarrow.parquet as pq
from distillery_storage import open_prefix
from distillery_worker.artifacts.records import fetch_model, read_record, student_prefix
from distillery_worker.context import usable_threads
from distillery_worker.data.language_tokenizer import LanguageTokenizer
from distillery_worker.labels.codecs import TextCodec
from distillery_worker.runner import configure_libraries
from distillery_worker.students.llama import load_decoder
from distillery_worker.teachers.writing import batches, write

TOKENS = 48  # dataset.sequenceLength
WRITTEN = TextCodec(max_new_tokens=24)  # softLabels.maxNewTokens, and the likeliest phoneme each time


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("storage", type=Path)
    parser.add_argument("--rows", choices=["test", "dev"], default="test")
    arguments = parser.parse_args()
    configure_libraries(usable_threads())
    gold = pq.read_table(arguments.folder / f"{arguments.rows}.parquet").to_pydict()
    tokenizer = LanguageTokenizer(arguments.folder / "teacher", TOKENS)
    teacher = right(arguments.folder / "teacher", tokenizer, gold)
    for record in sorted(arguments.storage.resolve().glob("students/*/train.json")):
        with tempfile.TemporaryDirectory() as scratch:
            models = trained(arguments.storage.resolve(), record.parent.name, Path(scratch))
            scores = {name: right(folder, tokenizer, gold) for name, folder in models.items()}
        print(json.dumps({"student_key": record.parent.name, "teacher": teacher, **scores}), flush=True)


def trained(storage: Path, student_key: str, scratch: Path) -> dict[str, Path]:
    """Folders of a student and its control."""
    student = student_prefix(open_prefix(f"file://{storage}"), student_key)
    record = read_record(student)
    assert record is not None  # noqa: S101 - its file is how it was found
    models = {"student": record.student, "control": record.control}
    return {name: fetch_model(student, model, scratch / name) for name, model in models.items() if model}


def right(model: Path, tokenizer: LanguageTokenizer, gold: dict[str, list[str]]) -> float:
    """The share of words of which a model writes the dictionary's phonemes and then ends."""
    written = pronounced(model, tokenizer, gold["word"])
    return sum(map(str.__eq__, written, gold["phonemes"])) / len(written)


def pronounced(model: Path, tokenizer: LanguageTokenizer, words: list[str]) -> list[str]:
    """What a model writes after each word; nothing where it does not end."""
    prompts, decoder, found = [tokenizer.asked(word) for word in words], load_decoder(model), [""] * len(words)
    for rows in batches(prompts, WRITTEN.max_new_tokens):
        keys, asked = [words[row] for row in rows], [prompts[row] for row in rows]
        answers = write(decoder, [tokenizer.end], WRITTEN, keys, asked)
        for row, answer in zip(rows, answers, strict=True):
            found[row] = tokenizer.words(answer.ids) if answer.finished else ""
    return found


if __name__ == "__main__":
    main()
