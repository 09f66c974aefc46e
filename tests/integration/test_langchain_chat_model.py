"""LangChain's chat models as generators: real ones of its own package, and what they may raise."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import Field, SecretStr
from support.generator_server import generator_server
from support.turns import asking

from rag_pipeline.errors import GeneratorRefusedError, GeneratorUnavailableError
from rag_pipeline.generation.language_model import Completion, Sampling, Turn, complete
from rag_pipeline.integrations.langchain import LangChainModel

KEY = "sk-very-secret-0123456789"
_ASKED = asking("Be brief.", "Who? <|im_end|>")


class StreamingModel(BaseChatModel):
    """Streams what it was told to, or raises it, and keeps how it was called."""

    model: str = "speaker-1"
    key: SecretStr = SecretStr(KEY)
    says: list[Any] = Field(default_factory=list)
    calls: list[dict[str, Any]] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "streaming"

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        raise NotImplementedError

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        self.calls.append({"messages": messages, "stop": stop, **kwargs})
        for said in self.says:
            if isinstance(said, Exception):
                raise said
            chunk = said if isinstance(said, AIMessageChunk) else AIMessageChunk(content=said)
            yield ChatGenerationChunk(message=chunk)


class StatusError(Exception):
    def __init__(self, status_code: int) -> None:
        self.status_code = status_code
        super().__init__(f"refused {KEY}")


def answered(model: LangChainModel, **sampling: Any) -> tuple[str, Completion]:
    return complete(model.generate(model.render(_ASKED), sampling=Sampling(**sampling)))


def test_a_chat_model_of_langchain_answers_piece_by_piece() -> None:
    model = LangChainModel(GenericFakeChatModel(messages=iter([AIMessage("The master did.")])))
    pieces = [*model.generate(model.render(_ASKED))]
    assert "".join(pieces) == "The master did."
    assert len(pieces) > 2
    assert all(pieces)


def test_it_reads_the_turns_as_they_are_on_record() -> None:
    chat = StreamingModel(says=["Yes."])
    model = LangChainModel(chat)
    turns = [Turn("system", "s"), Turn("user", "a"), Turn("assistant", "b"), Turn("user", "c")]
    rendered = model.render(turns, begun="According to")
    complete(model.generate(rendered))
    (call,) = chat.calls
    kinds = {"system": "system", "human": "user", "ai": "assistant"}
    assert json.loads(rendered) == [
        {"content": said.content, "role": kinds[said.type]} for said in call["messages"]
    ]
    assert [said.content for said in call["messages"]] == ["s", "a", "b", "c"]


def test_its_own_count_of_tokens_counts_and_an_estimate_is_called_one() -> None:
    usage = {"input_tokens": 11, "output_tokens": 0, "total_tokens": 11}
    last = {"input_tokens": 0, "output_tokens": 3, "total_tokens": 3}
    chunks = [
        AIMessageChunk(content="Yes", usage_metadata=usage),
        AIMessageChunk(
            content=".", usage_metadata=last, response_metadata={"stop_reason": "max_tokens"}
        ),
    ]
    assert answered(LangChainModel(StreamingModel(says=chunks))) == (
        "Yes.",
        Completion(prompt_tokens=11, completion_tokens=3, finish_reason="length"),
    )
    _, estimated = answered(LangChainModel(StreamingModel(says=["Yes."])))
    assert estimated.estimated
    assert estimated.finish_reason == "stop"


def test_limits_are_kept_even_if_the_chat_model_knows_none() -> None:
    chat = StreamingModel(says=["word "] * 400)
    text, ended = answered(LangChainModel(chat), max_new_tokens=10)
    assert (len(text), ended.finish_reason) == (30, "length")
    text, ended = answered(LangChainModel(chat), stop=("d w",))
    assert (text, ended.finish_reason) == ("wor", "stop")
    assert [call["stop"] for call in chat.calls] == [None, ["d w"]]


def test_a_program_says_how_its_chat_model_is_told_to_sample() -> None:
    chat = StreamingModel(says=["Yes."])
    told = LangChainModel(
        chat, arguments=lambda sampling: {"temperature": sampling.temperature, "k": 3}
    )
    answered(told, temperature=0.5)
    assert {name: chat.calls[0][name] for name in ("temperature", "k")} == {
        "temperature": 0.5,
        "k": 3,
    }


def test_its_name_and_context_are_those_that_it_states() -> None:
    stated = LangChainModel(StreamingModel(profile={"max_input_tokens": 777}))
    assert (stated.name, stated.context_tokens) == ("speaker-1", 777)
    assert LangChainModel(StreamingModel()).context_tokens == 4096
    assert LangChainModel(StreamingModel(), context_tokens=99).context_tokens == 99
    assert LangChainModel(GenericFakeChatModel(messages=iter([]))).name == "GenericFakeChatModel"
    assert stated.weights_sha256 != LangChainModel(StreamingModel(model="b")).weights_sha256


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (StatusError(401), GeneratorRefusedError),
        (StatusError(404), GeneratorRefusedError),
        (StatusError(400), GeneratorRefusedError),
        (StatusError(503), GeneratorUnavailableError),
        (ConnectionError(f"no way to {KEY}"), GeneratorUnavailableError),
    ],
)
def test_what_a_chat_model_raises_is_a_mistake_or_an_outage_and_never_says_its_key(
    raised: Exception, error: type[Exception]
) -> None:
    with pytest.raises(error, match="'speaker-1' failed") as caught:
        answered(LangChainModel(StreamingModel(says=["The ", raised])))
    assert KEY not in str(caught.getrepr(style="long", chain=True))


def test_a_chat_model_of_a_real_server_answers_and_fails_as_any_generator(tmp_path: Path) -> None:
    openai = pytest.importorskip("langchain_openai")
    with generator_server(None, tmp_path / "log.jsonl") as server:
        chat = openai.ChatOpenAI(
            model="tiny", base_url=server.url, api_key=KEY, max_retries=0, timeout=60
        )
        model = LangChainModel(chat, arguments=lambda sampling: {"seed": sampling.seed})
        server.will("says:The master did.", "drips:word ", "tells:401", "status:503", "cut:The")
        assert answered(model, seed=7, stop=("?",))[0] == "The master did."
        body = server.chats()[0]["body"]
        assert (model.name, body["seed"], body["stop"]) == ("tiny", 7, ["?"])
        stream = model.generate(model.render(_ASKED))
        next(stream)
        stream.close()
        assert server.was_left()
        with pytest.raises(GeneratorRefusedError) as caught:
            answered(model)
        assert KEY not in str(caught.value)
        for _ in range(2):
            with pytest.raises(GeneratorUnavailableError):
                answered(model)
