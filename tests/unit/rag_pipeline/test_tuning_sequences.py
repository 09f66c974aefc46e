"""How likely a model holds an answer, and what the loss of a preference is."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.tiny_model import write_model_folder

from rag_pipeline.evaluation.comparison import Comparison, compare
from rag_pipeline.evaluation.record import Evaluation
from rag_pipeline.generation.loading import Loaded, load
from rag_pipeline.training.errors import TrainingError
from rag_pipeline.tuning.adapters import Adapted, AdapterSettings
from rag_pipeline.tuning.answer_measures import judge_answers, judge_preferences, reward_accuracy
from rag_pipeline.tuning.preference import preference_loss
from rag_pipeline.tuning.sequences import TokenSequence, batched, score_answers, sequence_of

_SEQUENCES = (
    TokenSequence((5, 6, 7, 8, 9, 10), 2),
    TokenSequence((11, 12, 13), 1),
    TokenSequence((14, 15, 16, 17), 3),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model_folder(tmp_path_factory.mktemp("model"))


@pytest.fixture
def loaded(folder: Path) -> Loaded:
    return load(folder, name="tiny", threads=1, device="cpu", dtype="float32")


def test_answers_in_one_batch_are_scored_as_each_would_be_alone(loaded: Loaded) -> None:
    with torch.no_grad():
        together = score_answers(loaded.model, _SEQUENCES).sum(dim=1).tolist()
        alone = []
        for sequence in _SEQUENCES:
            logits = loaded.model(input_ids=torch.tensor([sequence.tokens])).logits[0]
            chances = torch.log_softmax(logits, dim=-1)
            places = range(sequence.answer_at, len(sequence.tokens))
            alone.append(sum(chances[at - 1, sequence.tokens[at]].item() for at in places))
    assert together == pytest.approx(alone, rel=1e-5)


def test_the_prompt_is_read_and_costs_nothing(loaded: Loaded) -> None:
    whole = TokenSequence((5, 6, 7, 8), 1)
    answer = TokenSequence((5, 6, 7, 8), 3)
    with torch.no_grad():
        scores = score_answers(loaded.model, [whole, answer])
    assert torch.count_nonzero(scores, dim=1).tolist() == [3, 1]
    assert scores[0, -1] == scores[1, -1]


def test_an_answer_ends_with_the_token_that_ends_a_turn_and_holds_no_other(loaded: Loaded) -> None:
    sequence = sequence_of(loaded, "<|im_start|>assistant\n", " Stop<|im_end|>here ")
    answer = sequence.tokens[sequence.answer_at :]
    (end,) = loaded.end_tokens
    assert answer[-1] == end
    assert end not in answer[:-1]
    assert loaded.decode(answer) == "Stop< |im_end|>here"


def test_an_answer_that_is_begun_goes_on_after_a_blank(loaded: Loaded) -> None:
    begun = sequence_of(loaded, "According to the text,", "60 m")
    assert loaded.decode(begun.tokens[begun.answer_at :]) == " 60 m"


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30), st.integers(1, 100), st.randoms())
def test_batches_hold_every_row_once_within_the_budget_and_do_not_hang_on_the_order(
    lengths: list[int], budget: int, rng: "st.random.Random"
) -> None:
    rows = [*range(len(lengths))]
    shuffled = rng.sample(rows, len(rows))
    batches = batched(lengths, shuffled, budget)

    assert sorted(row for batch in batches for row in batch) == rows
    for batch in batches:
        assert len(batch) == 1 or max(lengths[row] for row in batch) * len(batch) <= budget
    assert sorted(batches) == sorted(batched(lengths, rows, budget))
    assert shuffled[0] in batches[0]


@pytest.mark.parametrize("beta", [0.1, 2.0])
def test_the_loss_of_a_preference_is_that_of_the_paper(beta: float) -> None:
    gaps, reference = [3.0, -50.0, 0.5], [1.0, 2.0, 0.5]
    found = preference_loss(torch.tensor(gaps), torch.tensor(reference), beta=beta).tolist()
    margins = [beta * (gap - was) for gap, was in zip(gaps, reference, strict=True)]
    assert found == pytest.approx([math.log1p(math.exp(-margin)) for margin in margins], rel=1e-5)


@pytest.mark.parametrize("method", ["lora", "last-layers"])
def test_before_any_step_a_model_is_what_it_was(method: str, folder: Path) -> None:
    settings = AdapterSettings(method=method, layers=1)  # type: ignore[arg-type]
    plain, other = (load(folder, name="t", device="cpu", dtype="float32") for _ in range(2))
    adapted = Adapted(other, settings, seed=1)
    with torch.no_grad():
        before = score_answers(plain.model, _SEQUENCES)
        assert torch.equal(score_answers(adapted.model, _SEQUENCES), before)


def test_the_last_layers_and_the_norm_behind_them_are_all_that_is_trained(loaded: Loaded) -> None:
    adapted = Adapted(loaded, AdapterSettings(method="last-layers", layers=1), seed=0)
    trained = {n for n, weight in adapted.model.named_parameters() if weight.requires_grad}
    assert "model.norm.weight" in trained
    assert {name.split(".")[2] for name in trained if ".layers." in name} == {"1"}
    assert not any("embed" in name for name in trained)


def test_more_last_layers_than_there_are_can_not_be_trained(loaded: Loaded) -> None:
    with pytest.raises(TrainingError, match="layers is 3: the model has 2"):
        Adapted(loaded, AdapterSettings(method="last-layers", layers=3), seed=0)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_what_lora_trained_is_the_same_merged_alone_and_as_peft_reads_it(
    folder: Path, tmp_path: Path
) -> None:
    from peft import PeftModel

    loaded = load(folder, name="t", device="cpu", dtype="float32")
    adapted = Adapted(loaded, AdapterSettings(rank=2), seed=1)
    with torch.no_grad():
        for name, weight in adapted.model.named_parameters():
            if "lora_B" in name:
                weight.normal_(0, 0.3, generator=torch.Generator().manual_seed(len(name)))
        before = score_answers(load(folder, name="t", device="cpu").model, _SEQUENCES)
        trained = score_answers(adapted.model, _SEQUENCES)
        adapted.save_adapter(tmp_path / "adapter")
        adapted.save_merged(tmp_path / "merged")
        merged = load(tmp_path / "merged", name="t", device="cpu")
        base = load(folder, name="t", device="cpu", dtype="float32")
        read = PeftModel.from_pretrained(base.model, str(tmp_path / "adapter"))

        assert (trained - before).abs().max() > 0.1
        torch.testing.assert_close(score_answers(merged.model, _SEQUENCES), trained)
        torch.testing.assert_close(score_answers(read, _SEQUENCES), trained)
    assert str(folder) not in (tmp_path / "adapter/adapter_config.json").read_text("utf-8")


def _compared(before: dict[str, float], after: dict[str, float], count: int = 24) -> Comparison:
    def evaluation(figures: dict[str, float]) -> Evaluation:
        queries = {str(at): dict(figures) for at in range(count)}
        return Evaluation(settings={}, judgments_sha256="", queries=queries)

    return compare(evaluation(after), evaluation(before))


_STANDS = {"f1": 0.5, "loss": 2.0, "gap": 1.0}


@pytest.mark.parametrize(
    ("after", "better"),
    [
        ({"f1": 0.6}, True),
        ({"f1": 0.6, "loss": 1.9}, True),
        ({"f1": 0.5, "loss": 1.0}, False),
        ({"f1": 0.4}, False),
        ({"f1": 0.9, "loss": 2.1}, False),
    ],
)
def test_answers_are_better_if_they_are_nearer_and_the_right_one_no_less_likely(
    after: dict[str, float], better: bool
) -> None:
    assert judge_answers(_compared(_STANDS, {**_STANDS, **after})).is_better is better


@pytest.mark.parametrize(
    ("after", "better"),
    [
        ({"gap": 2.0}, True),
        ({"gap": 2.0, "loss": 2.1}, True),
        ({"gap": 1.0}, False),
        ({"gap": 1.05}, False),
        ({"gap": 0.0}, False),
        ({"gap": 90.0, "loss": 2.2}, False),
        ({"gap": 90.0, "f1": 0.4}, False),
    ],
)
def test_a_model_that_prefers_rightly_and_forgets_how_to_write_is_not_better(
    after: dict[str, float], better: bool
) -> None:
    found = judge_preferences(_compared(_STANDS, {**_STANDS, **after}), max_drift=0.15)
    assert found.is_better is better


def test_nothing_is_said_to_be_better_by_a_handful_of_examples() -> None:
    after = {**_STANDS, "f1": 0.9, "gap": 9.0}
    few = _compared(_STANDS, after, count=19)
    assert not judge_answers(few).is_better
    assert not judge_preferences(few, max_drift=1).is_better
    assert "19 examples are too few" in judge_answers(few).because


def test_a_model_that_is_compared_with_itself_prefers_by_chance() -> None:
    share, low, high = reward_accuracy(_compared(_STANDS, _STANDS))
    assert share == 0.5
    assert 0 < low < 0.5 < high < 1
