"""Stop strings, limits on sampling, and the model that echoes."""

import pytest
from support.turns import asking

from rag_pipeline.errors import GenerationError, SettingsError
from rag_pipeline.generation.echo_model import EchoModel
from rag_pipeline.generation.language_model import Completion, Sampling, complete
from rag_pipeline.generation.stop_strings import before_stop, settled

_STOPS = ("\n\n", "END", "ENDING", "ab", "bc")


@pytest.mark.parametrize(
    ("text", "stop", "kept", "stopped"),
    [
        ("one END two", ("END",), "one ", True),
        ("abc", ("bc", "ab"), "", True),
        ("xabc", ("bc", "abc"), "x", True),
        ("one", ("END",), "one", False),
        ("one", (), "one", False),
        ("one", ("",), "one", False),
        ("END", ("END",), "", True),
    ],
)
def test_a_text_is_cut_before_the_first_stop_string(
    text: str, stop: tuple[str, ...], kept: str, stopped: bool
) -> None:
    assert before_stop(text, stop) == (kept, stopped)


@pytest.mark.parametrize(
    "text", ["say EN END", "aab", "E\n\nE", "ENDIN", "xbcab", "no stop at all E"]
)
def test_what_was_shown_of_a_growing_text_never_has_to_be_taken_back(text: str) -> None:
    final, _ = before_stop(text, _STOPS)
    for size in range(len(text) + 1):
        grown, stopped = before_stop(text[:size], _STOPS)
        shown = grown if stopped else settled(grown, _STOPS)
        assert final.startswith(shown)


def test_only_what_may_become_a_stop_string_is_held_back() -> None:
    assert settled("an EN", ("END",)) == "an "
    assert settled("an ENd", ("END",)) == "an ENd"
    assert settled("half a character \ufffd\ufffd", ()) == "half a character "
    assert settled("a \ufffd inside", ()) == "a \ufffd inside"


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_new_tokens": 0},
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"top_p": 0.0},
        {"top_p": 1.01},
    ],
)
def test_sampling_out_of_range_names_the_setting(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        Sampling(**wrong)


def test_the_echo_says_the_first_sentence_of_the_first_passage() -> None:
    model = EchoModel()
    rendered = model.render(
        asking(
            "Be brief.", "Passages:\n\n[1] Bees dance. They sing.\n\n[2] Ants walk.\n\nWho dances?"
        )
    )
    assert complete(model.generate(rendered)) == (
        "Bees dance.",
        Completion(prompt_tokens=13, completion_tokens=2, finish_reason="stop"),
    )


def test_the_echo_without_numbered_passages_says_the_first_sentence_of_the_user() -> None:
    model = EchoModel()
    text, _ = complete(model.generate(model.render(asking("Be brief.", "Bees dance. They sing."))))
    assert text == "Bees dance."


@pytest.mark.parametrize(
    ("sampling", "said", "reason"),
    [
        (Sampling(max_new_tokens=2), "Bees often", "length"),
        (Sampling(max_new_tokens=3), "Bees often dance.", "stop"),
        (Sampling(stop=(" dance",)), "Bees often", "stop"),
    ],
)
def test_the_echo_keeps_to_the_limits_of_sampling(
    sampling: Sampling, said: str, reason: str
) -> None:
    text, ended = complete(EchoModel().generate("[1] Bees often dance.", sampling=sampling))
    assert (text, ended.finish_reason) == (said, reason)


def test_the_echo_has_a_context_too() -> None:
    with pytest.raises(GenerationError, match="'echo' reads 3"):
        EchoModel(context_tokens=3).generate("one two three")


def test_the_echo_of_nothing_is_nothing() -> None:
    model = EchoModel()
    assert complete(model.generate(model.render(asking("", ""))))[0] == ""
