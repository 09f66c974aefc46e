"""What single modules of the page compute, in a real browser."""

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from fastapi import FastAPI
from playwright.sync_api import Page
from support.browser import served_app

from rag_pipeline.service.page.page import router


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where the modules can be loaded from; nothing stands behind them."""
    app = FastAPI()
    app.include_router(router)
    with served_app(app) as url:
        yield f"{url}/page/icon.svg"


def test_offsets_are_code_points_whatever_stands_before_them(address: str, page: Page) -> None:
    text = "a🚢b\u0301灯\U0001f469\u200d\U0001f680 " * 900 + "\ud7ff\ue000 end"
    spans = [(0, 1), (1, 2), (1, 3), (1023, 1026), (4000, 4100), (len(text) - 4, len(text)), (9, 9)]
    page.goto(address)
    cut = page.evaluate(
        "async ([text, spans]) => { const { CodePoints } = await import('/page/spans.js');"
        " const points = new CodePoints(text);"
        " return spans.map(([start, end]) => points.slice(start, end)); }",
        [text, spans],
    )
    assert cut == [text[start:end] for start, end in spans]


def test_pieces_of_a_text_are_the_text_and_none_splits_a_code_point(
    address: str, page: Page
) -> None:
    texts = [
        "🚢" * 1500,
        "word 🚢 " * 900,
        "line\n" * 900,
        "x" * 2999 + "🚢" + "y" * 9,
        "",
        "\n" * 4000,
    ]
    page.goto(address)
    cut = page.evaluate(
        "async (texts) => { const { pieces } = await import('/page/spans.js');"
        " const cut = (text) => pieces(text, 500).map(({ start, end }) => text.slice(start, end));"
        " return texts.map(cut); }",
        texts,
    )
    assert ["".join(parts) for parts in cut] == texts
    assert all(0 < len(part) <= 500 for parts in cut for part in parts)


def cited(random: Random, length: int) -> dict[str, Any]:
    """A citation of some part of an answer; like those of a service, and unlike each other."""
    start, end = sorted((random.randint(0, length), random.randint(0, length)))
    place = {"document_id": random.randint(1, 3), "start": start, "end": end, "source": "a/b.md"}
    return {**place, "answer_start": start, "answer_end": end, "quote": "", "headings": []}


def test_marks_change_nothing_of_an_answer_wherever_they_stand(address: str, page: Page) -> None:
    random = Random(7)
    text = "One 🚢 two. Three, four! 灯台 five six. And so on."
    answers = [
        {
            "answer": text,
            "generation": 1,
            "state": random.choice(["grounded", "partial"]),
            "citations": [cited(random, len(text)) for _ in range(random.randint(0, 4))],
        }
        for _ in range(200)
    ]
    page.goto(address)
    shown = page.evaluate(
        "async (answers) => { const { prose } = await import('/page/parts/answer.js');"
        " return answers.map((one) => { const made = prose(one, () => {});"
        " const marks = made.querySelectorAll('.cite').length;"
        " made.querySelectorAll('.cite, .tag').forEach((mark) => mark.remove());"
        " return [made.textContent, marks]; }); }",
        answers,
    )
    assert shown == [[text, len(answer["citations"])] for answer in answers]


def test_an_answer_flows_but_keeps_its_paragraphs_and_lists(address: str, page: Page) -> None:
    page.goto(address)
    flowed = page.evaluate(
        "async (texts) => { const { flowing } = await import('/page/parts/answer.js');"
        " return texts.map(flowing); }",
        ["on the\nisland.", "one\n\ntwo", "both:\n- a\n- b\n1. c\n\td", "end\n"],
    )
    assert flowed == ["on the island.", "one\n\ntwo", "both:\n- a\n- b\n1. c\n\td", "end\n"]


def test_plots_leave_no_day_out(address: str, page: Page) -> None:
    leap = ["2028-02-27", "2028-02-28", "2028-02-29", "2028-03-01", "2028-03-02"]
    weeks = ["2026-10-19", "2026-10-26", "2026-11-02"]
    months = ["2025-12-01", "2026-01-01", "2026-02-01"]
    cases = [
        ("day", leap),
        ("week", weeks),
        ("month", months),
        ("day", ["2026-01-31"]),
        ("day", []),
    ]
    page.goto(address)
    drawn = page.evaluate(
        "async (cases) => { const { continuous } = await import('/page/parts/buckets.js');"
        " return cases.map(([by, all]) => continuous([...new Set([...all.slice(0, 1),"
        " ...all.slice(-1)])].map((from) => ({ from })), by).map(({ from }) => from)); }",
        cases,
    )
    assert drawn == [days for _, days in cases]
