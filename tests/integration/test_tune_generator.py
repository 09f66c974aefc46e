"""`rag tune generator` and `rag tune preference` from their files to a version that answers."""

import json
import resource
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.pipelines import parts_of, word_pipeline
from support.tiny_model import CONTEXT_TOKENS, write_gguf, write_model_folder, write_seq2seq_folder

from rag_pipeline.cli.main import cli
from rag_pipeline.errors import RagError
from rag_pipeline.generation.language_model import Turn, complete
from rag_pipeline.generation.loading import load
from rag_pipeline.generation.transformers_model import TransformersModel
from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.settings import default_cache
from rag_pipeline.training.errors import TrainingError
from rag_pipeline.training.progress import Progress
from rag_pipeline.tuning.adapters import AdapterSettings
from rag_pipeline.tuning.courses import AnswerCourse, GeneratorSettings, PreferenceCourse
from rag_pipeline.tuning.errors import ExamplesError
from rag_pipeline.tuning.generator_report import GeneratorWanted, TunedGenerator
from rag_pipeline.weights.errors import WeightsMissingError
from rag_pipeline.weights.store import WeightStore
from storage.errors import NotFoundError
from storage.records import Principal

_QUICK = GeneratorSettings(
    adapter=AdapterSettings(rank=1), epochs=8, batch_tokens=256, learning_rate=0.03, seed=174
)
_ANSWERS = AnswerCourse(settings=_QUICK)
_PREFERENCES = PreferenceCourse(settings=_QUICK, max_drift=1.0)
_COUNT = 50


def _write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model_folder(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [{"prompt": f"Where is {n}?", "completion": "Here"} for n in range(_COUNT)]
    return _write(tmp_path_factory.mktemp("data") / "answers.jsonl", rows)


@pytest.fixture(scope="module")
def preferences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [
        {"prompt": f"Where is {n}?", "chosen": "Here", "rejected": "There it is"}
        for n in range(_COUNT)
    ]
    return _write(tmp_path_factory.mktemp("data") / "preferences.jsonl", rows)


def _pipeline(home: Path, **settings: Any) -> RagPipeline:
    # An untrained model never ends an answer by itself.
    return word_pipeline(home, generation={"max_new_tokens": 6}, **settings)


@pytest.fixture
def rag(tmp_path: Path) -> Iterator[RagPipeline]:
    with _pipeline(tmp_path / "home") as rag:
        yield rag


@pytest.fixture(scope="module")
def tuned(
    base: Path, answers: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RagPipeline, TunedGenerator]]:
    """A tuning that ran through."""
    with _pipeline(tmp_path_factory.mktemp("home")) as rag:
        wanted = GeneratorWanted(examples=answers, base=str(base), keep_adapter=True)
        yield rag, rag.tune_generator(wanted, _ANSWERS)


def _model(folder: Path) -> TransformersModel:
    return TransformersModel(folder, name="t", weights_sha256="", threads=1, device="cpu")


def _folder(rag: RagPipeline, tuned: TunedGenerator) -> Path:
    assert tuned.model is not None
    return parts_of(rag).versions.folders.checked(tuned.model)


def test_a_generator_that_learnt_to_answer_is_registered_and_activated(
    tuned: tuple[RagPipeline, TunedGenerator], answers: Path
) -> None:
    rag, found = tuned
    told = found.as_json()

    assert (told["model"], told["activated"]) == ("version:generator@1", True)
    assert told["examples"]["test"] >= 20
    assert sum(told["examples"].values()) == _COUNT
    assert told["held_out"]["f1"]["before"] == 0
    assert told["held_out"]["f1"]["gain"]["low"] > 0.5
    assert told["held_out"]["loss"]["after"] < told["held_out"]["loss"]["before"]
    versions = parts_of(rag).versions
    active = versions.active("generator")
    assert active is not None
    assert active.reference == told["model"]
    assert active.metrics["held_out"] == told["held_out"]
    assert active.datasets == (("trained_on", "generator-answers@1"),)
    assert versions.dataset("generator-answers").location == str(answers.resolve())


def test_its_version_writes_what_it_learnt(
    tuned: tuple[RagPipeline, TunedGenerator], base: Path
) -> None:
    rag, _ = tuned
    model = parts_of(rag).writing_with("version:generator").language_model
    untrained = _model(base)
    asked = [Turn("user", "Where is 1000?")]

    assert model.name == "version:generator@1"
    assert complete(model.generate(model.render(asked)))[0] == "Here"
    assert complete(untrained.generate(untrained.render(asked)))[0] != "Here"


def test_the_merged_model_writes_what_base_and_adapter_write(
    tuned: tuple[RagPipeline, TunedGenerator], base: Path
) -> None:
    from peft import LoraConfig, LoraModel
    from safetensors.torch import load_file

    rag, found = tuned
    folder = _folder(rag, found)
    loaded = load(base, name="t", threads=1, device="cpu", dtype="float32")
    config = LoraConfig.from_pretrained(str(folder / "adapter"))
    apart = LoraModel(loaded.model, config, "default")
    kept = load_file(folder / "adapter/adapter_model.safetensors")
    renamed = {
        name.removeprefix("base_model.").replace(".weight", ".default.weight"): weight
        for name, weight in kept.items()
    }
    assert apart.load_state_dict(renamed, strict=False).unexpected_keys == []
    merged = load(folder, name="t", threads=1, device="cpu")
    prompt = merged.encode("<|im_start|>user\nWhere is 12345?<|im_end|>\n<|im_start|>assistant\n")

    assert _greedy(apart, prompt) == _greedy(merged.model, prompt) != []


def _greedy(model: Any, prompt: list[int]) -> list[int]:
    import torch

    tokens = list(prompt)
    with torch.no_grad():
        for _ in range(12):
            tokens.append(int(model(input_ids=torch.tensor([tokens])).logits[0, -1].argmax()))
    return tokens[len(prompt) :]


def test_the_same_again_is_the_same_version_and_changes_nothing(
    tuned: tuple[RagPipeline, TunedGenerator], base: Path, answers: Path
) -> None:
    rag, first = tuned
    wanted = GeneratorWanted(examples=answers, base=str(base), keep_adapter=True)
    again = rag.tune_generator(wanted, _ANSWERS)

    assert again.compared_with == "version:generator@1"
    assert again.model is not None
    assert again.model.weights_sha256 == first.as_json()["weights_sha256"]
    assert (again.model.reference, again.is_activated) == ("version:generator@1", False)
    assert len(parts_of(rag).versions.models(name="generator")) == 1


def test_a_tuning_that_was_broken_off_ends_as_one_that_ran_through(
    rag: RagPipeline,
    tuned: tuple[RagPipeline, TunedGenerator],
    base: Path,
    answers: Path,
) -> None:
    wanted = GeneratorWanted(examples=answers, base=str(base), keep_adapter=True)
    seen: list[Progress] = []

    def broken_off(progress: Progress) -> None:
        if progress.step == 14:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rag.tune_generator(wanted, _ANSWERS, observe=broken_off)
    assert parts_of(rag).versions.models() == []
    assert parts_of(rag).versions.datasets() == []
    found = rag.tune_generator(wanted, _ANSWERS, observe=seen.append)

    assert 1 < seen[0].step <= 14
    assert found.as_json() == tuned[1].as_json()
    assert not [*(rag.settings.home / "tuning/generator").glob("*.safetensors")]


@pytest.mark.slow
def test_a_second_version_can_be_rolled_back(
    rag: RagPipeline, base: Path, answers: Path, tmp_path: Path
) -> None:
    others = [{"prompt": f"Where is {n}?", "completion": "Gone"} for n in range(_COUNT)]
    changed = _write(tmp_path / "changed.jsonl", others)
    versions = parts_of(rag).versions
    for examples in (answers, changed):
        wanted = GeneratorWanted(examples=examples, base=str(base))
        assert rag.tune_generator(wanted, _ANSWERS).is_activated
    assert versions.model("generator").version == 2
    versions.rollback("generator")
    assert versions.model("generator").version == 1


def test_answers_that_are_not_surely_nearer_are_kept_and_not_activated(
    rag: RagPipeline, base: Path, answers: Path
) -> None:
    slow = AnswerCourse(settings=replace(_QUICK, epochs=1, learning_rate=1e-6))
    found = rag.tune_generator(GeneratorWanted(examples=answers, base=str(base)), slow)

    assert found.model is not None
    assert (found.model.state, found.judged.is_better) == ("kept", False)
    assert "not surely nearer" in found.judged.because
    assert parts_of(rag).versions.active("generator") is None


def test_the_smallest_step_towards_what_is_preferred_is_no_gain(
    rag: RagPipeline, base: Path, preferences: Path
) -> None:
    slow = PreferenceCourse(settings=replace(_QUICK, epochs=1, learning_rate=1e-6))
    found = rag.tune_preference(GeneratorWanted(examples=preferences, base=str(base)), slow)

    assert found.model is not None
    assert (found.model.state, found.judged.is_better) == ("kept", False)
    assert "next to nothing" in found.judged.because


def test_a_generator_learns_what_is_preferred_on_both_databases(
    database_url: str, base: Path, preferences: Path, tmp_path: Path
) -> None:
    wanted = GeneratorWanted(examples=preferences, base=str(base))
    with _pipeline(tmp_path, database=database_url) as rag:
        found = rag.tune_preference(wanted, _PREFERENCES)
        active = parts_of(rag).versions.active("generator")
    held_out = found.as_json()["held_out"]

    assert found.is_activated
    assert active == found.model
    assert held_out["reward_accuracy"]["after"] == 1
    assert held_out["gap"]["gain"]["low"] > 0
    assert held_out["loss"]["after"] < held_out["loss"]["before"]


def test_corrections_of_the_history_teach_and_stand_in_the_data_set(tmp_path: Path) -> None:
    roomy = write_model_folder(tmp_path / "roomy")
    config = json.loads((roomy / "config.json").read_text("utf-8"))
    config["max_position_embeddings"] = 4 * CONTEXT_TOKENS
    (roomy / "config.json").write_text(json.dumps(config), "utf-8")
    once = replace(_QUICK, epochs=1, seed=0)
    documents = tmp_path / "documents.jsonl"
    _write(documents, [{"_id": f"d{n}", "text": _tower(n)} for n in range(8)])
    with _pipeline(tmp_path / "home") as rag:
        rag.ingest(documents)
        asked = [rag.ask(f"How high is tower {n}?").prompt_id for n in range(8)]
        for prompt_id in asked:
            rag.history.rate(prompt_id, 0.0, correction="60 m")
        versions = parts_of(rag).versions
        corrected = rag.tune_generator(
            GeneratorWanted(base=str(roomy)), AnswerCourse(settings=once)
        )
        preferred = rag.tune_preference(
            GeneratorWanted(base=str(roomy), name="other"),
            PreferenceCourse(settings=once),
        )
        members = versions.members("generator-answers")
    assert sum(corrected.examples.values()) == sum(preferred.examples.values()) == 8
    assert (corrected.left_out, preferred.left_out) == ({}, {})
    assert members is not None
    assert {member["prompt_id"] for member in members} == {*asked}


def _tower(number: int) -> str:
    return f"The tower {number} is 60 m high. It was built long ago."


def test_examples_that_can_not_be_used_are_left_out_and_counted(
    rag: RagPipeline, base: Path, answers: Path, tmp_path: Path
) -> None:
    rows = [
        {"prompt": "Why? " * CONTEXT_TOKENS, "completion": "So."},
        {"prompt": "Why?", "completion": "So. " * CONTEXT_TOKENS},
        {"prompt": "How?", "completion": " \n "},
        {"question": "What?", "passages": ["# Heading"], "answer": "That."},
    ]
    mixed = tmp_path / "mixed.jsonl"
    mixed.write_text(
        answers.read_text("utf-8") + "".join(json.dumps(row) + "\n" for row in rows), "utf-8"
    )
    course = replace(_ANSWERS, settings=replace(_QUICK, epochs=1))
    found = rag.tune_generator(GeneratorWanted(examples=mixed, base=str(base)), course)

    assert found.left_out == {
        "too long for the model": 2,
        "an answer is empty": 1,
        "no sentence to answer from": 1,
    }
    assert sum(found.examples.values()) == _COUNT


def _nothing_happened(rag: RagPipeline) -> bool:
    versions = parts_of(rag).versions
    left = [*rag.settings.home.rglob("merged-*"), *rag.settings.home.rglob(".partial-*")]
    return versions.models() == versions.datasets() == left == []


def test_a_training_that_runs_wild_ends_with_a_clear_error(
    rag: RagPipeline, base: Path, answers: Path
) -> None:
    wild = replace(_ANSWERS, settings=replace(_QUICK, learning_rate=1e30))
    with pytest.raises(TrainingError, match="give a learning rate below 1e\\+30"):
        rag.tune_generator(GeneratorWanted(examples=answers, base=str(base)), wild)
    assert _nothing_happened(rag)


@contextmanager
def _full_disk(limit: int) -> Iterator[None]:
    """No file may grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_registers_nothing_and_costs_no_step(
    rag: RagPipeline, base: Path, answers: Path
) -> None:
    wanted = GeneratorWanted(examples=answers, base=str(base))
    seen: list[Progress] = []
    # A checkpoint of rank 1 fits; the weights of the model don't.
    with _full_disk(60_000), pytest.raises(TrainingError, match="make room"):
        rag.tune_generator(wanted, _ANSWERS)
    assert _nothing_happened(rag)

    found = rag.tune_generator(wanted, _ANSWERS, observe=seen.append)
    assert found.is_activated
    assert [one.step for one in seen] == [found.trained.planned_steps]


def _seq2seq(folder: Path) -> str:
    return str(write_seq2seq_folder(folder / "t5"))


_REFUSED: Mapping[str, tuple[Callable[[Path], str], str]] = {
    "an encoder and a decoder": (_seq2seq, "reads with an encoder"),
    "an embedder": (lambda _: "minilm", "no model that writes"),
    "a server": (lambda _: "http://127.0.0.1:1/v1", "on a server"),
    "nothing": (lambda folder: str(folder / "none"), "There is no model"),
    "a version that is none": (lambda _: "version:none", "none"),
}


@pytest.mark.parametrize("kind", _REFUSED)
def test_a_base_that_can_not_be_trained_is_refused_before_any_work(
    kind: str, rag: RagPipeline, answers: Path, tmp_path: Path
) -> None:
    make, said = _REFUSED[kind]
    wanted = GeneratorWanted(examples=answers, base=make(tmp_path))
    with pytest.raises((RagError, NotFoundError), match=said):
        rag.tune_generator(wanted, _ANSWERS)
    assert _nothing_happened(rag)


@pytest.mark.slow
def test_a_base_in_gguf_is_de_quantised_and_trained(answers: Path, tmp_path: Path) -> None:
    gguf = write_gguf(tmp_path / "tiny.gguf")
    course = AnswerCourse(settings=replace(_QUICK, epochs=1))
    with _pipeline(tmp_path / "home", cache_dir=tmp_path / "cache") as rag:
        found = rag.tune_generator(GeneratorWanted(examples=answers, base=str(gguf)), course)
    assert found.trained.losses[-1] < found.trained.losses[0]


@pytest.mark.slow
@pytest.mark.models
def test_the_packaged_generator_learns_to_answer_in_short(tmp_path: Path) -> None:
    try:
        WeightStore(default_cache()).resolve("smollm2")
    except WeightsMissingError as error:
        pytest.skip(str(error))
    colours = ("red", "green", "blue", "white")
    rows = [
        {
            "question": f"What colour is door {n}?",
            "passages": [f"Door {n} is {colours[n % 4]}. It was painted last year."],
            "answer": colours[n % 4],
        }
        for n in range(24)
    ]
    course = AnswerCourse(settings=GeneratorSettings(epochs=1, seed=2))
    wanted = GeneratorWanted(examples=_write(tmp_path / "doors.jsonl", rows), base="smollm2")
    with word_pipeline(tmp_path / "home", generator="smollm2") as rag:
        found = rag.tune_generator(wanted, course)
    held_out = found.as_json()["held_out"]

    assert found.left_out == {}
    assert held_out["loss"]["after"] < held_out["loss"]["before"] / 2
    assert held_out["f1"]["after"] > held_out["f1"]["before"]


def test_an_empty_file_and_an_empty_history_teach_nothing(
    rag: RagPipeline, base: Path, tmp_path: Path
) -> None:
    empty = _write(tmp_path / "empty.jsonl", [])
    for examples in (empty, None):
        wanted = GeneratorWanted(examples=examples, base=str(base))
        with pytest.raises(ExamplesError, match="holds no"):
            rag.tune_generator(wanted, _ANSWERS)
    assert _nothing_happened(rag)


def test_only_the_owner_trains_models(tmp_path: Path, base: Path, answers: Path) -> None:
    with (
        word_pipeline(tmp_path, principal=Principal(name="guest")) as rag,
        pytest.raises(NotFoundError),
    ):
        rag.tune_generator(GeneratorWanted(examples=answers, base=str(base)), _ANSWERS)


@pytest.mark.parametrize(
    "arguments",
    [
        ["generator"],
        ["generator", "--data", "x.jsonl", "--from-history"],
        ["generator", "--data", "x.jsonl", "--min-score", "0.5"],
        ["preference"],
        ["preference", "--data", "x.jsonl", "--from-history"],
        ["generator", "--data", "x.jsonl", "--rank", "0"],
    ],
)
def test_a_command_that_contradicts_itself_is_misuse(arguments: list[str]) -> None:
    assert CliRunner().invoke(cli, ["tune", *arguments]).exit_code == 2


def test_the_command_prints_one_document_and_tells_what_it_does(
    base: Path, answers: Path, tmp_path: Path
) -> None:
    said = ["tune", "generator", "--data", str(answers), "--base", str(base), "--name", "mine"]
    options = ["--method", "last-layers", "--layers", "1", "--epochs", "2", "--batch-tokens", "256"]
    rate = ["--learning-rate", "0.03", "--json", "--home", str(tmp_path)]
    result = CliRunner().invoke(cli, [*said, *options, *rate])

    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["model"] == "version:mine@1"
    assert told["training"]["planned_steps"] == told["training"]["steps"]
    assert "training on" in result.stderr
