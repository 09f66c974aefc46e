from hypothesis import given
from hypothesis import strategies as st
from support.passages import bag_of_words, passage

from ingest.sentences import sentences
from rag_pipeline.generation.extraction import nearest, quoted
from rag_pipeline.generation.grounding import ground, verify

NAMES = ("Rollo", "Paris", "Eiffel", "é日本", "🐝")
PLAIN = ("tower", "bees", "first", "1889", "1,000", "was", "the", "it", "completed", "not", "never")
words = st.sampled_from((*NAMES, *PLAIN, ".", ",", "(", "\n"))
prose = st.lists(words, max_size=40).map(" ".join) | st.text(max_size=80)
passages = st.lists(st.tuples(prose, st.integers(0, 10_000)), max_size=4).map(
    lambda given: [passage(text, key=key, start=start) for key, (text, start) in enumerate(given)]
)


@given(prose, prose, passages)
def test_every_citation_of_any_answer_is_verbatim_and_in_place(answer, question, shown):
    found = ground(answer, question=question, passages=shown)
    assert [(s.start, s.end) for s in found.sentences] == sentences(answer)
    for citation in found.citations:
        chunk = shown[citation.chunk_id]
        assert verify(citation, chunk.text, chunk.start)
        assert (citation.answer_start, citation.answer_end) in sentences(answer)
        assert 0 < citation.score <= 1.0001


@given(prose, prose, passages)
def test_grounding_is_deterministic(answer, question, shown):
    first = ground(answer, question=question, passages=shown)
    assert first == ground(answer, question=question, passages=list(shown))


@given(prose, passages)
def test_every_sentence_with_words_supports_itself(question, shown):
    for chunk in shown:
        for start, end in sentences(chunk.text):
            text = chunk.text[start:end]
            said = ground(text, question=question, passages=[chunk])
            if sentences(text) == [(0, len(text))] and any(map(str.isalnum, text)):
                assert said.state == "grounded"


@given(prose, passages)
def test_an_extracted_answer_is_made_of_its_verified_quotes(question, shown):
    found = quoted(nearest(question, shown, embed=bag_of_words))
    assert " ".join(citation.quote for citation in found.citations) == found.answer
    for citation in found.citations:
        chunk = shown[citation.chunk_id]
        assert verify(citation, chunk.text, chunk.start)
