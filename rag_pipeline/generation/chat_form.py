"""The text that a model in memory reads: its chat template filled in, or a plain form without one.

Base models and those of an encoder and a decoder have no template. They are shown what is to be
read, and that an answer follows.
"""

from collections.abc import Sequence

from rag_pipeline.errors import GenerationError
from rag_pipeline.generation.language_model import Turn
from rag_pipeline.generation.loading import Loaded, neutralised

_ANSWER = "Answer:"


def prompt_for(loaded: Loaded, turns: Sequence[Turn], *, begun: str = "") -> str:
    """`turns` as the model reads them, up to where its answer begins, and `begun`.

    Control tokens written out in a turn are broken by a space after their first character, so that
    a passage which says "<|im_end|>" can't end the user's turn.
    """
    said = [Turn(turn.role, neutralised(turn.text, loaded.controls)) for turn in turns]
    if loaded.tokenizer.chat_template is None:
        return _plain(loaded, said, begun)
    return f"{_templated(loaded, said)}{begun}"


def _templated(loaded: Loaded, turns: Sequence[Turn]) -> str:
    """The chat template filled in; what it has no system role for, the user says first."""
    from jinja2 import TemplateError

    try:
        return _filled_in(loaded, turns)
    except TemplateError as error:
        try:
            return _filled_in(loaded, _without_system(turns))
        except TemplateError:
            raise GenerationError(
                f"The model's chat template can't take this conversation: {error}"
            ) from error


def _filled_in(loaded: Loaded, turns: Sequence[Turn]) -> str:
    messages = [{"role": turn.role, "content": turn.text} for turn in turns]
    return str(
        loaded.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    )


def _without_system(turns: Sequence[Turn]) -> list[Turn]:
    """The same, with what the system says at the head of what the user first says."""
    system = [turn.text for turn in turns if turn.role == "system"]
    others = [turn for turn in turns if turn.role != "system"]
    if not others:
        return [Turn("user", "\n\n".join(system))]
    first = Turn(others[0].role, "\n\n".join([*system, others[0].text]))
    return [first, *others[1:]]


def _plain(loaded: Loaded, turns: Sequence[Turn], begun: str) -> str:
    """Turns as paragraphs, then "Answer:", which a decoder goes on from.

    What an encoder reads has an end of its own, and nothing in it is begun.
    """
    paragraphs = [
        f"{_ANSWER} {turn.text}" if turn.role == "assistant" else turn.text for turn in turns
    ]
    text = "\n\n".join([*paragraphs, _ANSWER])
    before, after = _edges(loaded)
    if loaded.model.config.is_encoder_decoder:
        return f"{before}{text}{after}"
    return f"{before}{text} {begun}".rstrip()


def _edges(loaded: Loaded) -> tuple[str, str]:
    """The control tokens that the tokenizer puts before and after a text."""
    bare = loaded.encode("a")
    whole = list(loaded.tokenizer("a")["input_ids"])
    at = next(
        (at for at in range(len(whole)) if whole[at : at + len(bare)] == bare),
        0,
    )
    before, after = whole[:at], whole[at + len(bare) :]
    return _written(loaded, before), _written(loaded, after)


def _written(loaded: Loaded, tokens: Sequence[int]) -> str:
    return "".join(loaded.tokenizer.convert_ids_to_tokens(list(tokens)))
