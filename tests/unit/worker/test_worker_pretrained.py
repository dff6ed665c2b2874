"""Students that start from weights: layers of the teacher, and what records where they began."""

import pytest
import torch
from distillery_worker.errors import InputRefused
from distillery_worker.students.pretrained import keep_layers, weights_digest
from transformers import AutoModelForSequenceClassification as Classifier
from transformers import BertConfig, LlamaConfig, LlamaForCausalLM, PreTrainedModel

INPUTS = {"input_ids": torch.tensor([[5, 6, 7]]), "attention_mask": torch.ones(1, 3, dtype=torch.int64)}


@pytest.fixture
def teacher() -> PreTrainedModel:
    torch.manual_seed(0)
    size = {"hidden_size": 8, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 8}
    return Classifier.from_config(BertConfig(vocab_size=20, **size)).eval()


def test_a_student_of_all_layers_answers_like_its_teacher(teacher: PreTrainedModel) -> None:
    student = keep_layers(teacher, [1, 2, 3, 4], "student.from.layers")
    assert torch.equal(student(**INPUTS).logits, teacher(**INPUTS).logits)


def test_the_layers_that_are_named_are_copied_in_that_order(teacher: PreTrainedModel) -> None:
    student = keep_layers(teacher, [4, 2], "student.from.layers")
    assert student.config.num_hidden_layers == 2
    for place, source in ((0, 3), (1, 1)):
        kept, copied = teacher.bert.encoder.layer[source].state_dict(), student.bert.encoder.layer[place].state_dict()
        assert all(torch.equal(copied[name], tensor) for name, tensor in kept.items())
    assert torch.equal(student.classifier.weight, teacher.classifier.weight)


def test_the_teacher_stays_as_it_was(teacher: PreTrainedModel) -> None:
    before = weights_digest(teacher)
    student = keep_layers(teacher, [1], "student.from.layers")
    with torch.no_grad():
        for weight in student.parameters():
            weight.zero_()
    assert weights_digest(teacher) == before
    assert teacher.config.num_hidden_layers == 4


def test_a_student_is_saved_and_loaded_as_the_smaller_model(teacher: PreTrainedModel, tmp_path: object) -> None:
    student = keep_layers(teacher, [1, 3], "student.from.layers")
    student.save_pretrained(tmp_path)
    loaded = Classifier.from_pretrained(tmp_path)
    assert weights_digest(loaded) == weights_digest(student)


def test_layers_of_a_decoder_keep_their_caches_apart() -> None:
    torch.manual_seed(0)
    size = {"hidden_size": 8, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 8}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=20, **size)).eval()
    student = keep_layers(model, [1, 3], "student.from.layers")
    whole = student(torch.tensor([[5, 6, 7]])).logits[:, -1]
    start = student(torch.tensor([[5, 6]]), use_cache=True)
    assert torch.allclose(student(torch.tensor([[7]]), past_key_values=start.past_key_values).logits[:, -1], whole)


def test_a_layer_that_the_teacher_lacks_is_refused(teacher: PreTrainedModel) -> None:
    with pytest.raises(InputRefused, match=r"student\.from\.layers: there is no layer 5 in a model of 4"):
        keep_layers(teacher, [1, 5], "student.from.layers")


def test_the_digest_is_of_names_shapes_and_values(teacher: PreTrainedModel) -> None:
    first = weights_digest(teacher)
    assert weights_digest(keep_layers(teacher, [1, 2, 3, 4], "student.from.layers")) == first
    assert weights_digest(keep_layers(teacher, [2, 1, 3, 4], "student.from.layers")) != first
