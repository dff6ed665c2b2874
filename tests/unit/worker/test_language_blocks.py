"""From texts to blocks of tokens: what is predicted, what is not, and what is refused."""

import itertools
from pathlib import Path

import micro_language as micro
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from distillery_api.dataset import Columns
from distillery_worker.data.blocks import Block, collate, cut, predicted_ids, predicting
from distillery_worker.data.documents import blocks_of, load_documents
from distillery_worker.data.language_tokenizer import LanguageTokenizer
from distillery_worker.errors import InputRefused
from hypothesis import given
from hypothesis import strategies as st

TEMPLATE = (
    "{% for message in messages %}{{ '<user> ' if message.role == 'user' else '<model> ' }}{{ message.content }} "
    "{% if message.role == 'assistant' %}<end>{% endif %}{% endfor %}{% if add_generation_prompt %}<model> {% endif %}"
)


def block(*ids: int, first: int = 1) -> Block:
    return Block(np.array(ids, dtype=np.int32), first)


@given(st.lists(st.integers(0, 50), max_size=60), st.integers(2, 20))
def test_every_token_but_a_documents_first_is_predicted_once_and_in_order(ids: list[int], length: int) -> None:
    blocks = cut(ids, length)
    assert all(2 <= len(each) <= length for each in blocks)
    assert list(itertools.chain(*(each.ids[each.first :] for each in blocks))) == ids[1:]


def test_a_block_is_named_by_its_tokens_and_by_what_is_predicted() -> None:
    assert block(1, 2, 3).key == block(1, 2, 3).key
    assert len({block(1, 2, 3).key, block(1, 2).key, block(1, 2, 4).key, block(1, 2, 3, first=2).key}) == 4


def test_a_batch_predicts_the_same_tokens_as_its_blocks() -> None:
    blocks = [block(5, 6, 7, 8), block(1, 2, first=1), block(3, 4, 5, 6, 7, first=3)]
    batch = collate(blocks)
    chosen = predicting(blocks, batch.input_ids.shape[1])
    following = np.roll(batch.input_ids, -1, axis=1)
    assert batch.attention_mask.sum(axis=1).tolist() == [4, 2, 5]
    assert following[chosen].tolist() == predicted_ids(blocks).tolist() == [6, 7, 8, 2, 6, 7]


@pytest.fixture
def tokenizer(tmp_path: Path) -> LanguageTokenizer:
    micro.write_tokenizer(tmp_path / "tokenizer")
    return LanguageTokenizer(tmp_path / "tokenizer", 8)


def words_of(tokenizer: LanguageTokenizer, ids: object) -> str:
    return tokenizer.tokenizer.decode(ids)


def test_a_document_ends_with_the_end_token_once(tokenizer: LanguageTokenizer) -> None:
    (plain,), (ended,) = (tokenizer.blocks(text) for text in ("the cat sleeps", "the cat sleeps <end>"))
    assert plain.ids.tolist() == ended.ids.tolist()
    assert words_of(tokenizer, plain.ids) == "the cat sleeps <end>"


def test_of_a_pair_the_response_alone_is_predicted(tokenizer: LanguageTokenizer) -> None:
    pair = tokenizer.pair("the old cat", "sees the dog")
    assert words_of(tokenizer, pair.ids) == "the old cat sees the dog <end>"
    assert words_of(tokenizer, predicted_ids([pair])) == "sees the dog <end>"


def test_a_chat_template_marks_prompt_and_response(tmp_path: Path) -> None:
    micro.write_tokenizer(tmp_path, chat_template=TEMPLATE)
    tokenizer = LanguageTokenizer(tmp_path, 16)
    pair = tokenizer.pair("the old cat", "sees the dog")
    assert words_of(tokenizer, pair.ids) == "<user> the old cat <model> sees the dog <end>"
    assert words_of(tokenizer, predicted_ids([pair])) == "sees the dog <end>"


def test_a_template_that_rewrites_the_prompt_is_refused(tmp_path: Path) -> None:
    template = "{% if add_generation_prompt %}<model> {% endif %}{{ messages | map(attribute='content') | join(' ') }}"
    micro.write_tokenizer(tmp_path, chat_template=template)
    with pytest.raises(InputRefused, match="once it is answered"):
        LanguageTokenizer(tmp_path, 16).pair("the old cat", "sees the dog")


def test_a_template_that_fails_is_refused(tmp_path: Path) -> None:
    micro.write_tokenizer(tmp_path, chat_template="{{ raise_exception('no') }}")
    with pytest.raises(InputRefused, match="the chat template fails: no"):
        LanguageTokenizer(tmp_path, 16).pair("the old cat", "sees the dog")


def load(tmp_path: Path, tokenizer: LanguageTokenizer, columns: Columns, **table: list[str]) -> object:
    (tmp_path / "source").mkdir()
    pq.write_table(pa.table(table), tmp_path / "source" / "rows.parquet")
    rows = load_documents(f"file://{tmp_path}/source/rows.parquet", "train", columns, tmp_path)
    return blocks_of(rows, tokenizer)


def test_blocks_of_a_document_share_its_group_and_equal_documents_too(
    tmp_path: Path, tokenizer: LanguageTokenizer
) -> None:
    long, short = micro.document(1, 20), "the cat sleeps"
    rows = load(tmp_path, tokenizer, Columns(), text=[long, short, long])
    assert [len(each) for each in rows.inputs] == [8, 8, 7, 4, 8, 8, 7]
    first, second = rows.groups[0], rows.groups[3]
    assert rows.groups == [first] * 3 + [second] + [first] * 3
    assert rows.keys[:3] == rows.keys[4:]


def test_pairs_are_read_from_their_columns(tmp_path: Path, tokenizer: LanguageTokenizer) -> None:
    columns = Columns(prompt="question", response="answer")
    rows = load(tmp_path, tokenizer, columns, question=["the old cat"], answer=["sees the dog"])
    assert words_of(tokenizer, predicted_ids(rows.inputs)) == "sees the dog <end>"


def test_a_prompt_that_leaves_no_room_for_its_response_is_refused(tmp_path: Path, tokenizer: LanguageTokenizer) -> None:
    columns = Columns(prompt="question", response="answer")
    with pytest.raises(InputRefused, match=r"prompt 'the .*…' has 9 tokens.*none of the 8.*sequenceLength") as caught:
        load(tmp_path, tokenizer, columns, question=["the", micro.document(1, 9)], answer=["cat", "dog"])
    assert caught.value.reason == "PromptTooLong"


def test_a_document_without_text_is_refused(tmp_path: Path, tokenizer: LanguageTokenizer) -> None:
    with pytest.raises(InputRefused, match="row 2 has no text"):
        load(tmp_path, tokenizer, Columns(), text=["the cat", " "])
