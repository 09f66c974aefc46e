import pytest

from ingest.errors import RefusedError
from ingest.parse.xml_tree import parse


def test_paragraphs_are_whole_and_values_keep_their_names():
    parsed = parse(
        b"""<?xml version="1.0"?><book id="b1"><title>Lights</title>
        <para>The <emphasis>tall</emphasis> tower
        stands.</para>
        <light name="Cordouan" class="c"><height unit="m">68</height></light></book>"""
    )
    assert parsed.title == "Lights"
    assert parsed.text.splitlines() == [
        "title: Lights",
        "The tall tower stands.",
        "light name: Cordouan",
        "height unit: m",
        "height: 68",
    ]


def test_of_a_drawing_only_the_words_are_read():
    drawing = b"""<svg xmlns="http://www.w3.org/2000/svg" width="10"><title>Plan</title>
    <path d="M0 0L9 9"/><style>x{}</style><text x="1">North <tspan>tower</tspan></text></svg>"""
    assert parse(drawing).text == "Plan\nNorth tower"


def test_known_entities_are_read_without_fetching_a_document_type():
    markup = b'<!DOCTYPE b PUBLIC "-//X" "http://127.0.0.1:9/x.dtd"><b>caf&eacute; &amp; bar</b>'
    assert parse(markup).text == "café & bar"


@pytest.mark.parametrize(
    "subset",
    [
        b'<!ENTITY x SYSTEM "file:///etc/passwd">',
        b'<!ENTITY x "words">',
        b'<!ENTITY % p SYSTEM "http://127.0.0.1:9/x">',
    ],
)
def test_entities_of_its_own_are_refused(subset):
    with pytest.raises(RefusedError, match="entities"):
        parse(b"<!DOCTYPE a [" + subset + b"]><a>b</a>")


def test_entities_in_entities_are_never_expanded():
    levels = b"".join(b'<!ENTITY e%d "%s">' % (n, b"&e%d;" % (n - 1) * 10) for n in range(1, 12))
    with pytest.raises(RefusedError):
        parse(b'<!DOCTYPE a [<!ENTITY e0 "x">' + levels + b"]><a>&e11;</a>")


@pytest.mark.parametrize("data", [b"<a>", b"<a/><b/>", b"", b"words", b"<a>" * 100_000])
def test_what_is_not_well_formed_is_refused_with_the_place(data):
    with pytest.raises(RefusedError, match="not well-formed"):
        parse(data)


def test_the_declared_encoding_counts():
    declared = '<?xml version="1.0" encoding="iso-8859-1"?><a>Größe</a>'
    assert parse(declared.encode("latin-1")).text == "a: Größe"
    assert "Größe" in parse("<a>Größe</a>".encode("utf-16")).text
