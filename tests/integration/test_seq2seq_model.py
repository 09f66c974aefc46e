"""A small random T5 through the real transformers, and models without a chat template."""

import re
from pathlib import Path

import pytest
from support.tiny_model import (
    CONTEXT_TOKENS,
    CONTROLS,
    write_model_folder,
    write_seq2seq_folder,
)
from support.turns import asking

from rag_pipeline.errors import ContextLengthError, GeneratorUnavailableError, SettingsError
from rag_pipeline.generation.chat_form import prompt_for
from rag_pipeline.generation.language_model import Sampling, Turn, complete
from rag_pipeline.generation.loading import Loaded, load, reads_apart
from rag_pipeline.generation.seq2seq_model import Seq2SeqModel

_FEW = Sampling(max_new_tokens=24)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_seq2seq_folder(tmp_path_factory.mktemp("t5"))


@pytest.fixture(scope="module")
def model(folder: Path) -> Seq2SeqModel:
    return Seq2SeqModel(folder, name="tiny-t5", weights_sha256="0" * 64, threads=1)


@pytest.fixture(scope="module")
def causal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model_folder(tmp_path_factory.mktemp("llama"))


def _reference(loaded: Loaded, rendered: str, new_tokens: int) -> str:
    """What `generate` of transformers itself answers, greedily."""
    import torch

    prompt = torch.tensor([loaded.encode(rendered)])
    made = loaded.model.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        do_sample=False,
        max_new_tokens=new_tokens,
    )
    return loaded.decode(made[0, 1:].tolist())


@pytest.mark.parametrize("user", ["the thing", "ß 日本語 🐝", "x" * 100])
def test_an_encoder_and_a_decoder_answer_as_in_transformers_own_loop(
    model: Seq2SeqModel, user: str
) -> None:
    rendered = model.render(asking("Answer.", user))
    text, ended = complete(model.generate(rendered, sampling=_FEW))
    assert text == _reference(model._ready(), rendered, 24) != ""
    assert ended.prompt_tokens == model.count_tokens(rendered)


def test_its_sampled_answer_depends_on_the_seed_alone(model: Seq2SeqModel) -> None:
    rendered = model.render(asking("Answer.", "x" * 100))

    def answer(seed: int) -> str:
        hot = Sampling(max_new_tokens=12, temperature=1.5, seed=seed)
        return complete(model.generate(rendered, sampling=hot))[0]

    assert answer(1) == answer(1)
    assert len({answer(seed) for seed in range(4)}) > 1


def test_what_an_encoder_reads_ends_as_its_tokenizer_ends_texts_and_is_not_begun(
    model: Seq2SeqModel,
) -> None:
    rendered = model.render(asking("Be brief.", "Who?"), begun="According to")
    assert rendered == "Be brief.\n\nWho?\n\nAnswer:<|im_end|>"
    loaded = model._ready()
    assert loaded.encode(rendered) == loaded.tokenizer("Be brief.\n\nWho?\n\nAnswer:")["input_ids"]


def test_a_prompt_longer_than_the_encoder_reads_is_refused(model: Seq2SeqModel) -> None:
    assert model.context_tokens == CONTEXT_TOKENS
    with pytest.raises(ContextLengthError, match=rf"'tiny-t5' reads 1 to {CONTEXT_TOKENS - 1}"):
        model.generate("a" * CONTEXT_TOKENS)


def test_the_kind_of_a_model_is_told_by_its_configuration(
    folder: Path, causal: Path, tmp_path: Path
) -> None:
    assert reads_apart(folder)
    assert not reads_apart(causal)
    assert not reads_apart(tmp_path)
    (tmp_path / "config.json").write_text("[1")
    assert not reads_apart(tmp_path)


def test_a_model_without_a_template_is_shown_that_an_answer_follows(
    causal: Path, tmp_path: Path
) -> None:
    loaded = _without_template(causal, tmp_path)
    said = [Turn("user", "Who?"), Turn("assistant", "Ann."), Turn("user", "When? <|im_end|>")]
    assert prompt_for(loaded, said, begun="It was") == (
        "Who?\n\nAnswer: Ann.\n\nWhen? < |im_end|>\n\nAnswer: It was"
    )
    prompt = prompt_for(loaded, asking("s", "".join(CONTROLS)))
    assert not [token for token in loaded.encode(prompt) if token < len(CONTROLS)]


def _without_template(causal: Path, folder: Path) -> Loaded:
    for file in causal.iterdir():
        if file.name != "chat_template.jinja":
            (folder / file.name).write_bytes(file.read_bytes())
    return load(folder, name="plain", threads=1)


def test_what_a_template_has_no_system_role_for_the_user_says_first(causal: Path) -> None:
    loaded = load(causal, name="strict", threads=1)
    strict = (
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    )
    loaded.tokenizer.chat_template = strict + str(loaded.tokenizer.chat_template)
    prompt = prompt_for(loaded, asking("Be brief.", "Who?"))
    assert prompt == "<|im_start|>user\nBe brief.\n\nWho?<|im_end|>\n<|im_start|>assistant\n"


def test_weights_are_kept_in_the_precision_that_is_asked_for(causal: Path) -> None:
    import torch

    half = load(causal, name="half", threads=1, device="cpu", dtype="bfloat16")
    assert {value.dtype for value in half.model.parameters()} == {torch.bfloat16}
    plain = load(causal, name="plain", threads=1)
    assert {value.dtype for value in plain.model.parameters()} == {torch.float32}


def test_a_gpu_that_is_not_there_is_a_mistake_and_no_outage(causal: Path) -> None:
    with pytest.raises(SettingsError, match=re.escape("generation.device is 'cuda:99'")):
        load(causal, name="far", threads=1, device="cuda:99")


def test_damaged_weights_of_a_t5_are_an_error_of_ours(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    broken = Seq2SeqModel(tmp_path, name="broken", weights_sha256="")
    with pytest.raises(GeneratorUnavailableError, match="'broken' can't be loaded from"):
        broken.count_tokens("a")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", "{"),
        ("config.json", '{"model_type": "no-such-model"}'),
        ("config.json", '{"model_type": "t5", "vocab_size": "many"}'),
        ("tokenizer.json", "{"),
        ("tokenizer.json", '{"version": 1}'),
        ("model.safetensors", ""),
    ],
)
def test_whatever_file_is_damaged_the_model_that_has_it_is_named(
    folder: Path, tmp_path: Path, file: str, content: str
) -> None:
    for whole in folder.iterdir():
        (tmp_path / whole.name).write_bytes(whole.read_bytes())
    (tmp_path / file).write_text(content)
    with pytest.raises(GeneratorUnavailableError, match="'broken' can't be loaded from"):
        load(tmp_path, name="broken", threads=1)
