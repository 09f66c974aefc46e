import pytest
from support.growth import grows_no_faster_than_its_size

from ingest.sentences import blocks, is_row, sentences


def cut(text):
    return [text[start:end] for start, end in sentences(text)]


def test_an_empty_text_has_no_sentences():
    assert sentences("") == []
    assert sentences(" \n\t\n ") == []


@pytest.mark.parametrize(
    "sentence",
    [
        "Dr. Smith met Prof. Jones in St. Albans.",
        "J. R. R. Tolkien and C. S. Lewis were friends.",
        "The pioneer John F. Kennedy spoke.",
        "See Fig. 3 and No. 5 in Vol. 2, pp. 4 ff. below.",
        "It costs 3.14 or 1.000.000 in v1.2.3 of example.com today.",
        "Fruit, e.g. apples, i.e. pomes, vs. berries.",
        "As Li et al. (2009) showed, it works.",
        "The U.S. Army and the U.K. Parliament agreed.",
        "He waited ... and waited… in vain.",
        '"Really?" he asked, and "No!" she said.',
        "Yahoo! was founded by two people, and Jeopardy! is a show.",
    ],
)
def test_a_full_stop_inside_a_sentence_does_not_end_it(sentence):
    assert cut(sentence) == [sentence]


@pytest.mark.parametrize(
    "expected",
    [
        ["They left the U.S.", "The war ended."],
        ["Take vitamin C.", "It helps."],
        ["Is it?", "No.", "It is not."],
        ['He said "Stop."', "She did."],
        ["(It was late.)", "We left."],
        ["It grew.[1]", "Then it fell.[23]", "It rests."],
        ["He left...", "Nobody saw it."],
        ["In 1990.", "25 people came."],
        ["What?!", "Never!"],
        ["He has a B.A. and a Ph.D.", "They were earned at home."],
        ["Das Ende.", "Änderungen folgen.", "Ωmega auch."],
    ],
)
def test_a_full_stop_before_a_new_sentence_ends_one(expected):
    assert cut(" ".join(expected)) == expected


def test_full_stops_of_other_scripts_end_sentences():
    assert cut("你好。再见！「好。」真的？") == ["你好。", "再见！", "「好。」", "真的？"]
    assert cut("यह एक है। वह दो है।") == ["यह एक है।", "वह दो है।"]
    assert cut("هل هذا؟ نعم.") == ["هل هذا؟", "نعم."]


def test_a_line_break_inside_prose_does_not_end_a_sentence():
    text = (
        "The keeper of the lighthouse lit the lamp\nevery evening at dusk, and\nNever missed one."
    )
    assert cut(text) == [text]


def test_blank_lines_end_a_sentence_without_a_full_stop():
    assert cut("one\n\ntwo\n \t\nthree") == ["one", "two", "three"]


def test_headings_items_rows_and_fields_are_sentences_of_their_own():
    text = (
        "# Tea\nGreen tea is not oxidised.\n"
        "Things to buy\nThe list follows.\n- leaves\n- water\n2) a cup\n"
        "kind | minutes\ngreen | 2\n"
        "name: Assam; minutes: 4\nname: Sencha; minutes: 2\n"
    )
    assert cut(text) == [
        "# Tea",
        "Green tea is not oxidised.",
        "Things to buy",
        "The list follows.",
        "- leaves",
        "- water",
        "2) a cup",
        "kind | minutes",
        "green | 2",
        "name: Assam; minutes: 4",
        "name: Sencha; minutes: 2",
    ]


def test_a_list_item_may_go_on_in_the_next_line_and_hold_two_sentences():
    assert cut("- It began\n  here. Then it ended.\n- Next") == [
        "- It began\n  here.",
        "Then it ended.",
        "- Next",
    ]


@pytest.mark.parametrize(
    "hostile",
    [
        "." * 200_000,
        " " * 200_000,
        "\n" * 200_000,
        "a." * 100_000,
        '."' * 100_000,
        ".[a" * 70_000,
        "a | " * 50_000,
        "\t" * 100_000 + "a",
        "a b " * 50_000 + ": ",
        "x" * 200_000,
        ("[1]" * 50_000) + ".",
    ],
)
def test_no_text_takes_more_than_linear_time(hostile):
    assert grows_no_faster_than_its_size(lambda size: sentences(hostile[-size:]), len(hostile))


def test_blocks_say_what_is_an_item_a_row_or_a_record():
    text = "# Tea\nIt is green. It is hot.\n- one. Two.\n  three\n2 | cups\nname: Assam; minutes: 4"
    found = [(text[start:end], is_row(text, start, end)) for start, end in blocks(text)]
    assert found == [
        ("# Tea", False),
        ("It is green. It is hot.", False),
        ("- one. Two.\n  three", True),
        ("2 | cups", True),
        ("name: Assam; minutes: 4", True),
    ]
