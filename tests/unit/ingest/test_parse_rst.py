import time

from ingest.parse.rst import parse

PAGE = """\
==========
The Manual
==========

:Author: Jane Doe

.. _intro:

Introduction
============

See :ref:`the tower <t>`, `Example <https://example.org>`_, name_ and ``x__init__y``.

.. note:: Be careful
   with *this*.

.. code-block:: python
   :linenos:

   # a comment
   print("x")

.. include:: /etc/passwd

.. raw:: html

   <script>evil()</script>

.. image:: a.png
   :alt: A lighthouse

Details
-------
Text::

    literal # x

+---+---+
| a | b |
+===+===+
| 1 | 2 |
+---+---+

.. [1] A footnote.
.. a comment
   goes on

Again
=====
"""


def read(text: str = PAGE) -> str:
    return parse(text.encode()).text


def test_headings_have_levels_by_the_order_of_their_styles():
    headings = [line for line in read().splitlines() if line.startswith("#")]
    assert headings == ["# The Manual", "## Introduction", "### Details", "## Again"]
    parsed = parse(PAGE.encode())
    assert (parsed.title, parsed.has_headings) == ("The Manual", True)
    assert parsed.metadata == {"author": "Jane Doe"}


def test_markup_becomes_what_a_reader_sees():
    text = read()
    assert "See the tower, Example (https://example.org), name and `x__init__y`." in text
    assert "Note: Be careful\nwith *this*." in text
    assert "A lighthouse" in text
    assert "a | b\n1 | 2" in text
    assert "[1] A footnote." in text


def test_code_stays_as_it_is_and_is_no_heading():
    assert "   # a comment\n   print" in read()
    assert "Text:\n\n    literal # x" in read()


def test_nothing_is_included_and_comments_are_left_out():
    text = read()
    for unseen in (
        "passwd",
        "evil",
        "comment\n   goes",
        "linenos",
        "_intro",
        "a.png",
        "===",
        "---",
    ):
        assert unseen not in text


def test_lists_and_dialogue_are_not_headings():
    assert read("- one\n- two\n\nI said\n...\nand went") == "- one\n- two\n\nI said\nand went"


def test_odd_input_costs_time_in_proportion():
    started = time.process_time()
    for line in ("`" * 20_000, "|" * 20_000, "_a" * 10_000, ".. note:: x\n" * 2_000, ":a" * 10_000):
        read(line)
    assert read("words " * 20 + "\x000\x00 ``a``").endswith("words 0 `a`")
    assert time.process_time() - started < 5
