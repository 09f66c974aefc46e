"""What a model elsewhere is sent, as one text: a list of messages, in JSON with one spelling.

Its tokens can't be seen from here. What its own template would take for one of its marks is broken
by a space, as it is for a model in memory, and tokens are estimated.
"""

import hashlib
import json
import re
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from rag_pipeline.errors import GenerationError
from rag_pipeline.generation.language_model import Role, Turn
from rag_pipeline.generation.loading import neutralised

UNSTATED_CONTEXT = 4096
"""Tokens, of a model that says nothing of it: what Ollama gives a model that it is told nothing
of."""

BYTES_PER_TOKEN = 3
"""English has about 4 a token and Chinese 3: an estimate that is rather too high."""

_CONTROLS = re.compile(
    r"<\|[^<>|\s]{1,40}\|>"  # ChatML, Llama 3, Phi
    r"|<｜[^<>｜]{1,40}｜>"  # DeepSeek
    r"|</?s>|<<?/?SYS>>?|\[/?INST\]"  # Llama 2, Mistral
    r"|<(?:start|end)_of_turn>|<(?:bos|eos)>"  # Gemma
)


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid")

    role: Role
    content: str


_MESSAGES = TypeAdapter(list[_Message])


def as_messages(turns: Sequence[Turn], *, begun: str = "") -> str:
    """The turns as a JSON list of `{"content", "role"}`, and a last one that the assistant has
    begun, if any."""
    said = [{"role": turn.role, "content": neutralised(turn.text, _CONTROLS)} for turn in turns]
    if begun:
        said.append({"role": "assistant", "content": begun})
    return json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def from_messages(rendered: str) -> list[Turn]:
    """The turns of what `as_messages` wrote. Raises `GenerationError` for anything else."""
    try:
        said = _MESSAGES.validate_json(rendered)
    except ValidationError as error:
        raise GenerationError(
            "The prompt is no list of messages: render turns with the model that is to answer."
        ) from error
    if not said:
        raise GenerationError("The prompt holds no message.")
    return [Turn(message.role, message.content) for message in said]


def estimated_tokens(text: str) -> int:
    """About how many tokens a text has, for any tokenizer."""
    return -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)


def name_sha256(*names: str) -> str:
    """What stands for the hash of weights that can't be seen: that of what they are called.

    It says the same for as long as the names are the same, whatever stands behind them.
    """
    return hashlib.sha256("\n".join(("a name, not weights", *names)).encode()).hexdigest()
