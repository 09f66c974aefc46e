"""How well a generator answers questions that it was not trained on, one figure an example.

`f1` and `exact_match` are of what it writes, `loss` is of what it should have written: the mean of
-log p over the tokens of the answer, in nats. A `gap` is log p of the better answer less log p of
the worse one; `prefers` is 1 where a token of the better is on average the likelier.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rag_pipeline.evaluation.answers_scores import exact_match, token_f1
from rag_pipeline.evaluation.comparison import Compared, Comparison
from rag_pipeline.evaluation.record import Evaluation
from rag_pipeline.tuning.answer_examples import AnswerExample, PreferenceExample
from rag_pipeline.tuning.prompting import Prompting
from rag_pipeline.tuning.sequences import TokenSequence, sequence_of
from rag_pipeline.tuning.subjects import Subject
from rag_pipeline.tuning.supervised import log_likelihoods

Figures = Mapping[str, float]

_CHANCE = 0.5
_Z_95 = 1.96
_LEAST_MARGIN = 0.1
"""Nats: the smallest step moves all pairs alike, and is no gain."""
LEAST_EXAMPLES = 20
"""With fewer nothing is said to be better."""


def measure_answers(
    subject: Subject, examples: Sequence[AnswerExample], *, batch_tokens: int
) -> Evaluation:
    """What the model answers, and what it holds of what should be answered."""
    prompts = _prompts(subject.prompting, examples)
    written = [
        subject.prompting.answer(example.request, prompt)
        for example, prompt in zip(examples, prompts, strict=True)
    ]
    (losses,) = _losses(subject, prompts, [[one.answer for one in examples]], batch_tokens)
    return _evaluation(
        subject,
        [
            {**_scores(answer, example.answer), "loss": loss.a_token}
            for example, answer, loss in zip(examples, written, losses, strict=True)
        ],
    )


def measure_preferences(
    subject: Subject, examples: Sequence[PreferenceExample], *, batch_tokens: int
) -> Evaluation:
    """What the model answers, and which of the two answers it holds to be likelier."""
    prompts = _prompts(subject.prompting, examples)
    written = [
        subject.prompting.answer(example.request, prompt)
        for example, prompt in zip(examples, prompts, strict=True)
    ]
    chosen, rejected = _losses(
        subject,
        prompts,
        [[one.chosen for one in examples], [one.rejected for one in examples]],
        batch_tokens,
    )
    return _evaluation(
        subject,
        [
            {
                **_scores(answer, example.chosen),
                "loss": better.a_token,
                "prefers": float(better.a_token < worse.a_token),
                "gap": worse.whole - better.whole,
            }
            for example, answer, better, worse in zip(
                examples, written, chosen, rejected, strict=True
            )
        ],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Whether a model is better than the one that stands, and why it is said so."""

    is_better: bool
    because: str
    found: Comparison | None
    """None: there is nothing to compare."""

    def as_json(self) -> dict[str, Any]:
        """Each measure before and after; of preferences also how many moved the right way."""
        if self.found is None:
            return {}
        figures = {name: _figures(one) for name, one in self.found.by_measure.items()}
        if "gap" in figures:
            share, low, high = reward_accuracy(self.found)
            interval = {"mean": share - _CHANCE, "low": low - _CHANCE, "high": high - _CHANCE}
            figures["reward_accuracy"] = {"before": _CHANCE, "after": share, "gain": interval}
        return figures


NO_GAIN = Judged(
    is_better=False, because="no step made it better on what was held back", found=None
)


def judge_answers(found: Comparison) -> Judged:
    """Better: the answers surely come nearer, and what should be answered is no less likely."""
    f1, loss = found.of("f1").difference, found.of("loss").difference
    return _judged(
        found,
        f"f1 {f1.mean:+.4f} ({f1.low:+.4f} to {f1.high:+.4f})",
        (
            (f1.low > 0, "not surely nearer to the right answers"),
            (loss.mean <= 0, f"a token of the right answers costs {loss.mean:+.3f} nats"),
        ),
    )


def judge_preferences(found: Comparison, *, max_drift: float) -> Judged:
    """Better: it surely moved towards the better answers, and writes as well as before."""
    share, low, high = reward_accuracy(found)
    gap, loss, f1 = (found.of(name).difference for name in ("gap", "loss", "f1"))
    drift = f"a token of the better answers costs {loss.mean:+.3f} nats: {max_drift:g} is allowed"
    return _judged(
        found,
        f"reward accuracy {share:.3f} ({low:.3f} to {high:.3f}), chance {_CHANCE}",
        (
            (low > _CHANCE, "it did not surely move towards the better answers"),
            (gap.low > _LEAST_MARGIN, f"it moved by {gap.mean:.3f} nats, which is next to nothing"),
            (loss.mean <= max_drift, drift),
            (f1.mean >= 0, f"what it writes is less near to the better answers: f1 {f1.mean:+.4f}"),
        ),
    )


def reward_accuracy(found: Comparison) -> tuple[float, float, float]:
    """The share of pairs whose implicit reward margin is above 0, with its interval.

    The reward of an answer is how much likelier it became, up to a factor (Rafailov et al. 2023,
    section 4). A model that is compared with itself has no margins: a tie counts half, so chance is
    0.5. The interval is Wilson's (1927), which holds near 0 and 1 too.
    """
    gap = found.of("gap")
    count = gap.wins + gap.losses + gap.ties
    share = (gap.wins + gap.ties / 2) / count
    spread = _Z_95**2 / count
    middle = (share + spread / 2) / (1 + spread)
    half = _Z_95 / (1 + spread) * math.sqrt(share * (1 - share) / count + spread / (4 * count))
    return share, middle - half, middle + half


def _judged(found: Comparison, told: str, tests: Sequence[tuple[bool, str]]) -> Judged:
    failed = [said for holds, said in tests if not holds]
    if len(found.queries) < LEAST_EXAMPLES:
        failed = [
            f"{len(found.queries)} examples are too few to tell by: {LEAST_EXAMPLES} it takes"
        ]
    return Judged(is_better=not failed, because="; ".join([told, *failed]), found=found)


def _figures(one: Compared) -> dict[str, Any]:
    return {
        "before": one.baseline,
        "after": one.value,
        "gain": {
            "mean": one.difference.mean,
            "low": one.difference.low,
            "high": one.difference.high,
        },
        "wins": one.wins,
        "losses": one.losses,
        "ties": one.ties,
    }


@dataclass(frozen=True, slots=True)
class _Loss:
    """Of one answer, in nats."""

    whole: float
    tokens: int

    @property
    def a_token(self) -> float:
        return self.whole / self.tokens


def _prompts(
    prompting: Prompting, examples: Sequence[AnswerExample] | Sequence[PreferenceExample]
) -> list[str]:
    return [prompting.rendered(example.request) for example in examples]


def _losses(
    subject: Subject, prompts: Sequence[str], sides: Sequence[Sequence[str]], batch_tokens: int
) -> list[list[_Loss]]:
    """For each side, those of its answers to the prompts."""
    loaded = subject.load()
    loaded.model.train(mode=False)
    return [
        _losses_of(
            [
                sequence_of(loaded, prompt, answer)
                for prompt, answer in zip(prompts, answers, strict=True)
            ],
            lambda sequences: log_likelihoods(loaded.model, sequences, batch_tokens=batch_tokens),
        )
        for answers in sides
    ]


def _losses_of(
    sequences: Sequence[TokenSequence], score: Callable[[Sequence[TokenSequence]], list[float]]
) -> list[_Loss]:
    return [
        _Loss(-found, sequence.answer_tokens)
        for sequence, found in zip(sequences, score(sequences), strict=True)
    ]


def _scores(answer: str, right: str) -> Figures:
    return {"f1": token_f1(answer, [right]), "exact_match": exact_match(answer, [right])}


def _evaluation(subject: Subject, figures: Sequence[Figures]) -> Evaluation:
    """By the example's place; the files are never compared, so nothing is said of judgments."""
    return Evaluation(
        settings={"generator": subject.name, "weights_sha256": subject.weights_sha256},
        judgments_sha256="",
        queries={str(at): dict(found) for at, found in enumerate(figures)},
    )
