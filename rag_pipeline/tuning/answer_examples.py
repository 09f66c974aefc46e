"""What a generator is trained on: what is asked of it, and what it should answer.

The files are those that `rag history export` writes, a JSON object a line. What one of them asks in
our own words, passages and then a question, is asked as `rag ask` would ask it, so that the model
learns to answer the prompts that it will read; turns of a conversation of others stay as they are.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from rag_pipeline.generation.language_model import Role, Turn
from rag_pipeline.history.formats import INSTRUCTION
from rag_pipeline.history.training import group_of, pairs, preferences
from rag_pipeline.tuning.errors import ExamplesError
from storage.engine import Database
from storage.prompts.export import exchanges
from storage.prompts.listing import PromptsWanted
from storage.records import Principal

_QUESTION = "Question: "
_ROLES = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked: a question about passages, or turns as they are."""

    question: str = ""
    passages: tuple[str, ...] = ()
    turns: tuple[Turn, ...] = ()
    """Empty: as `rag ask` asks the question about the passages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerExample:
    """What should be answered."""

    request: Request
    answer: str
    group: str
    """Examples of one group are in one split."""
    prompt_id: str | None = None
    """The recorded exchange that it comes from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferenceExample:
    """What should rather be answered, and than what."""

    request: Request
    chosen: str
    rejected: str
    group: str
    prompt_id: str | None = None


Example = TypeVar("Example", AnswerExample, PreferenceExample)
Row = Mapping[str, Any]


def read_answers(path: Path) -> list[AnswerExample]:
    """The examples of a JSONL file of the forms `openai`, `alpaca` or `pairs`, or of prompts with
    completions. A row's `group`, if it has one, is what it is split by; else its question.

    Raises `ExamplesError` naming the line.
    """
    return _read(path, _answer_example)


def read_preferences(path: Path) -> list[PreferenceExample]:
    """The examples of a JSONL file of the form `dpo`, split as in `read_answers`.

    Raises `ExamplesError` naming the line.
    """
    return _read(path, _preference_example)


def answers_of_history(
    database: Database, *, principal: Principal, min_score: float | None
) -> list[AnswerExample]:
    """What people rated so or better, or corrected; without `min_score` also what nobody rated."""
    asked = exchanges(database, PromptsWanted(principal=principal, status="completed"))
    return [
        AnswerExample(
            request=_asked(pair.question, pair.passages),
            answer=pair.answer,
            group=group_of(pair.question),
            prompt_id=pair.prompt_id,
        )
        for pair in pairs(asked, min_score=min_score)
    ]


def preferences_of_history(database: Database, *, principal: Principal) -> list[PreferenceExample]:
    """What people corrected, and answers to one question that they rated otherwise."""
    asked = exchanges(database, PromptsWanted(principal=principal, status="completed"))
    return [
        PreferenceExample(
            request=_asked(one.question, one.passages),
            chosen=one.chosen,
            rejected=one.rejected,
            group=group_of(one.question),
            prompt_id=one.prompt_id,
        )
        for one in preferences(asked)
    ]


def sha256_of_examples(examples: Sequence[AnswerExample] | Sequence[PreferenceExample]) -> str:
    """The same for the same examples in the same order, in hexadecimal."""
    digest = hashlib.sha256()
    for example in examples:
        line = json.dumps(asdict(example), sort_keys=True)
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()


def _read(path: Path, example_of: Callable[[Row], Example]) -> list[Example]:
    examples = []
    for number, line in _lines(path):
        try:
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError("it is no JSON object")
            examples.append(example_of(row))
        except ValueError as error:
            raise ExamplesError(
                f"{path}, line {number}: {error}; write what `rag history export` writes"
            ) from error
    return examples


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not empty, by their number from 1."""
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line
    except (OSError, UnicodeDecodeError) as error:
        raise ExamplesError(f"{path} can't be read: {error}; name a JSONL file") from error


def _answer_example(row: Row) -> AnswerExample:
    request, answer = next((read(row) for key, read in _FORMS.items() if key in row), (None, ""))
    if request is None:
        raise ValueError(f"it has none of {', '.join(_FORMS)}")
    return AnswerExample(
        request=request, answer=answer, group=_group(row, request), prompt_id=_prompt_id(row)
    )


def _preference_example(row: Row) -> PreferenceExample:
    request = _taken_apart(_text(row, "prompt"))
    return PreferenceExample(
        request=request,
        chosen=_text(row, "chosen"),
        rejected=_text(row, "rejected"),
        group=_group(row, request),
        prompt_id=_prompt_id(row),
    )


def _of_messages(row: Row) -> tuple[Request, str]:
    messages = row["messages"]
    if not isinstance(messages, list) or not all(isinstance(one, dict) for one in messages):
        raise ValueError("its 'messages' are no list of objects")
    turns = [Turn(_role(one), _text(one, "content")) for one in messages]
    if len(turns) < 2 or turns[-1].role != "assistant":
        raise ValueError("its 'messages' don't end with what the assistant says to something")
    asked, answer = turns[:-1], turns[-1].text
    match asked:
        case [Turn(role="system", text=text), Turn(role="user", text=said)] if text == INSTRUCTION:
            return _taken_apart(said), answer
    return Request(question=asked[-1].text, turns=tuple(asked)), answer


def _of_alpaca(row: Row) -> tuple[Request, str]:
    passages = _text(row, "input") if row.get("input") else ""
    return _asked(_text(row, "instruction"), _paragraphs(passages)), _text(row, "output")


def _of_pair(row: Row) -> tuple[Request, str]:
    passages = row.get("passages", [])
    if not isinstance(passages, list) or not all(isinstance(one, str) for one in passages):
        raise ValueError("its 'passages' are no list of texts")
    return _asked(_text(row, "question"), tuple(passages)), _text(row, "answer")


def _of_completion(row: Row) -> tuple[Request, str]:
    return _taken_apart(_text(row, "prompt")), _text(row, "completion")


_FORMS: Mapping[str, Callable[[Row], tuple[Request, str]]] = {
    "messages": _of_messages,
    "instruction": _of_alpaca,
    "question": _of_pair,
    "completion": _of_completion,
}
"""By the key that tells a form from the others."""


def _asked(question: str, passages: tuple[str, ...]) -> Request:
    """A question without passages is a turn by itself."""
    if not passages:
        return Request(question=question, turns=(Turn("user", question),))
    return Request(question=question, passages=passages)


def _taken_apart(prompt: str) -> Request:
    """The passages and the question that an export put together; else a turn as it is."""
    *before, last = _paragraphs(prompt) or ("",)
    if not last.startswith(_QUESTION):
        return Request(question=prompt, turns=(Turn("user", prompt),))
    return _asked(last.removeprefix(_QUESTION), tuple(before))


def _paragraphs(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split("\n\n") if part.strip())


def _group(row: Row, request: Request) -> str:
    return _text(row, "group") if "group" in row else group_of(request.question)


def _prompt_id(row: Row) -> str | None:
    found = row.get("prompt_id")
    return found if isinstance(found, str) else None


def _role(message: Row) -> Role:
    role = message.get("role")
    if role not in _ROLES:
        raise ValueError(f"a message has the role {role!r}, none of {', '.join(_ROLES)}")
    return cast("Role", role)


def _text(row: Row, key: str) -> str:
    found = row.get(key)
    if not isinstance(found, str):
        raise ValueError(f"its {key!r} is no text")
    if any("\ud800" <= letter <= "\udfff" for letter in found):
        raise ValueError(f"its {key!r} has half a character")
    return found
