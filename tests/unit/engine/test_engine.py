"""The engine's tokenizer: our limit, our padding, whatever the file says. Models: tests/unit/worker."""

from pathlib import Path

import numpy as np
import pytest
from distillery_api.artifact import ArtifactManifest, File, Provenance, TextPreprocessing
from distillery_engine import ArtifactInvalid, TextModel, TextTokenizer
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

DIGEST = "sha256:" + "0" * 64


@pytest.fixture
def tokenizer_file(tmp_path: Path) -> Path:
    tokenizer = Tokenizer(WordLevel({"[PAD]": 0, "[UNK]": 1, "a": 2, "b": 3, "c": 4}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.enable_truncation(2)
    tokenizer.enable_padding(length=9)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


def test_truncation_and_padding_of_the_file_are_ignored(tokenizer_file: Path) -> None:
    assert TextTokenizer(tokenizer_file, 3, 7).encode(["a b c a", "c"]) == [[2, 3, 4], [4]]


def test_one_text_and_many_are_tokenized_alike(tokenizer_file: Path) -> None:
    tokenizer = TextTokenizer(tokenizer_file, 8, 0)
    texts = ["a", "b c x", ""]
    assert [tokenizer.encode([text])[0] for text in texts] == tokenizer.encode(texts)


def test_a_batch_is_padded_to_its_longest_row(tokenizer_file: Path) -> None:
    batch = TextTokenizer(tokenizer_file, 8, 7).batch(["a b c", "b"])
    np.testing.assert_array_equal(batch.input_ids, [[2, 3, 4], [3, 7, 7]])
    np.testing.assert_array_equal(batch.attention_mask, [[1, 1, 1], [1, 0, 0]])
    assert batch.input_ids.dtype == batch.attention_mask.dtype == np.int64


def test_a_folder_that_does_not_load_is_named(tokenizer_file: Path) -> None:
    (tokenizer_file.parent / "model.onnx").write_bytes(b"no graph")
    file = File(sha256=DIGEST, size=1)
    manifest = ArtifactManifest(
        labels=["x", "y"],
        preprocessing=TextPreprocessing(max_length=4),
        parameters=1,
        files={"model.onnx": file},
        provenance=Provenance(teacher=DIGEST, labels_key=DIGEST, student_key=DIGEST, job_uid="u"),
    )
    with pytest.raises(ArtifactInvalid, match="does not load"):
        TextModel(tokenizer_file.parent, manifest)
