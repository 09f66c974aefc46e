"""Who may read a text, against asking each reader in turn."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.audience import audience, includes
from storage.records import Origin, Titling

LABELS = ["hr", "staff", "board"]

labels = st.frozensets(st.sampled_from(LABELS))
sources = st.lists(
    st.builds(Titling, st.just("A title"), st.sampled_from(Origin), labels), max_size=3
)


def may_read(given_sources: list[Titling], carried: frozenset[str], origin: Origin) -> bool:
    return any(
        source.origin == origin and (not source.read_labels or source.read_labels & carried)
        for source in given_sources
    )


@given(sources, sources)
def test_one_audience_includes_another_if_no_reader_is_left_out(
    wider: list[Titling], narrower: list[Titling]
) -> None:
    # A reader with one label is the hardest to please; one with more may read more of both.
    readers = [frozenset[str](), *(frozenset({label}) for label in [*LABELS, "none of these"])]
    left_out = [
        (reader, origin)
        for reader in readers
        for origin in Origin
        if may_read(narrower, reader, origin) and not may_read(wider, reader, origin)
    ]
    assert includes(audience(wider), audience(narrower)) == (not left_out)


@given(sources)
def test_every_audience_includes_itself_and_that_of_no_source(given_sources: list[Titling]) -> None:
    assert includes(audience(given_sources), audience(given_sources))
    assert includes(audience(given_sources), audience([]))


def test_who_has_one_of_the_labels_of_any_source_is_among_its_readers() -> None:
    first = Titling("", Origin.REAL, frozenset({"hr"}))
    second = Titling("", Origin.REAL, frozenset({"staff", "board"}))
    assert audience([first, second]) == {Origin.REAL: frozenset({"hr", "staff", "board"})}


def test_one_open_source_opens_the_text_and_only_in_its_origin() -> None:
    real = Titling("", Origin.REAL, frozenset({"hr"}))
    synthetic = Titling("", Origin.SYNTHETIC, frozenset())
    expected = {Origin.REAL: frozenset({"hr"}), Origin.SYNTHETIC: None}
    assert audience([real, synthetic]) == audience([synthetic, real]) == expected
