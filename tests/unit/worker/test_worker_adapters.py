"""LoRA: what trains, what is merged, and what is refused."""

import pytest
import torch
from distillery_api.student import Lora
from distillery_worker.errors import InputRefused
from distillery_worker.students.adapters import add_adapters, heads_of, merged
from torch import Tensor
from transformers import AutoModelForSequenceClassification as Classifier
from transformers import BertConfig, GPT2Config, GPT2LMHeadModel, PreTrainedModel

LORA = Lora(rank=2, alpha=4)
INPUTS = {"input_ids": torch.tensor([[5, 6, 7]]), "attention_mask": torch.ones(1, 3, dtype=torch.int64)}


def bert() -> PreTrainedModel:
    torch.manual_seed(0)
    size = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 8}
    return Classifier.from_config(BertConfig(vocab_size=20, hidden_dropout_prob=0.0, **size)).eval()


def trainable(model: torch.nn.Module) -> set[str]:
    return {name.removeprefix("base_model.model.") for name, weight in model.named_parameters() if weight.requires_grad}


def answer(model: torch.nn.Module) -> Tensor:
    with torch.no_grad():
        logits: Tensor = model(**INPUTS).logits
    return logits


def test_adapters_and_heads_train_and_nothing_else() -> None:
    names = trainable(add_adapters(bert(), LORA.model_copy(update={"targets": ["query", "value"]}), seed=0))
    heads = {name for name in names if name.startswith("classifier.")}
    assert len(heads) == 2
    assert {name.partition(".lora_")[0].rpartition(".")[2] for name in names - heads} == {"query", "value"}
    assert len(names - heads) == 2 * 2 * 2  # two matrices for each of two modules in each of two layers


def test_without_targets_every_linear_module_of_the_layers_is_adapted() -> None:
    names = {name for name in trainable(add_adapters(bert(), LORA, seed=0)) if ".lora_A." in name}
    assert len(names) == 2 * 6
    assert all(name.startswith("bert.encoder.layer.") for name in names)


def test_a_fresh_adapter_changes_no_answer_and_a_trained_one_is_merged_with_its_answer() -> None:
    model = add_adapters(bert(), LORA, seed=0).eval()
    assert torch.equal(answer(model), answer(bert()))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.requires_grad:
                weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(len(name))) * 0.1)
    trained = answer(model)
    assert not torch.allclose(trained, answer(bert()), atol=1e-3)
    plain = merged(model)
    assert torch.allclose(answer(plain), trained, atol=1e-6)
    assert {name: weight.shape for name, weight in plain.state_dict().items()} == {
        name: weight.shape for name, weight in bert().state_dict().items()
    }


def test_a_model_without_adapters_is_merged_as_it_is() -> None:
    model = bert()
    assert merged(model) is model


def test_a_seed_fixes_the_adapters() -> None:
    def first(seed: int) -> Tensor:
        weights = dict(add_adapters(bert(), LORA, seed).named_parameters())
        return next(weight for name, weight in weights.items() if ".lora_A." in name)

    assert torch.equal(first(1), first(1))
    assert not torch.equal(first(1), first(2))


def test_a_target_that_no_layer_has_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputRefused, match=r"no linear module q_proj; name some of dense, key, query, value"):
        add_adapters(bert(), Lora(targets=["q_proj"]), seed=0)


def test_a_language_models_output_layer_is_no_head() -> None:
    model = GPT2LMHeadModel(GPT2Config(vocab_size=20, n_embd=8, n_layer=1, n_head=2))
    assert heads_of(model) == []
    assert heads_of(bert()) == ["classifier"]
