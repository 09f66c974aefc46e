import time
from dataclasses import replace

import pytest
from support.passages import bag_of_words, passage

from rag_pipeline.generation.extraction import nearest, quoted
from rag_pipeline.generation.grounding import ground, state_of, verify

TOWER = passage(
    "The Eiffel Tower is a lattice tower in Paris. It was completed on 31 March 1889 by the "
    "company of Gustave Eiffel. Guy de Maupassant never liked the tower. It was the tallest "
    "structure in the world until 1930, when the Chrysler Building in New York was finished.",
    key=1,
    title="Eiffel Tower",
    start=1_000,
)
LIGHTHOUSE = passage(
    "John Smeaton completed the Eddystone Lighthouse in 1759. Its light was visible for thirteen "
    "miles. The keepers did not leave the rock in winter.",
    key=2,
    title="Eddystone",
)
QUESTION = "When was the Eiffel Tower completed?"


def check(answer, *, question=QUESTION, passages=(LIGHTHOUSE, TOWER)):
    return ground(answer, question=question, passages=passages)


def document_slice(chunk, citation):
    return chunk.text[citation.start - chunk.start : citation.end - chunk.start]


@pytest.mark.parametrize(
    "answer",
    [
        "The Eiffel Tower is a lattice tower in Paris.",
        "The tower was completed on 31 March 1889.",
        "The Eiffel Tower was completed on 31 March 1889 by the company of Gustave Eiffel.",
        "John Smeaton completed the lighthouse in 1759.",
        "Its light was visible for 13 miles.",
        "Guy de Maupassant never liked the Eiffel Tower.",
        "the keepers didn't leave the rock in winter",
    ],
)
def test_a_faithful_sentence_is_supported(answer):
    assert check(answer).state == "grounded"


def test_a_pronoun_of_the_source_may_stand_for_the_name_in_the_question():
    answer = "The light of the Eddystone Lighthouse was visible for 13 miles."
    asked = "How far was the light of the Eddystone Lighthouse visible?"
    assert check(answer, question=asked).state == "grounded"
    swapped = answer.replace("Eddystone", "Bell Rock")
    assert check(swapped, question=asked.replace("Eddystone", "Bell Rock")).state == "no_evidence"


@pytest.mark.parametrize(
    "answer",
    [
        "It was completed on 31 March 1899 by the company of Gustave Eiffel.",
        "It was completed on 13 March 1889 by the company of Gustave Eiffel.",
        "It was completed on 31 March 1930 by the company of Gustave Eiffel.",
        "John Smeaton completed the Eddystone Lighthouse in 1889.",
        "Its light was visible for fourteen miles.",
    ],
)
def test_a_changed_number_is_not_supported(answer):
    assert check(answer).state == "no_evidence"


@pytest.mark.parametrize(
    "answer",
    [
        "It was completed on 31 March 1889 by the company of Guy de Maupassant.",
        "The Eiffel Tower is a lattice tower in London.",
        "The Chrysler Building is a lattice tower in Paris.",
        "Gustave Eiffel completed the Eddystone Lighthouse in 1759.",
        "Napoleon completed the Eddystone Lighthouse in 1759.",
        "John Eddystone completed the Smeaton Lighthouse in 1759.",
        "It was the tallest structure until the Eiffel Building in New York was finished in 1930.",
        "The structure was the tallest until 1930, when the Eiffel Building was finished.",
    ],
)
def test_a_swapped_name_is_not_supported(answer):
    assert check(answer).state == "no_evidence"


@pytest.mark.parametrize(
    "answer",
    [
        "The Eiffel Tower is not a lattice tower in Paris.",
        "The Eiffel Tower isn't a lattice tower in Paris.",
        "Guy de Maupassant liked the tower.",
        "Guy de Maupassant always liked the tower.",
        "The keepers did leave the rock in winter.",
        "It was never completed on 31 March 1889 by the company of Gustave Eiffel.",
        "It was the shortest structure in the world until 1930.",
    ],
)
def test_a_claim_turned_into_its_opposite_is_not_supported(answer):
    passages = [TOWER, LIGHTHOUSE]
    passages[0] = replace(TOWER, text=TOWER.text.replace("tallest", "longest"))
    assert check(answer, passages=passages).state == "no_evidence"


@pytest.mark.parametrize(
    "answer",
    [
        "The Eiffel Tower is a lattice tower in Paris, and its garden contains twelve fountains.",
        "The Eiffel Tower is a lattice tower in Paris and attracts millions of paying visitors.",
    ],
)
def test_a_sentence_that_is_half_true_is_not_supported(answer):
    assert check(answer).state == "no_evidence"


def test_one_sentence_from_two_documents_is_not_supported():
    mixed = (
        "John Smeaton completed the Eddystone Lighthouse on 31 March 1889 by the company of Eiffel."
    )
    assert check(mixed).state == "no_evidence"


def test_two_sentences_from_two_documents_are_cited_each_from_its_own():
    answer = "The Eiffel Tower is a lattice tower. John Smeaton completed the lighthouse in 1759."
    found = check(answer)
    assert found.state == "grounded"
    assert [citation.chunk_id for citation in found.citations] == [1, 2]


def test_an_answer_with_one_false_sentence_is_partial_and_says_which():
    answer = (
        "The Eiffel Tower is a lattice tower in Paris. It was painted green by Picasso in 1920."
    )
    found = check(answer)
    assert found.state == "partial"
    assert [sentence.standing for sentence in found.sentences] == ["supported", "unsupported"]


def test_a_citation_quotes_the_document_at_its_offsets_and_the_answer_at_its_own():
    answer = "Here is the answer:\n\nThe tower was completed on 31 March 1889."
    (citation,) = check(answer).citations
    assert citation.quote.startswith("It was completed on 31 March 1889")
    assert document_slice(TOWER, citation) == citation.quote
    assert answer[citation.answer_start : citation.answer_end] == answer.splitlines()[-1]
    assert (citation.source, citation.external_id) == ("/docs/1.txt", "1.txt")
    assert (citation.document_id, citation.chunk_id) == (101, 1)


def test_a_claim_that_needs_two_sentences_quotes_both():
    answer = (
        "The Eiffel Tower is a lattice tower in Paris that was completed on 31 March 1889 by the "
        "company of Gustave Eiffel."
    )
    (citation,) = check(answer).citations
    assert citation.quote == TOWER.text[: TOWER.text.index(" Guy")]


def test_one_sentence_is_quoted_where_one_suffices():
    (citation,) = check("The tower was completed on 31 March 1889.").citations
    assert citation.quote.count(".") == 1


@pytest.mark.parametrize(
    "answer", ["1889", "1889.", "31 March 1889", "In **1889**.", "on March 1889"]
)
def test_a_bare_answer_stands_where_the_question_is_spoken_of(answer):
    (citation,) = check(answer).citations
    assert "1889" in citation.quote


@pytest.mark.parametrize(
    "answer", ["1930.", "1890", "188", "Not 1889.", "13", "Napoleon", "was", "."]
)
def test_a_bare_answer_elsewhere_or_nowhere_is_not_supported(answer):
    assert check(answer).state == "no_evidence"


def test_a_bare_answer_that_the_source_denies_is_not_supported():
    source = passage("The treaty was signed in Rome, not in Vienna.", title="Treaty")
    question = "Where was the treaty signed?"
    assert check("Rome", question=question, passages=[source]).state == "grounded"
    assert check("Vienna", question=question, passages=[source]).state == "no_evidence"


def test_yes_stands_only_if_the_question_itself_is_supported():
    assert check("Yes.", question="Is the Eiffel Tower a lattice tower?").state == "grounded"
    assert check("Yes, it is.", question="Is the Eiffel Tower a lattice tower?").state == "grounded"
    assert check("Yes.", question="Is the Eiffel Tower a brick tower?").state == "no_evidence"
    assert check("Yes.", question="Did Maupassant like the tower?").state == "no_evidence"
    assert check("Yes.", question=QUESTION).state == "no_evidence"


@pytest.mark.parametrize("answer", ["No.", "no", "No, it is not."])
def test_a_mere_no_is_never_supported(answer):
    assert check(answer, question="Is the Eiffel Tower a lattice tower?").state == "no_evidence"


@pytest.mark.parametrize(
    "answer",
    [
        "I don't know.",
        "I do not know the answer to this question.",
        "I cannot find the answer in the passages.",
        "I’m sorry, but I can’t answer that.",
        "The passages do not say.",
        "The passages do not say when the Eiffel Tower was completed.",
        "The provided context does not contain information about the Eiffel Tower.",
        "There is no information about this.",
        "This is not mentioned in the given text.",
    ],
)
def test_a_refusal_is_no_evidence(answer):
    found = check(answer)
    assert found.state == "no_evidence"
    assert "refusal" in {sentence.standing for sentence in found.sentences}


@pytest.mark.parametrize(
    "filler", ["Here is the answer:", "Sure!", "The answer is:", "I hope this helps!", "😀", "***"]
)
def test_a_filler_counts_neither_way(filler):
    fact = "The Eiffel Tower is a lattice tower in Paris."
    assert check(f"{filler}\n\n{fact}").state == "grounded"
    assert check(filler).state == "no_evidence"


@pytest.mark.parametrize(
    "lead_in",
    ["Based on the passages, ", "According to the provided context, ", "The answer is: ", "Yes, "],
)
def test_a_lead_in_and_passage_numbers_do_not_stand_in_the_way(lead_in):
    answer = f"{lead_in}the tower was completed on 31 March 1889 [2]."
    assert check(answer).state == "grounded"


@pytest.mark.parametrize("answer", ["", " \n ", "\u200b"])
def test_an_empty_answer_is_no_evidence(answer):
    found = check(answer)
    assert found.state == "no_evidence"
    assert found.citations == ()


def test_without_passages_nothing_is_supported():
    assert check("The Eiffel Tower is in Paris.", passages=[]).state == "no_evidence"


def test_offsets_count_code_points_beyond_the_basic_plane_and_with_combining_marks():
    source = passage(
        "🗼🗼 Prix élevé! Cafe\u0301 Zoë 🐝 opened at 9:30 in 日本. More follows.", start=7
    )
    answer = "🙂 Hm. Café Zoë opened at 9:30 in 日本."
    (citation,) = check(answer, question="When did Café Zoë open?", passages=[source]).citations
    assert citation.quote == "Cafe\u0301 Zoë 🐝 opened at 9:30 in 日本."
    assert document_slice(source, citation) == citation.quote
    assert answer[citation.answer_start : citation.answer_end].startswith("Café")


def test_a_sentence_that_the_chunk_cuts_off_is_quoted_only_as_far_as_it_goes():
    cut = passage("e the war. The bridge was opened in 1932 by the prem", start=50)
    (citation,) = check("The bridge was opened in 1932.", passages=[cut]).citations
    assert citation.quote == "The bridge was opened in 1932 by the prem"
    assert citation.end == cut.end


def test_verify_refuses_a_quote_that_crosses_the_edge_of_its_chunk_or_stands_elsewhere():
    (citation,) = check("The Eiffel Tower is a lattice tower in Paris.").citations
    assert verify(citation, TOWER.text, TOWER.start)
    assert not verify(citation, TOWER.text, TOWER.start + 1)
    assert not verify(citation, TOWER.text[:20], TOWER.start)
    assert not verify(citation, TOWER.text.replace("Paris", "Spain"), TOWER.start)
    assert not verify(replace(citation, quote="", end=citation.start), TOWER.text, TOWER.start)
    # A slice from before the chunk must not wrap round to its end.
    tail = TOWER.text[-4:]
    before = replace(citation, quote=tail, start=TOWER.start - 4, end=TOWER.start)
    assert not verify(before, TOWER.text, TOWER.start)


def test_the_state_of_no_sentences_and_of_fillers_is_no_evidence():
    assert state_of([]) == state_of(["filler"]) == "no_evidence"
    assert state_of(["supported", "filler"]) == "grounded"
    assert state_of(["supported", "refusal"]) == "partial"


def test_two_hundred_sentences_are_checked_quickly_and_each_on_its_own():
    fact = "The Eiffel Tower is a lattice tower in Paris."
    answer = " ".join([fact, "Penguins wrote it in 1850."] * 100)
    began = time.process_time()
    found = check(answer)
    assert time.process_time() - began < 5
    assert [sentence.standing for sentence in found.sentences] == ["supported", "unsupported"] * 100


@pytest.mark.parametrize("babble", ["I do not ", "no information ", "(( ", "Yes ", "Paris 1889 "])
def test_a_model_that_repeats_itself_forever_costs_linear_time(babble):
    began = time.process_time()
    assert check(babble * 10_000).state == "no_evidence"
    assert time.process_time() - began < 5


def test_of_equal_passages_the_first_is_cited():
    twin = replace(TOWER, chunk_id=9)
    (citation,) = check("The Eiffel Tower is a lattice tower.", passages=[TOWER, twin]).citations
    assert citation.chunk_id == TOWER.chunk_id


def test_extract_answers_with_verbatim_sentences_that_ground_themselves():
    question = "How far was the light of the Eddystone Lighthouse visible?"
    found = quoted(nearest(question, [TOWER, LIGHTHOUSE], embed=bag_of_words))
    assert "thirteen miles" in found.answer
    assert found.state == "grounded"
    for citation in found.citations:
        assert found.answer[citation.answer_start : citation.answer_end] == citation.quote
        assert document_slice(LIGHTHOUSE, citation) == citation.quote
    assert check(found.answer, question=question).state == "grounded"


def test_extract_prefers_an_answer_to_a_heading_or_a_question():
    source = passage(
        "Green tea oxidised\n\nIs green tea oxidised? Green tea is not oxidised at all."
    )
    found = quoted(nearest("Is green tea oxidised?", [source], embed=bag_of_words), limit=1)
    assert found.answer == "Green tea is not oxidised at all."


def test_extract_gives_a_sentence_that_two_chunks_share_once():
    source = passage("The bridge was opened in 1932.")
    twin = replace(source, chunk_id=2)
    found = quoted(nearest("When was the bridge opened?", [source, twin], embed=bag_of_words))
    assert found.answer == "The bridge was opened in 1932."


def test_extract_from_nothing_is_empty():
    assert quoted(nearest("Why?", [], embed=bag_of_words)).answer == ""
    assert quoted(nearest("Why?", [passage(" ")], embed=bag_of_words)).state == "no_evidence"
