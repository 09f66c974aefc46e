"""A report is one document, and its page says all of it in words."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from lxml import etree, html
from support.synthetic_report import HARM, LONG, report

from rag_pipeline.synthetic.judging.gate import verdict
from rag_pipeline.synthetic.judging.histograms import histogram
from rag_pipeline.synthetic.judging.measure import measured
from rag_pipeline.synthetic.judging.page import page
from rag_pipeline.synthetic.judging.report import report_of, training_curve
from rag_pipeline.synthetic.tables.table import table_of

Json = Mapping[str, Any]


@pytest.fixture(scope="module")
def whole() -> Json:
    return report()


@pytest.fixture(scope="module")
def shown(whole: Json) -> etree._Element:
    # As it comes back from where it is kept.
    return html.fromstring(page(json.loads(json.dumps(whole, allow_nan=False))))


def said(part: etree._Element) -> str:
    return " ".join(" ".join(part.itertext()).split())


def test_the_verdict_with_its_reasons_stands_on_top(shown: etree._Element) -> None:
    first = shown.xpath("//section")[0]
    assert "Refused" in said(first)
    assert "Detection: " in said(first)
    assert "is above the limit of 0.1" in said(first)
    assert "Distance to training" in said(first)


def test_every_part_is_there(shown: etree._Element) -> None:
    headings = [said(one) for one in shown.xpath("//section/h2")]
    assert headings == [
        "✗ Refused", "At a glance", "Quality", "Columns", "Pairs of columns",
        "Detection, efficacy and diversity", "By parts of the records", "Privacy", "Training",
        "Pictures", "Texts", "Where it is from",
    ]  # fmt: skip
    facts = said(shown.xpath("//dl[@class='facts']")[0])
    assert "generator table/autoregressive" in facts
    assert "seed 3" in facts


def test_nothing_from_the_data_becomes_a_part_of_the_page(shown: etree._Element) -> None:
    assert shown.xpath("//script | //*[@onerror] | //link | //iframe | //form") == []
    assert [one.get("src")[:22] for one in shown.xpath("//img")] == ["data:image/png;base64,"]
    assert HARM in said(shown)
    assert LONG in said(shown)


def test_every_plot_has_words_and_every_table_a_caption(shown: etree._Element) -> None:
    plots = shown.xpath("//svg")
    assert len(plots) > 20
    assert all(one.get("role") == "img" and one.get("aria-label") for one in plots)
    assert shown.xpath("//figure[not(.//figcaption) and not(.//svg[@class='heat'])]") == []
    assert shown.xpath("//table[not(caption)]") == []
    assert shown.xpath("//th[not(@scope)]") == []
    ids = shown.xpath("//@id")
    assert len(ids) == len(set(ids))


def test_the_same_report_gives_the_same_page(whole: Json) -> None:
    assert page(whole) == page(whole)
    assert "2026" not in page(whole)


def test_figures_of_pictures_alone_make_a_page() -> None:
    found = measured({"precision": 0.9, "fid_ratio": 7.0}, records=2_000, held_out=500)
    said_of = report_of(verdict(found), found, provenance={})
    text = said(html.fromstring(page(said_of)))
    assert "Fréchet distance, by the floor: 7 is above the limit of 5" in text
    assert "Columns" not in text


def test_a_long_training_is_drawn_in_few_points() -> None:
    found = training_curve([float(n) for n in range(100_001)], [], measure="none")
    assert len(found["losses"]) <= 120
    assert found["losses"][0] < found["losses"][-1] <= 100_000
    assert training_curve([], [], measure="none")["losses"] == []
    nan = training_curve([1.0, float("nan")], [], measure="none")
    json.dumps(nan, allow_nan=False)


def test_bins_of_whole_numbers_hold_whole_numbers() -> None:
    table = table_of([{"n": n % 7, "x": n / 3, "d": f"2020-01-{n % 28 + 1:02}"} for n in range(99)])
    found = histogram(table, table, "n")
    assert found.edges == ("0", "1", "2", "3", "4", "5", "6", "7")
    assert found.real == found.synthetic
    assert sum(found.real) == pytest.approx(1, abs=1e-3)
    assert len(histogram(table, table, "x").real) == 20
    dates = histogram(table, table, "d").edges
    assert dates is not None
    assert dates[0] == "2020-01-01"


def test_what_is_missing_has_a_bar_and_one_value_has_one() -> None:
    table = table_of([{"one": 5, "some": None if n % 2 else n, "c": "x"} for n in range(40)])
    assert histogram(table, table, "one").real == (1,)
    some = histogram(table, table, "some")
    assert (some.names[-1], some.real[-1]) == ("missing", 0.5)
    many = table_of([{"c": f"n{n % 30}"} for n in range(60)])
    assert histogram(many, many, "c").names[-1] == "all others"
    assert len(histogram(many, many, "c").real) == 13
