"""The quick forward pass beside that of transformers, on small random models of each family."""

import logging
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.tiny_model import write_model_folder
from support.turns import asking

from rag_pipeline.generation import llama
from rag_pipeline.generation.causal import Causal
from rag_pipeline.generation.forward import Forward, P, Run
from rag_pipeline.generation.language_model import Sampling, complete
from rag_pipeline.generation.llama import fits, taken_from
from rag_pipeline.generation.transformers_model import TransformersModel

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

_SIZES = {
    "vocab_size": 97,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.3,
}
_LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
_FITTING = {
    "llama": {},
    "llama with biases": {"attention_bias": True, "mlp_bias": True},
    "llama of one group": {"num_key_value_heads": 1},
    "llama without groups": {"num_key_value_heads": 4},
    "llama with heads of another width": {"head_dim": 16},
    "llama with tied words": {"tie_word_embeddings": True},
    "llama of another scale": {"rope_parameters": _LLAMA3},
    "mistral": {"sliding_window": None},
    "qwen2": {},
    "qwen3": {"head_dim": 8},
}
_OTHERS = {
    "mistral": {"sliding_window": 16},
    "gemma2": {"head_dim": 8, "sliding_window": 16},
    "llama": {"hidden_act": "gelu"},
    "qwen2": {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}},
}


def _random_model(kind: str, change: dict[str, object]) -> "PreTrainedModel":
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(5)
    config = AutoConfig.for_model(kind.split()[0], **{**_SIZES, **change})
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config).eval()
    for name, weight in model.named_parameters():
        if name.endswith(("bias", "norm.weight")):
            torch.nn.init.normal_(weight, 1.0, 0.5)
    return model


def _scores(forward: Forward[P], tokens: list[int], *cuts: int) -> "Tensor":
    import torch

    past = forward.begin(room=1)
    return torch.cat(
        [
            forward([Run(past, tokens[start:end], wanted=end - start)])[0]
            for start, end in pairwise((0, *cuts, len(tokens)))
        ]
    )


def _tokens(count: int, *, seed: int = 1) -> list[int]:
    return [(at * at * 7 + at * seed) % 97 for at in range(count)]


@pytest.mark.parametrize("kind", _FITTING)
def test_scores_are_those_of_transformers_however_the_tokens_are_cut(kind: str) -> None:
    model = _random_model(kind, _FITTING[kind])
    assert fits(model)
    tokens = _tokens(90)
    expected = _scores(Causal(model), tokens)
    quick, _ = taken_from(model)
    for cuts in [(), (40,), (1, 2, 3), (33, 66), (8, 48, 89)]:
        assert (_scores(quick, tokens, *cuts) - expected).abs().max() < 1e-4 * expected.abs().max()


@pytest.mark.parametrize("kind", _OTHERS)
def test_a_model_of_another_build_is_left_to_transformers(kind: str) -> None:
    assert not fits(_random_model(kind, _OTHERS[kind]))


def test_sequences_of_one_pass_do_not_see_each_other() -> None:
    quick, _ = taken_from(_random_model("llama", {}))
    asked = [_tokens(count, seed=count) for count in (1, 5, 40, 70)]
    expected = [_scores(quick, tokens) for tokens in asked]
    runs = [Run(quick.begin(room=1), tokens, wanted=len(tokens)) for tokens in asked]
    for found, alone in zip(quick(runs), expected, strict=True):
        assert (found - alone).abs().max() < 1e-4 * alone.abs().max()
    ones = [Run(run.past, [at], wanted=1) for at, run in enumerate(runs)]
    for at, found in enumerate(quick(ones)):
        alone = _scores(quick, [*asked[at], at])[-1]
        assert (found[0] - alone).abs().max() < 1e-4 * alone.abs().max()


@pytest.mark.parametrize("quick", [True, False])
def test_a_past_can_be_cropped_and_copied(quick: bool) -> None:
    model = _random_model("llama", {})
    tokens = _tokens(60)
    expected = _scores(Causal(model), tokens)
    _check_forgetting(taken_from(model)[0] if quick else Causal(model), tokens, expected)


def _check_forgetting(forward: Forward[P], tokens: list[int], expected: "Tensor") -> None:
    past = forward.begin(room=4)
    forward([Run(past, [*tokens[:30], 90, 91, 92])])
    copy = past.copied(20, room=21)
    past.crop(30)
    for one, start in ((past, 30), (copy, 20)):
        assert one.tokens == tokens[:start]
        (found,) = forward([Run(one, tokens[start:], wanted=60 - start)])
        assert (found - expected[start:]).abs().max() < 1e-4 * expected.abs().max()
        assert one.nbytes >= 60 * 3 * 2 * 2 * 8 * 4


@pytest.mark.parametrize("kind", ["llama", "qwen2", "llama with biases"])
def test_eight_bits_say_nearly_what_the_whole_weights_say(kind: str) -> None:
    exact, drafting = taken_from(_random_model(kind, _FITTING[kind]))
    tokens = _tokens(60)
    expected, found = _scores(exact, tokens), _scores(drafting, tokens, 59)
    assert 1e-6 < (found - expected).square().mean() / expected.square().mean() < 0.01


def test_the_weights_are_not_held_twice() -> None:
    model = _random_model("llama", {})
    taken_from(model)
    assert {weight.device.type for weight in model.parameters()} == {"meta"}


@pytest.mark.parametrize("fault", ["wrong", "gone"])
def test_a_pass_that_is_not_proven_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    folder = write_model_folder(tmp_path)
    few = Sampling(max_new_tokens=12)

    def answer() -> str:
        model = TransformersModel(folder, name="tiny", weights_sha256="", device="cpu")
        return complete(model.generate(model.render(asking("s", "the")), sampling=few))[0]

    sound = answer()
    assert not caplog.records
    turned = llama._Turn.__call__

    def faulty(turn: llama._Turn, heads: "Tensor") -> "Tensor":
        if fault == "gone":
            raise AttributeError("no such operation")
        return turned(turn, heads) * 1.1

    monkeypatch.setattr(llama._Turn, "__call__", faulty)
    with caplog.at_level(logging.WARNING):
        assert answer() == sound
    assert "runs on transformers alone" in caplog.text
