"""The student: its size, and embeddings that start from the teacher's."""

from pathlib import Path

import pytest
import torch
from distillery_api.student import StudentConfig
from distillery_worker.errors import InputRefused
from distillery_worker.students.bert import EMBEDDING_STD, build_student, check_width, load_student, project
from distillery_worker.tasks.classification import Classification

HEAD = Classification(["a", "b"])
CONFIG = StudentConfig(hidden_size=8, layers=1, attention_heads=2, intermediate_size=8)


def test_the_projection_keeps_the_geometry_of_rows_of_low_rank() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(50, 4, generator=generator) @ torch.randn(4, 16, generator=generator)
    small = project(rows, 4)
    assert small.std().item() == pytest.approx(EMBEDDING_STD, rel=1e-3)
    ratio = torch.pdist(small) / torch.pdist(rows)
    assert torch.allclose(ratio, ratio.mean().expand_as(ratio), rtol=1e-3)


def test_a_seed_fixes_every_weight() -> None:
    def build(seed: int) -> torch.Tensor:
        model = build_student(CONFIG, HEAD, torch.eye(20), max_length=6, pad_token_id=0, seed=seed)
        return torch.cat([parameter.flatten() for parameter in model.parameters()])

    assert torch.equal(build(1), build(1))
    assert not torch.equal(build(1), build(2))


def test_padding_changes_no_answer() -> None:
    model = build_student(CONFIG, HEAD, torch.eye(20), max_length=6, pad_token_id=0, seed=0).eval()
    short = model(input_ids=torch.tensor([[3, 4]]), attention_mask=torch.ones(1, 2, dtype=torch.int64)).logits
    padded = model(input_ids=torch.tensor([[3, 4, 7, 7]]), attention_mask=torch.tensor([[1, 1, 0, 0]])).logits
    assert torch.allclose(short, padded, atol=1e-6)


def test_a_saved_student_answers_as_before(tmp_path: Path) -> None:
    model = build_student(CONFIG, HEAD, torch.eye(20), max_length=6, pad_token_id=0, seed=0).eval()
    model.save_pretrained(tmp_path)
    row = {"input_ids": torch.tensor([[3, 4]]), "attention_mask": torch.ones(1, 2, dtype=torch.int64)}
    assert torch.equal(load_student(tmp_path)(**row).logits, model(**row).logits)


def test_random_embeddings_leave_the_teacher_out() -> None:
    config = CONFIG.model_copy(update={"embeddings": "Random"})
    tables = [
        build_student(config, HEAD, teacher, max_length=6, pad_token_id=0, seed=0).get_input_embeddings().weight
        for teacher in (torch.eye(20), torch.ones(20, 20))
    ]
    assert torch.equal(*tables)


def test_a_student_wider_than_its_teacher_is_refused() -> None:
    with pytest.raises(InputRefused, match="embeddings: Random"):
        check_width(CONFIG, teacher_hidden=4)
