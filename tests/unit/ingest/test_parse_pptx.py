import io
import zipfile

import pytest
from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from ingest.errors import RefusedError, SkippedError
from ingest.parse.pptx import parse

BOX = (Inches(1), Inches(1), Inches(3), Inches(1))
TITLE, TITLE_AND_BODY, TITLE_ONLY, BLANK = 0, 1, 5, 6


def saved(show) -> bytes:
    buffer = io.BytesIO()
    show.save(buffer)
    return buffer.getvalue()


def new_slide(show, layout: int, title: str = ""):
    slide = show.slides.add_slide(show.slide_layouts[layout])
    if title:
        slide.shapes.title.text = title
    return slide


def pages_of(show) -> list[str]:
    parsed = parse(saved(show))
    assert parsed.has_pages
    assert parsed.has_headings
    pages = parsed.text.split("\f")
    assert pages[-1] == ""
    assert parsed.metadata["pages"] == len(pages) - 1
    return pages[:-1]


def test_a_slide_is_a_page_also_one_without_text():
    show = Presentation()
    new_slide(show, TITLE, "The light").placeholders[1].text = "A history"
    new_slide(show, BLANK)
    body = new_slide(show, TITLE_AND_BODY, "Two\vlines").placeholders[1].text_frame
    body.text = "First"
    body.add_paragraph().text = "Second"
    assert pages_of(show) == [
        "# The light\n\nA history",
        "",
        "# Two lines\n\n- First\n- Second",
    ]


def test_text_boxes_groups_and_tables_stand_in_their_order_after_the_title():
    show = Presentation()
    slide = new_slide(show, TITLE_ONLY, "Towers")
    slide.shapes.add_textbox(*BOX).text_frame.text = "Before"
    group = slide.shapes.add_group_shape()
    inner = group.shapes.add_group_shape()
    inner.shapes.add_textbox(*BOX).text_frame.text = "In a group"
    table = slide.shapes.add_table(2, 2, *BOX).table
    for place, text in enumerate(("Name", "Year", "Bell\nRock", "1811")):
        table.cell(place // 2, place % 2).text = text
    assert pages_of(show) == ["# Towers\n\nBefore\n\nIn a group\n\nName | Year\nBell Rock | 1811"]


def test_notes_follow_their_slide():
    show = Presentation()
    new_slide(show, TITLE_ONLY, "Seen").notes_slide.notes_text_frame.text = "Say hello"
    assert pages_of(show) == ["# Seen\n\nNotes: Say hello"]


def test_a_chart_gives_its_title_and_series():
    show = Presentation()
    data = CategoryChartData()
    data.categories = ["2022", "2023"]
    data.add_series("Ships", (3, 4))
    frame = new_slide(show, BLANK).shapes.add_chart(XL_CHART_TYPE.PIE, *BOX, data)
    frame.chart.chart_title.text_frame.text = "Ships seen"
    assert pages_of(show) == ["Ships seen\n\nShips: 2022 3; 2023 4"]


def test_slides_that_a_show_skips_are_kept_and_come_in_its_order():
    show = Presentation()
    for title in ("First", "Second"):
        new_slide(show, TITLE_ONLY, title)
    show.slides[0]._element.set("show", "0")
    ids = show.slides._sldIdLst
    ids.append(ids[0])
    assert pages_of(show) == ["# Second", "# First"]


def test_a_slide_that_is_listed_again_and_again_is_read_once():
    show = Presentation()
    new_slide(show, TITLE_ONLY, "Once")
    ids = show.slides._sldIdLst
    reference = ids[0].rId
    for number in range(300, 320):
        again = ids._add_sldId(id=number, rId=reference)
        assert again is not None
    assert pages_of(show) == ["# Once"]


def test_a_line_that_looks_like_a_heading_does_not_pass_as_one():
    show = Presentation()
    new_slide(show, BLANK).shapes.add_textbox(*BOX).text_frame.text = "# 1 in sales\v## 2"
    assert pages_of(show) == ["\\# 1 in sales\n\\## 2"]


def test_title_and_author_come_from_the_properties():
    show = Presentation()
    new_slide(show, TITLE_ONLY, "x")
    show.core_properties.title, show.core_properties.author = "The light", "A. Keeper"
    parsed = parse(saved(show))
    assert (parsed.title, parsed.metadata["author"]) == ("The light", "A. Keeper")


def test_the_title_that_powerpoint_makes_up_is_none():
    show = Presentation()
    new_slide(show, TITLE_ONLY, "x")
    show.core_properties.title = "PowerPoint Presentation"
    assert parse(saved(show)).title == ""


def test_slides_that_hold_pictures_only_are_skipped():
    show = Presentation()
    new_slide(show, BLANK)
    with pytest.raises(SkippedError, match="pictures"):
        parse(saved(show))


def changed(data: bytes, name: str, change) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", 8) as new:
        for member in old.namelist():
            content = old.read(member)
            new.writestr(member, change(content) if member == name else content)
    return buffer.getvalue()


@pytest.fixture
def whole() -> bytes:
    show = Presentation()
    new_slide(show, TITLE_ONLY, "x")
    return saved(show)


def test_external_entities_are_refused(whole):
    entity = b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]>'
    with pytest.raises(RefusedError, match="document type or XML entities"):
        parse(changed(whole, "ppt/slides/slide1.xml", lambda old: entity + old.split(b"?>", 1)[1]))


def test_groups_nested_without_end_are_refused(whole):
    deep = b"<p:grpSp>" * 5000
    with pytest.raises(RefusedError, match="damaged"):
        parse(changed(whole, "ppt/slides/slide1.xml", lambda old: old.replace(b"<p:sp>", deep, 1)))


def test_a_part_of_millions_of_tags_is_refused_before_its_tree_is_built(whole):
    many = b"<p:sp/>" * 3_000_001
    with pytest.raises(RefusedError, match=r"zip bomb|XML tags"):
        parse(changed(whole, "ppt/slides/slide1.xml", lambda old: old.replace(b"<p:sp>", many, 1)))


def test_a_relation_out_of_the_package_leads_nowhere(whole):
    relations = "ppt/slides/_rels/slide1.xml.rels"
    outside = (
        b'<Relationship Id="rId9" Type="http://x/notesSlide" Target="../../../../etc/passwd"/>'
    )
    made = changed(whole, relations, lambda old: old.replace(b"</Rel", outside + b"</Rel", 1))
    assert parse(made).text == "# x\f"


def test_another_kind_of_zip_is_refused():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", "x")
    with pytest.raises(RefusedError, match="not a PowerPoint presentation"):
        parse(buffer.getvalue())


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.99])
def test_a_file_cut_short_is_refused(whole, kept):
    with pytest.raises(RefusedError, match="damaged or cut short"):
        parse(whole[: int(len(whole) * kept)])
