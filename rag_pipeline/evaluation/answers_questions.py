"""Questions whose answers are known: SQuAD's JSON, or JSONL of `{_id, question, answers}`.

A question is unanswerable where `is_impossible` says so, or where it has no answer. What stands
together in a source, an article of SQuAD's or a `title` or `context_id` of a line, is a group:
its questions resemble each other, so a fit holds out whole groups.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from rag_pipeline.errors import QueryError
from rag_pipeline.evaluation.errors import EvaluationError
from rag_pipeline.retrieval.query import check_query


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownQuestion:
    """A question, and every wording of its answer; none: it can't be answered."""

    question_id: str
    text: str
    golds: tuple[str, ...]
    group: str


class _Gold(BaseModel):
    text: str


class _Asked(BaseModel):
    """A question of either form."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    question_id: str = Field(validation_alias=AliasChoices("_id", "id"))
    question: str = Field(validation_alias=AliasChoices("question", "text"))
    answers: list[str | _Gold] = []
    is_impossible: bool = False
    group: str | None = Field(
        default=None, validation_alias=AliasChoices("group", "title", "context_id")
    )

    def known(self, group: str) -> KnownQuestion:
        texts = [one if isinstance(one, str) else one.text for one in self.answers]
        golds = () if self.is_impossible else tuple(dict.fromkeys(texts))
        return KnownQuestion(
            question_id=self.question_id, text=self.question, golds=golds, group=group
        )


class _Paragraph(BaseModel):
    qas: list[_Asked]


class _Article(BaseModel):
    title: str = ""
    paragraphs: list[_Paragraph]


class _Squad(BaseModel):
    data: list[_Article]


def read_questions(path: Path) -> list[KnownQuestion]:
    """The questions of a file, in its order. Raises `EvaluationError` naming file and remedy."""
    try:
        content = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluationError(f"{path} can't be read: {error}") from error
    found = [*_squad(path, content)] if _is_squad(content) else [*_lines(path, content)]
    if not found:
        raise EvaluationError(
            f"{path} asks nothing: give it SQuAD's JSON, or a line {{_id, question, answers}} each"
        )
    _check(path, found)
    return found


def sample(questions: Sequence[KnownQuestion], size: int, seed: int) -> list[KnownQuestion]:
    """`size` questions in their order, half of them answerable as far as there are so many.

    Which ones follows from the seed and the ids alone, not from the order of the file.
    """
    if size < 1:
        raise EvaluationError(f"{size} questions can't be asked; ask 1 or more")
    with_answer = _drawn([one for one in questions if one.golds], seed)
    without = _drawn([one for one in questions if not one.golds], seed)
    answerable = max(min(len(with_answer), (size + 1) // 2), size - len(without))
    chosen = {one.question_id for one in [*with_answer[:answerable], *without[: size - answerable]]}
    return [one for one in questions if one.question_id in chosen]


def fingerprint(questions: Sequence[KnownQuestion]) -> str:
    """SHA-256 of all that is asked and known: evaluations with the same may be compared."""
    said = json.dumps(sorted(astuple(one) for one in questions))
    return hashlib.sha256(said.encode()).hexdigest()


def _drawn(questions: Sequence[KnownQuestion], seed: int) -> list[KnownQuestion]:
    def lot(one: KnownQuestion) -> bytes:
        return hashlib.sha256(f"{seed} {one.question_id}".encode()).digest()

    return sorted(questions, key=lot)


def _is_squad(content: str) -> bool:
    """Whether the file is one object with articles; lines of JSON are not one."""
    try:
        record = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(record, dict) and "data" in record


def _squad(path: Path, content: str) -> Iterator[KnownQuestion]:
    try:
        squad = _Squad.model_validate_json(content)
    except ValidationError as error:
        raise EvaluationError(f"{path} is not in SQuAD's form: {_first(error)}") from error
    for number, article in enumerate(squad.data):
        for paragraph in article.paragraphs:
            for asked in paragraph.qas:
                yield asked.known(article.title or str(number))


def _lines(path: Path, content: str) -> Iterator[KnownQuestion]:
    for at, line in enumerate(content.split("\n"), start=1):
        if line.strip():
            try:
                asked = _Asked.model_validate_json(line)
            except ValidationError as error:
                raise EvaluationError(f"{path}:{at} is no question: {_first(error)}") from error
            yield asked.known(asked.group or asked.question_id)


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or 'the text'}: {first['msg']}"


def _check(path: Path, questions: Sequence[KnownQuestion]) -> None:
    seen: set[str] = set()
    for one in questions:
        if one.question_id in seen:
            raise EvaluationError(f"{path} has two questions {one.question_id!r}; keep one")
        seen.add(one.question_id)
        try:
            check_query(one.text)
        except QueryError as error:
            raise EvaluationError(
                f"the question {one.question_id!r} of {path} can't be asked: {error}"
            ) from error
