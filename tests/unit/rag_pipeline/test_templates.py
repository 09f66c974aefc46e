"""Prompt templates: what they may say, and how they are read and shown."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.passages import passage

from rag_pipeline.errors import TemplateError
from rag_pipeline.generation.extraction import Near
from rag_pipeline.generation.matching import single_spans
from rag_pipeline.generation.prompt import Framing, Template, turns
from rag_pipeline.generation.templates import (
    DEFAULT_TEXT,
    MAX_FILE,
    as_toml,
    checked,
    read_template,
)
from storage.prompts.templates import TemplateText

BRACES = st.text(alphabet="{}a0.:!textquestion ", max_size=30)


def near(text: str) -> list[Near]:
    return [Near(span, 1.0) for span in single_spans(passage(text))]


def text_of(question: str, **parts: str) -> TemplateText:
    return TemplateText(**{"system": "Be brief.", "question": question, **parts})


@given(BRACES, BRACES.filter(str.strip))
def test_braces_of_a_question_or_a_passage_stay_as_they_are(question: str, said: str) -> None:
    template = Template(system="", question='{"q": "{question}"} <{text}> {} {0} {text!r}')
    (user,) = turns(question, near(said), Framing(template=template))
    shown = " ".join(said.split())
    expected = f'{{"q": "{question.strip()}"}} <{shown}> {{}} {{0}} {{text!r}}'
    assert user.text == expected


def test_what_is_filled_in_is_not_filled_in_again() -> None:
    template = Template(question="{text} {question}")
    user = turns("{text}", near("Bees {question}."), Framing(template=template))[-1]
    assert user.text == "Bees {question}. {text}"


def test_a_template_without_a_system_prompt_sends_none_but_the_askers() -> None:
    template = Template(system="", question="{text} {question}")
    assert [turn.role for turn in turns("Why?", [], Framing(template=template))] == ["user"]
    told = turns("Why?", [], Framing(template=template, instructions="Be kind."))
    assert told[0].text == "Be kind."


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("{text}", "lacks {question}"),
        ("{question}", "lacks {text}"),
        ("{context} {text} {question}", "nothing goes into {context}"),
        ("{text} {question} {Text}", "nothing goes into {Text}"),
        ("{text} {{question}}", "a brace too many"),
        ("{{ text }} {question}", "a brace too many"),
    ],
)
def test_a_place_that_is_missing_or_misspelt_is_named(question: str, said: str) -> None:
    with pytest.raises(TemplateError) as raised:
        checked(text_of(question))
    assert said in str(raised.value)


@pytest.mark.parametrize("part", ["system", "lead_in"])
def test_only_the_question_has_places(part: str) -> None:
    with pytest.raises(TemplateError, match=f"the {part} of a template"):
        checked(text_of("{text} {question}", **{part: "About {text}"}))


def test_other_braces_are_text() -> None:
    text = text_of('{"answer": 1} {} {1} { text } {text}{question}{text}')
    assert checked(text) == text


@given(st.builds(TemplateText, system=st.text(), question=st.text(), lead_in=st.text()))
def test_what_is_shown_is_a_file_that_says_the_same(text: TemplateText) -> None:
    shown = as_toml(text)
    assert tomllib.loads(shown) == {
        "system": text.system,
        "question": text.question,
        "lead_in": text.lead_in,
    }


def test_the_default_is_a_template_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / "default.toml"
    path.write_text(as_toml(DEFAULT_TEXT), "utf-8")
    assert read_template(path) == DEFAULT_TEXT


def test_a_file_that_is_no_toml_is_the_turn_of_whoever_asks(tmp_path: Path) -> None:
    path = tmp_path / "short.txt"
    path.write_bytes("﻿Text: {text}\nFrage: {question} 💶".encode())
    expected = TemplateText(
        system=DEFAULT_TEXT.system,
        question="Text: {text}\nFrage: {question} 💶",
        lead_in=DEFAULT_TEXT.lead_in,
    )
    assert read_template(path) == expected


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'system = "x"', "has no 'question'"),
        (b'question = "{text} {question}"\nsytem = "x"', "'sytem'"),
        (b"question = 1", "is no text"),
        (b"question = ", "is no TOML"),
        (b"question = '\xff'", "is no UTF-8: byte 12"),
        (b"#" * (MAX_FILE + 1), "more than"),
    ],
    ids=str,
)
def test_a_file_that_is_no_template_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "t.toml"
    path.write_bytes(content)
    with pytest.raises(TemplateError) as raised:
        read_template(path)
    assert said in str(raised.value)
    assert "t.toml" in str(raised.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="nope"):
        read_template(tmp_path / "nope.toml")


def test_texts_that_are_cut_in_other_places_have_other_hashes() -> None:
    one = TemplateText(system="a", question="b\nc", lead_in="")
    other = TemplateText(system="a\nb", question="c", lead_in="")
    assert one.sha256 != other.sha256
