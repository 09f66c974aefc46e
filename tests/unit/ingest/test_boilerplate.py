"""What is taken for boilerplate, and what never is."""

import textwrap
from collections import Counter

import pytest

from ingest.boilerplate import (
    MAX_KEYS,
    boilerplate_spans,
    edge_lines,
    running_lines,
    without,
)

LETTER = """Northern Water Authority
12 Harbour Street, 20457 Bremen
Telephone 0421 555 019
www.northern-water.example

{recipient}

{body}

Kind regards
{sender}

Bank of the North, account 77 1234
Registered office: Bremen. Managing director: I. Lindqvist
"""
BODIES = [
    "Your well was tested in May.\nThe water is clean and may be used for drinking.",
    "The pipe in your street will be renewed.\nPlease store water on the first of June.",
    "We thank you for your report of a leak.\nThe joint was sealed on the same afternoon.",
    "Your application for a connection was received.\nAn engineer will call you for a visit.",
    "The meter in your cellar is due for exchange.\nNothing has to be prepared by you.",
]
MAIL = """Hello Ingrid,

{body}
Could you have a look at it before the weekend?
I will be at the plant until six.

{sender}
{separator}
{sender} Duarte
Operations, Northern Water Authority
Mobile 0151 555 {number}

{disclaimer}
"""
DISCLAIMER = (
    "This message and any attachment are confidential and intended only for the person to whom "
    "they are addressed. If you are not that person, please tell the sender at once, delete the "
    "message from your system and do not disclose its content to anybody. We accept no liability "
    "for damage caused by software that this message may carry, nor for what is lost."
)


def common(texts):
    """The keys that all of these texts have."""
    counts = Counter(key for text in texts for key in {line.key for line in edge_lines(text)})
    return {key for key, count in counts.items() if count == len(texts)}


def embedded(text, keys=(), page_starts=()):
    spans = boilerplate_spans(text, page_starts, common_keys=keys)
    return without(text, 0, len(text), spans)


def paged(pages):
    """The text of these pages, and where each begins."""
    starts = [0]
    for page in pages[:-1]:
        starts.append(starts[-1] + len(page) + 2)
    return "\n\n".join(pages), starts


def test_letterhead_and_small_print_go_and_what_was_written_stays():
    names = ["Anna", "Carlos", "Helen", "Pavel", "Yuki"]
    letters = [
        LETTER.format(recipient=f"To {name}", body=body, sender=f"{name[::-1]} Novak")
        for name, body in zip(names, BODIES, strict=True)
    ]
    left = embedded(letters[0], common(letters))
    assert left == f"To Anna\n\n{BODIES[0]}\n\nannA Novak"


@pytest.mark.parametrize("width", [10_000, 72], ids=["one line", "wrapped"])
def test_the_disclaimer_under_a_mail_goes_with_the_signature(width):
    mails = [
        MAIL.format(
            body=body,
            sender=name,
            number=number,
            separator="-- ",
            disclaimer="\n".join(textwrap.wrap(DISCLAIMER, width)),
        )
        for body, name, number in zip(BODIES, "ABCDE", range(100, 105), strict=True)
    ]
    left = embedded(mails[2], common(mails))
    assert "confidential" not in left
    assert "Operations" not in left
    assert "liability" not in left
    assert BODIES[2] in left
    assert "0151 555 102" in left


def test_a_line_from_a_telephone_is_boilerplate_under_a_mail():
    mails = [f"Hello,\n{body}\nAnna\n\nSent from my iPhone" for body in BODIES]
    assert embedded(mails[0], common(mails)) == f"Hello,\n{BODIES[0]}\nAnna"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Page 3 of 12 of the report", "page 11  of 12 of the REPORT"),
        ("Printed on 12.03.2024 at 10:04", "Printed on 1.11.2023 at 09:59"),
    ],
)
def test_page_numbers_and_dates_do_not_tell_lines_apart(one, other):
    body = "\n".join(BODIES)
    assert edge_lines(f"{body}\n{one}")[-1].key == edge_lines(f"{body}\n{other}")[-1].key


def test_other_numbers_are_facts():
    body = "\n".join(BODIES)
    totals = [edge_lines(f"{body}\nTotal amount {n} euros")[-1].key for n in (300, 512)]
    assert totals[0] != totals[1]


def test_running_headers_and_page_numbers_are_found_in_one_document():
    pages = [
        f"Annual report 2024\n{chr(64 + n)} began the chapter.\nIt went on for a while.\n"
        f"{chr(64 + n)} was middle.\nMore of {chr(64 + n)}.\nSo {chr(64 + n)} ended.\n- {n} -"
        for n in range(1, 9)
    ]
    text, starts = paged(pages)
    found = {text[start:end] for start, end in running_lines(text, starts)}
    assert found == {"Annual report 2024", *(f"- {n} -" for n in range(1, 9))} | {
        "It went on for a while."  # It does repeat at the top of all pages.
    }


def test_left_and_right_pages_may_have_headers_of_their_own():
    pages = [
        f"{'The Northern Basin' if n % 2 else 'Chapter on Pumps'}\n"
        + "\n".join(f"Sentence {chr(97 + n)}{chr(97 + i)} of it." for i in range(8))
        for n in range(7)
    ]
    text, starts = paged(pages)
    found = {text[start:end] for start, end in running_lines(text, starts)}
    assert found == {"The Northern Basin", "Chapter on Pumps"}


def test_rows_of_a_table_over_many_pages_are_no_running_lines():
    pages = ["\n".join(f"Item {n}{i} costs {i}.50" for i in range(30)) for n in range(6)]
    assert running_lines(*paged(pages)) == []


def test_a_refrain_is_no_running_line():
    verse = "The {0} came in.\nO blow the man down.\nThe {0} went out.\nO blow the man down."
    pages = ["\n".join(verse.format(f"{w}{i}") for i in "abc") for w in ("ship", "boat", "tide")]
    assert running_lines(*paged(pages)) == []


def test_two_pages_are_too_few_to_say_what_runs():
    assert running_lines(*paged(["Head\nbody one\nmore", "Head\nbody two\nless"])) == []


def test_a_long_document_has_few_keys_and_all_places_of_each():
    pages = [
        f"Northern Water Authority\nLine {n} alpha\n" + "body words\n" * 5 + f"end of {n} beta"
        for n in range(500)
    ]
    text, starts = paged(pages)
    lines = edge_lines(text, starts)
    assert len({line.key for line in lines}) <= MAX_KEYS
    header = [line for line in lines if text[line.start : line.end] == "Northern Water Authority"]
    assert len(header) == 500


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "One paragraph as a line of a JSON file. It has sentences, but no lines.",
        "A title of three words\n\nOne paragraph under it.\n\nAnd another one.",
        "Introduction\nMethods\nResults\nDiscussion\nReferences\nAppendix",
        "\n".join(map(str, range(40))),
    ],
    ids=["empty", "blank", "passage", "few lines", "single words", "numbers"],
)
def test_what_has_no_edges_has_no_edge_lines(text):
    assert edge_lines(text) == []


def test_lines_are_spans_of_the_text_in_order_and_each_once():
    text = LETTER.format(recipient="To all", body="\n".join(BODIES), sender="Anna Novak")
    lines = edge_lines(text)
    assert [line.start for line in lines] == sorted({line.start for line in lines})
    assert all(text[line.start : line.end].strip() == text[line.start : line.end] for line in lines)
    assert len({line.key for line in lines}) <= MAX_KEYS


def test_the_middle_of_a_text_is_never_boilerplate_by_its_edges():
    text = "\n".join(f"the same line {chr(97 + n)}" for n in range(20))
    left = embedded(text, {line.key for line in edge_lines(text)})
    assert left == "\n".join(f"the same line {chr(97 + n)}" for n in range(5, 10))


def test_a_shared_header_of_tables_goes_and_their_rows_stay():
    table = "name, city, amount\n" + "\n".join(f"{n}, Bremen, {n}.50" for n in ("A", "B", "C", "D"))
    left = embedded(table, {edge_lines(table)[0].key})
    assert "amount" not in left
    assert "D, Bremen, D.50" in left


def test_a_document_never_loses_all_of_its_text():
    text, starts = paged(["Confidential draft\nPage 1", "Confidential draft\nPage 2"] * 3)
    keys = {line.key for line in edge_lines(text, starts)}
    assert keys
    assert boilerplate_spans(text, starts, common_keys=keys) == []


def test_lines_at_the_edge_of_one_page_are_counted_once():
    text, starts = paged(
        ["Only one line here", "Two lines stand here\nand this is it", "x y", "a b"]
    )
    spans = [(line.start, line.end) for line in edge_lines(text, starts)]
    assert len(spans) == len(set(spans)) == 5


def test_a_span_that_crosses_the_part_is_left_out_as_far_as_it_reaches():
    text = "head line\nbody of it\nfoot line"
    spans = [(0, 9), (21, 30)]
    assert without(text, 0, len(text), spans) == "body of it"
    assert without(text, 5, 25, spans) == "body of it"
    assert without(text, 10, 20, spans) == "body of it"
    assert without(text, 2, 8, spans) == ""
    assert without(text, 0, len(text), []) == text


def test_paragraphs_stay_apart_where_a_line_between_them_goes():
    text = "first paragraph\n\nPage 3\n\nsecond paragraph"
    assert without(text, 0, len(text), [(17, 23)]) == "first paragraph\n\nsecond paragraph"
