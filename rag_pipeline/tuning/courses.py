"""The two ways of training a generator: on what it should answer, and on what it should prefer."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rag_pipeline.training.errors import TrainingError
from rag_pipeline.training.settings import TrainingSettings
from rag_pipeline.training.task import Task
from rag_pipeline.tuning.adapters import Adapted, AdapterSettings
from rag_pipeline.tuning.answer_examples import (
    AnswerExample,
    Example,
    PreferenceExample,
    answers_of_history,
    preferences_of_history,
    read_answers,
    read_preferences,
)
from rag_pipeline.tuning.answer_measures import (
    Judged,
    judge_answers,
    judge_preferences,
    measure_answers,
    measure_preferences,
)
from rag_pipeline.tuning.preference import PreferenceTraining, TokenPair
from rag_pipeline.tuning.sequences import TokenSequence, sequence_of
from rag_pipeline.tuning.subjects import Subject
from rag_pipeline.tuning.supervised import AnswerTraining
from storage.engine import Database
from storage.records import Principal

if TYPE_CHECKING:
    from rag_pipeline.evaluation.comparison import Comparison
    from rag_pipeline.evaluation.record import Evaluation
    from rag_pipeline.generation.loading import Loaded

Rows = Sequence[tuple[Example, str]]
"""Examples, each with its prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorSettings:
    """How a generator is trained. Its batches are of tokens, not of examples."""

    adapter: AdapterSettings = field(default_factory=AdapterSettings)
    epochs: int = 3
    batch_tokens: int = 512
    learning_rate: float = 2e-4
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        """Raise `TrainingError` for settings that nothing can be trained with."""
        if self.batch_tokens < 1:
            raise TrainingError(f"batch_tokens is {self.batch_tokens}: give 1 or more")
        _ = self.training

    @property
    def training(self) -> TrainingSettings:
        """As the loop takes them: its batch size is a number of tokens here.

        Weights that are pulled towards 0 would be those of the adapter: away from what was learnt.
        """
        return TrainingSettings(
            epochs=self.epochs,
            batch_size=self.batch_tokens,
            learning_rate=self.learning_rate,
            weight_decay=0.0,
            validations=2,
            patience=3,
            seed=self.seed,
            threads=self.threads,
        )

    def as_json(self) -> dict[str, Any]:
        """The parameters of a training, to be kept with what came of it."""
        about = {**self.training.as_json(), **asdict(self)}
        del about["batch_size"]
        return {**about, **about.pop("adapter")}


class Course(Protocol[Example]):
    """A way of training a generator."""

    @property
    def kind(self) -> str:
        """What its examples are called."""

    @property
    def settings(self) -> GeneratorSettings:
        """How it is trained."""

    def parameters(self) -> Mapping[str, Any]:
        """All that the weights depend on, beside base and examples."""

    def read(self, path: Path) -> list[Example]:
        """The examples of a file. Raises `ExamplesError`."""

    def of_history(
        self, database: Database, *, principal: Principal, min_score: float | None
    ) -> list[Example]:
        """What the history teaches."""

    def task(
        self, adapted: Adapted, loaded: "Loaded", rows: Rows[Example], held: Rows[Example]
    ) -> Task:
        """The training on `rows`, which stops by what is `held` back."""

    def measure(self, subject: Subject, examples: Sequence[Example]) -> "Evaluation":
        """How well a model does on examples."""

    def judge(self, found: "Comparison") -> Judged:
        """Whether it does better than another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerCourse:
    """Trains on what should be answered."""

    settings: GeneratorSettings = field(default_factory=GeneratorSettings)
    kind: str = field(default="answers", init=False)

    def parameters(self) -> Mapping[str, Any]:
        return self.settings.as_json()

    def read(self, path: Path) -> list[AnswerExample]:
        return read_answers(path)

    def of_history(
        self, database: Database, *, principal: Principal, min_score: float | None
    ) -> list[AnswerExample]:
        return answers_of_history(database, principal=principal, min_score=min_score)

    def task(
        self,
        adapted: Adapted,
        loaded: "Loaded",
        rows: Rows[AnswerExample],
        held: Rows[AnswerExample],
    ) -> Task:
        return AnswerTraining(
            adapted,
            _answers(loaded, rows),
            _answers(loaded, held),
            batch_tokens=self.settings.batch_tokens,
        )

    def measure(self, subject: Subject, examples: Sequence[AnswerExample]) -> "Evaluation":
        return measure_answers(subject, examples, batch_tokens=self.settings.batch_tokens)

    def judge(self, found: "Comparison") -> Judged:
        return judge_answers(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferenceCourse:
    """Trains on which of two answers is better."""

    settings: GeneratorSettings = field(
        default_factory=lambda: GeneratorSettings(learning_rate=1e-4)
    )
    beta: float = 0.1
    """How dear it is to move away from the base."""
    max_drift: float = 0.1
    """Nats that a token of the better answers may become dearer by."""
    kind: str = field(default="preferences", init=False)

    def __post_init__(self) -> None:
        """Raise `TrainingError` for numbers out of range."""
        if not (0 < self.beta < float("inf") and self.max_drift >= 0):
            raise TrainingError(
                f"beta is {self.beta} and max_drift {self.max_drift}: give a number above 0, and"
                " one from 0"
            )

    def parameters(self) -> Mapping[str, Any]:
        return {**self.settings.as_json(), "beta": self.beta, "max_drift": self.max_drift}

    def read(self, path: Path) -> list[PreferenceExample]:
        return read_preferences(path)

    def of_history(
        self, database: Database, *, principal: Principal, min_score: float | None
    ) -> list[PreferenceExample]:
        """A preference needs no least score: it says by itself which answer is better."""
        return preferences_of_history(database, principal=principal)

    def task(
        self,
        adapted: Adapted,
        loaded: "Loaded",
        rows: Rows[PreferenceExample],
        held: Rows[PreferenceExample],
    ) -> Task:
        return PreferenceTraining(
            adapted,
            _pairs(loaded, rows),
            _pairs(loaded, held),
            batch_tokens=self.settings.batch_tokens,
            beta=self.beta,
        )

    def measure(self, subject: Subject, examples: Sequence[PreferenceExample]) -> "Evaluation":
        return measure_preferences(subject, examples, batch_tokens=self.settings.batch_tokens)

    def judge(self, found: "Comparison") -> Judged:
        return judge_preferences(found, max_drift=self.max_drift)


def _answers(loaded: "Loaded", rows: Rows[AnswerExample]) -> list[TokenSequence]:
    return [sequence_of(loaded, prompt, example.answer) for example, prompt in rows]


def _pairs(loaded: "Loaded", rows: Rows[PreferenceExample]) -> list[TokenPair]:
    return [
        TokenPair(
            sequence_of(loaded, prompt, example.chosen),
            sequence_of(loaded, prompt, example.rejected),
        )
        for example, prompt in rows
    ]
