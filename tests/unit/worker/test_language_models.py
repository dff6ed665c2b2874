"""Language models: teachers that are checked, students that are built, likelihoods and the loss of a batch."""

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import micro_language as micro
import numpy as np
import pytest
import torch
from distillery_api.objective import Objective
from distillery_api.soft_labels import SoftLabels
from distillery_api.student import Lora, Student, StudentConfig
from distillery_worker.data.blocks import Block, predicted_ids
from distillery_worker.errors import InputRefused
from distillery_worker.evaluation import likelihood
from distillery_worker.evaluation.likelihood import mean_losses
from distillery_worker.labels.codecs import SampledCodec
from distillery_worker.students.adapters import merged
from distillery_worker.tasks.causal_lm import CausalLm
from distillery_worker.tasks.next_token import NextToken
from distillery_worker.teachers.language_model import LanguageModelTeacher
from distillery_worker.training.language_learner import BlockExamples, LanguageLearner
from safetensors.torch import load_file, save_file
from torch.nn import functional
from transformers import PreTrainedModel

TASK = CausalLm()
CONFIG = StudentConfig(hidden_size=16, layers=1, attention_heads=2, intermediate_size=16)


@pytest.fixture(scope="session")
def folder(language_source: Path) -> Path:
    return language_source / "teacher"


def teacher_at(path: Path) -> LanguageModelTeacher:
    return LanguageModelTeacher(path, f"file://{path}", "sha256:0", NextToken(), "sha256:" + "0" * 64, micro.LENGTH)


@pytest.fixture
def teacher(folder: Path) -> LanguageModelTeacher:
    return teacher_at(folder)


@pytest.fixture
def blocks(teacher: LanguageModelTeacher) -> list[Block]:
    """Of two documents and of a prompt with its response: different lengths, different first tokens."""
    texts = [micro.document(200, 40), micro.document(201, 5), ("the old cat", "sees the dog")]
    return [block for text in texts for block in teacher.encoder.blocks(text)]


def expected_losses(model: PreTrainedModel, blocks: list[Block]) -> list[float]:
    """Mean NLL of each block's predicted tokens, one block at a time and from whole logits."""
    found = []
    for block in blocks:
        with torch.inference_mode():
            logits = model(input_ids=torch.from_numpy(block.ids.astype(np.int64))[None]).logits[0]
        log_probs = torch.log_softmax(logits.double(), dim=-1)
        nll = [-float(log_probs[i - 1, block.ids[i]]) for i in range(block.first, len(block))]
        found.append(sum(nll) / len(nll))
    return found


def test_the_likelihood_of_a_block_does_not_depend_on_batches_and_chunks(
    teacher: LanguageModelTeacher, blocks: list[Block], monkeypatch: pytest.MonkeyPatch
) -> None:
    together = mean_losses(teacher.model, blocks)
    assert together == pytest.approx(expected_losses(teacher.model, blocks), rel=1e-5)
    monkeypatch.setattr(likelihood, "BATCH_TOKENS", 20)
    monkeypatch.setattr(likelihood, "CHUNK_LOGITS", 3 * teacher.encoder.vocabulary)
    assert mean_losses(teacher.model, blocks) == pytest.approx(together, rel=1e-5)


def test_a_teacher_answers_with_nats_per_token_and_tells_how_far_it_is(
    teacher: LanguageModelTeacher, blocks: list[Block]
) -> None:
    told: list[int] = []
    answers = NextToken().answers(teacher.answers(blocks, told.append))
    assert answers == pytest.approx(expected_losses(teacher.model, blocks), rel=1e-5)
    assert sum(told) == len(blocks)
    assert max(answers[:2]) < 0.6 * math.log(teacher.encoder.vocabulary)  # it knows the grammar


def labels_of(teacher: LanguageModelTeacher, blocks: list[Block], **soft_labels: object) -> BlockExamples:
    codec = teacher.codec_of(SoftLabels(**soft_labels))
    keys = [block.key for block in blocks]
    return BlockExamples(blocks, teacher.labels(codec, keys, blocks, lambda _: None))


def test_labels_have_a_position_for_each_predicted_token(teacher: LanguageModelTeacher, blocks: list[Block]) -> None:
    labels = labels_of(teacher, blocks, kind="logits").teacher
    for row, block, expected in zip(labels, blocks, expected_losses(teacher.model, blocks), strict=True):
        log_probs = torch.log_softmax(torch.from_numpy(row["logits"]), dim=-1)
        gold = torch.from_numpy(block.ids[block.first :].astype(np.int64))
        assert float(functional.nll_loss(log_probs, gold)) == pytest.approx(expected, rel=1e-4)


def test_the_labels_of_a_block_do_not_depend_on_its_company(teacher: LanguageModelTeacher, blocks: list[Block]) -> None:
    together = labels_of(teacher, blocks, samples=5).teacher
    alone = [labels_of(teacher, [block], samples=5).teacher[0] for block in blocks]
    for first, second in zip(together, alone, strict=True):
        np.testing.assert_array_equal(first["draws"], second["draws"])


def test_embeddings_that_pad_the_vocabulary_are_dropped(teacher: LanguageModelTeacher, folder: Path) -> None:
    stored = load_file(folder / "model.safetensors")["model.embed_tokens.weight"]
    assert len(stored) == teacher.encoder.vocabulary + micro.PADDING
    assert torch.equal(teacher.model.get_output_embeddings().weight, stored[: teacher.encoder.vocabulary])


@pytest.mark.parametrize(
    ("given", "codec"),
    [
        pytest.param({}, {"kind": "sampled", "samples": 50, "temperature": 1.0, "seed": 0}, id="sampled by default"),
        pytest.param(
            {"samples": 9, "temperature": 2, "seed": 3}, {"samples": 9, "temperature": 2.0, "seed": 3}, id="set"
        ),
        pytest.param({"kind": "topK"}, {"kind": "topK", "k": 50, "temperature": 1.0}, id="top k"),
        pytest.param({"kind": "topK", "k": 4, "temperature": 2}, {"k": 4, "temperature": 2.0}, id="another k"),
        pytest.param({"kind": "logits"}, {"kind": "logits"}, id="all logits"),
        pytest.param({"kind": "hidden"}, {"kind": "hidden", "width": 32}, id="hidden states"),
    ],
)
def test_the_spec_chooses_the_codec(
    given: dict[str, object], codec: dict[str, object], teacher: LanguageModelTeacher
) -> None:
    found = teacher.codec_of(SoftLabels(**given)).model_dump()
    assert found["vocabulary"] == teacher.encoder.vocabulary
    assert found | codec == found


def forget_embeddings(folder: Path) -> None:
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    tokenizer["model"]["vocab"]["unheard"] = 999
    path.write_text(json.dumps(tokenizer))


def stop_elsewhere(folder: Path) -> None:
    path = folder / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"eos_token_id": [1, 2]}))


def scramble(folder: Path) -> None:
    path = folder / "model.safetensors"
    noise = {name: 4 * torch.randn(tensor.shape) for name, tensor in load_file(path).items()}
    save_file(noise, path, metadata={"format": "pt"})


def scale_logits(folder: Path) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text()) | {"model_type": "granite", "architectures": ["GraniteForCausalLM"]}
    path.write_text(json.dumps(config | {"logits_scaling": 3.0}))


def lose_a_layer(folder: Path) -> None:
    path = folder / "model.safetensors"
    kept = {name: tensor for name, tensor in load_file(path).items() if "q_proj" not in name}
    save_file(kept, path, metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("spoil", "reason", "words"),
    [
        pytest.param(forget_embeddings, "TokenizerMismatch", "gives ids up to 999", id="ids without an embedding"),
        pytest.param(stop_elsewhere, "TokenizerMismatch", r"end with token 0 .* stops at \[1, 2\]", id="another end"),
        pytest.param(scramble, "TeacherUnfit", "no better than guessing", id="weights of nothing"),
        pytest.param(scale_logits, "ModelUnsupported", "more than one linear layer", id="scaled logits"),
        pytest.param(lose_a_layer, "WeightsCorrupt", "lack model.layers.0.self_attn.q_proj", id="missing weights"),
    ],
)
def test_a_teacher_that_would_mislead_is_refused(
    spoil: Callable[[Path], None], reason: str, words: str, folder: Path, tmp_path: Path, blocks: list[Block]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    spoil(copy)
    with pytest.raises(InputRefused, match=words) as caught:
        TASK.check_teacher(teacher_at(copy), blocks)
    assert caught.value.reason == reason


def test_texts_of_which_nothing_is_predicted_are_refused(teacher: LanguageModelTeacher) -> None:
    with pytest.raises(InputRefused, match="nothing is predicted") as caught:
        TASK.check_teacher(teacher, [])
    assert caught.value.reason == "EmptyTrainSet"


def student_of(teacher: LanguageModelTeacher, seed: int = 0, **changes: object) -> PreTrainedModel:
    return TASK.fresh_student(Student(config=CONFIG.model_copy(update=changes)), teacher, None, seed)


def test_a_student_is_made_by_its_config_and_seed_alone(teacher: LanguageModelTeacher) -> None:
    first, second, other = (student_of(teacher, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_a_student_has_the_tokenizers_vocabulary_and_its_end(teacher: LanguageModelTeacher) -> None:
    config = student_of(teacher).config
    assert (config.vocab_size, config.eos_token_id) == (teacher.encoder.vocabulary, teacher.encoder.end)


def test_the_embeddings_of_a_student_start_from_the_teachers(teacher: LanguageModelTeacher) -> None:
    given = teacher.model.get_input_embeddings().weight.detach()
    taken = student_of(teacher).get_input_embeddings().weight.detach()
    random = student_of(teacher, embeddings="Random").get_input_embeddings().weight.detach()

    def likeness(rows: torch.Tensor) -> float:
        pairs = torch.stack([(given @ given.T).flatten(), (rows @ rows.T).flatten()])
        return float(torch.corrcoef(pairs)[0, 1])

    assert likeness(taken) > 0.9 > 0.5 > likeness(random)


def test_a_student_of_the_teachers_layers_answers_like_it(teacher: LanguageModelTeacher, blocks: list[Block]) -> None:
    student = TASK.fresh_student(Student.model_validate({"from": {"layers": [1]}}), teacher, None, 0)
    assert mean_losses(student, blocks) == pytest.approx(mean_losses(teacher.model, blocks))


def test_adapters_on_the_teachers_layers_learn_and_merge(teacher: LanguageModelTeacher, blocks: list[Block]) -> None:
    spec = Student.model_validate({"from": {"layers": [1]}, "lora": Lora(rank=2).dump()})
    student = TASK.fresh_student(spec, teacher, None, 0)
    batch = labels_of(teacher, blocks)
    learner = TASK.learner(teacher, SoftLabels(), Objective(alpha=0.5), None)
    optimizer = torch.optim.AdamW([weight for weight in student.parameters() if weight.requires_grad], lr=0.01)
    before = learner.loss(student, batch, np.arange(len(blocks)))
    torch.autograd.backward(before)
    optimizer.step()
    after = learner.loss(student, batch, np.arange(len(blocks)))
    assert after.item() < before.item()
    assert learner.loss(merged(student), batch, np.arange(len(blocks))).item() == pytest.approx(after.item(), rel=1e-4)


def learner_of(teacher: LanguageModelTeacher, alpha: float, temperature: float = 1.0, kind: str = "logits"):
    objective = Objective(alpha=alpha, temperature=temperature)
    return TASK.learner(teacher, SoftLabels(kind=kind), objective, None)


def dense_loss(
    student: PreTrainedModel, teacher: LanguageModelTeacher, blocks: list[Block], alpha: float, temperature: float
) -> torch.Tensor:
    """The objective from whole logits of one block at a time."""
    answers, targets = [], []
    for block in blocks:
        ids, chosen = torch.from_numpy(block.ids.astype(np.int64))[None], slice(block.first - 1, -1)
        answers.append(student(input_ids=ids).logits[0, chosen])
        with torch.no_grad():
            targets.append(teacher.model(input_ids=ids).logits[0, chosen])
    answer, target = torch.cat(answers), torch.cat(targets)
    soft = functional.kl_div(
        torch.log_softmax(answer / temperature, -1), torch.softmax(target / temperature, -1), reduction="batchmean"
    )
    gold = torch.from_numpy(predicted_ids(blocks))
    return alpha * temperature**2 * soft + (1 - alpha) * functional.cross_entropy(answer, gold)


@pytest.mark.parametrize(("alpha", "temperature"), [(0.5, 1.0), (1.0, 2.0), (0.0, 1.0)])
def test_the_loss_of_a_batch_and_its_gradient_are_those_of_whole_logits(
    alpha: float, temperature: float, teacher: LanguageModelTeacher, blocks: list[Block]
) -> None:
    learner, student = learner_of(teacher, alpha, temperature), student_of(teacher)
    batch = labels_of(teacher, blocks, kind="logits")
    expected = dense_loss(student, teacher, blocks, alpha, temperature)
    parts = [learner.loss(student, batch, np.array(rows)) for rows in ([0, 1], [2], [3, 4])]
    assert float(sum(parts).detach()) == pytest.approx(float(expected.detach()), rel=1e-4)
    gradients = [torch.autograd.grad(loss, list(student.parameters())) for loss in (sum(parts), expected)]
    for ours, whole in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, whole, rtol=1e-3, atol=1e-5)


def test_hidden_states_teach_the_same_as_logits(teacher: LanguageModelTeacher, blocks: list[Block]) -> None:
    student, rows = student_of(teacher), np.arange(len(blocks))
    dense, hidden = (
        learner_of(teacher, 1.0, kind=kind).loss(student, labels_of(teacher, blocks, kind=kind), rows).item()
        for kind in ("logits", "hidden")
    )
    assert hidden == pytest.approx(dense, abs=1e-3)


def test_sampled_labels_teach_the_same_on_average(teacher: LanguageModelTeacher, blocks: list[Block]) -> None:
    """Their loss is the KL plus the teacher's entropy, which a model that answers like the teacher gets alone."""
    student, rows = student_of(teacher), np.arange(len(blocks))
    batch = labels_of(teacher, blocks, samples=1000)
    sampled = learner_of(teacher, 1.0, kind="sampled")
    entropy = sampled.loss(teacher.model, batch, rows).item()
    dense = learner_of(teacher, 1.0).loss(student, labels_of(teacher, blocks, kind="logits"), rows).item()
    assert sampled.loss(student, batch, rows).item() - entropy == pytest.approx(dense, rel=0.02)


def test_the_score_is_the_mean_log_likelihood_of_a_token(teacher: LanguageModelTeacher, blocks: list[Block]) -> None:
    score = learner_of(teacher, 0.5).score(teacher.model, BlockExamples(blocks, []))
    tokens = [block.predicted for block in blocks]
    assert score == pytest.approx(-np.average(expected_losses(teacher.model, blocks), weights=tokens))


def test_a_control_learns_from_the_tokens_alone(teacher: LanguageModelTeacher, blocks: list[Block]) -> None:
    student, learner = student_of(teacher), learner_of(teacher, 0.0, kind="sampled")
    batch = labels_of(teacher, blocks)
    other = replace(batch, teacher=labels_of(teacher, blocks, seed=1).teacher)
    assert isinstance(learner, LanguageLearner)
    assert isinstance(learner.codec, SampledCodec)
    first, second = (learner.loss(student, each, np.arange(len(blocks))).item() for each in (batch, other))
    assert first == second
