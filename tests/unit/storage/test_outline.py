"""What a span of a text is called, by its headings and pages."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.outline import as_json, common_path, from_json, heading_path, page_at, section_at
from storage.records import NO_OUTLINE, Heading, Outline

BOOK = Outline(
    headings=(
        Heading(10, 1, "Tea"),
        Heading(20, 2, "Green"),
        Heading(30, 3, "Sencha"),
        Heading(40, 2, "Black"),
        Heading(50, 1, "Coffee"),
    ),
    page_starts=(0, 25, 25, 60),
)

headings = st.lists(
    st.builds(Heading, st.integers(0, 99), st.integers(1, 6), st.text(min_size=1)), max_size=12
).map(lambda found: tuple(sorted(found, key=lambda heading: heading.start)))
pages = st.lists(st.integers(1, 99), max_size=5).map(lambda starts: (0, *sorted(starts)))
outlines = st.builds(Outline, headings, pages | st.just(()))


@pytest.mark.parametrize(
    ("offset", "path"),
    [
        (0, ()),
        (9, ()),
        (10, ("Tea",)),
        (19, ("Tea",)),
        (20, ("Tea", "Green")),
        (35, ("Tea", "Green", "Sencha")),
        (40, ("Tea", "Black")),
        (1000, ("Coffee",)),
    ],
)
def test_a_place_is_named_from_the_highest_heading_down(offset: int, path: tuple[str, ...]) -> None:
    assert heading_path(BOOK, offset) == path


@pytest.mark.parametrize(
    ("start", "end", "path"),
    [
        (32, 38, ("Tea", "Green", "Sencha")),
        (22, 38, ("Tea", "Green")),
        (30, 41, ("Tea",)),
        (30, 40, ("Tea", "Green", "Sencha")),
        (30, 51, ()),
        (0, 12, ()),
    ],
)
def test_a_span_is_named_by_the_headings_that_hold_for_all_of_it(
    start: int, end: int, path: tuple[str, ...]
) -> None:
    assert common_path(BOOK, start, end) == path


def test_levels_may_be_left_out_and_need_not_begin_with_one() -> None:
    outline = Outline((Heading(0, 3, "a"), Heading(1, 6, "b"), Heading(2, 2, "c")))
    assert heading_path(outline, 1) == ("a", "b")
    assert heading_path(outline, 2) == ("c",)


@pytest.mark.parametrize(("offset", "page"), [(0, 1), (24, 1), (25, 3), (59, 3), (60, 4), (99, 4)])
def test_pages_count_from_one_and_an_empty_page_holds_nothing(offset: int, page: int) -> None:
    assert page_at(BOOK, offset) == page


def test_a_text_without_pages_has_no_page() -> None:
    assert page_at(NO_OUTLINE, 5) is None


@pytest.mark.parametrize(
    ("offset", "span"),
    [(0, (0, 10)), (10, (10, 20)), (29, (20, 30)), (30, (30, 40)), (77, (50, 80))],
)
def test_a_section_goes_from_its_heading_to_the_next(offset: int, span: tuple[int, int]) -> None:
    assert section_at(BOOK, offset, 80) == span


def test_a_text_without_headings_is_one_section() -> None:
    assert section_at(NO_OUTLINE, 5, 80) == (0, 80)
    assert heading_path(NO_OUTLINE, 5) == ()


def test_an_empty_outline_is_no_value() -> None:
    assert as_json(NO_OUTLINE) is None
    assert from_json(None) == NO_OUTLINE


@given(outlines)
def test_an_outline_survives_json(outline: Outline) -> None:
    assert from_json(json.loads(json.dumps(as_json(outline)))) == outline


@given(outlines, st.integers(0, 120))
def test_a_path_falls_by_level_and_ends_with_the_section_it_stands_in(
    outline: Outline, offset: int
) -> None:
    begun = [heading for heading in outline.headings if heading.start <= offset]
    path = heading_path(outline, offset)
    assert path[-1:] == tuple(heading.title for heading in begun[-1:])
    assert common_path(outline, offset, offset + 1) == path
    start, end = section_at(outline, offset, 130)
    assert start <= offset < end
    assert not any(start < heading.start < end for heading in outline.headings)


@given(outlines, st.integers(0, 120), st.integers(1, 60))
def test_what_names_a_span_names_every_place_in_it(outline: Outline, start: int, size: int) -> None:
    path = common_path(outline, start, start + size)
    for offset in range(start, start + size):
        assert heading_path(outline, offset)[: len(path)] == path
