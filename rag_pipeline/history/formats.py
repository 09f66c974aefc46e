"""Training examples in the forms that trainers read, a JSON object each."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from rag_pipeline.history.training import Pair, Preference, Triple

TrainingFormat = Literal["openai", "sharegpt", "alpaca", "pairs", "dpo", "triples"]

INSTRUCTION = "Answer the question from the given text."


def openai(pair: Pair) -> Mapping[str, Any]:
    """Messages, as OpenAI's fine-tuning and most chat trainers read them."""
    return {
        "messages": [
            {"role": "system", "content": INSTRUCTION},
            {"role": "user", "content": _input(pair)},
            {"role": "assistant", "content": pair.answer},
        ]
    }


def sharegpt(pair: Pair) -> Mapping[str, Any]:
    """Conversations of `human` and `gpt`."""
    return {
        "id": pair.prompt_id,
        "system": INSTRUCTION,
        "conversations": [
            {"from": "human", "value": _input(pair)},
            {"from": "gpt", "value": pair.answer},
        ],
    }


def alpaca(pair: Pair) -> Mapping[str, Any]:
    """Instruction, input and output (Taori et al. 2023)."""
    return {
        "instruction": pair.question,
        "input": "\n\n".join(pair.passages),
        "output": pair.answer,
    }


def flat(pair: Pair) -> Mapping[str, Any]:
    """All that is known of a pair, in columns."""
    return {
        "prompt_id": pair.prompt_id,
        "question": pair.question,
        "passages": list(pair.passages),
        "answer": pair.answer,
        "score": pair.score,
        "is_corrected": pair.is_corrected,
    }


def dpo(preference: Preference) -> Mapping[str, Any]:
    """A prompt with a chosen and a rejected answer (Rafailov et al. 2023, arXiv:2305.18290)."""
    return {
        "prompt": _with_text(preference.question, preference.passages),
        "chosen": preference.chosen,
        "rejected": preference.rejected,
    }


def triple(example: Triple) -> Mapping[str, Any]:
    """Anchor, positive and negative, as sentence-transformers names them."""
    return {
        "anchor": example.question,
        "positive": example.positive,
        "negative": example.negative,
    }


FORM_OF: Mapping[TrainingFormat, Callable[[Any], Mapping[str, Any]]] = {
    "openai": openai,
    "sharegpt": sharegpt,
    "alpaca": alpaca,
    "pairs": flat,
    "dpo": dpo,
    "triples": triple,
}


def _input(pair: Pair) -> str:
    return _with_text(pair.question, pair.passages)


def _with_text(question: str, passages: tuple[str, ...]) -> str:
    return "\n\n".join([*passages, f"Question: {question}"])
