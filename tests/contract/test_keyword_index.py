"""What every `KeywordIndex` does, and what BM25F adds: exact statistics and a file."""

import random
import sys
import threading
from functools import partial

import pytest
from support.entries import Passage, ids, reference_bm25, text_entries
from support.growth import grows_no_faster_than_its_size

from storage.keyword_index import bm25
from storage.keyword_index.analysis import analyse
from storage.keyword_index.bm25 import Bm25Index
from storage.keyword_index.interpretation import MOST_TERMS
from storage.keyword_index.query import parse
from storage.records import BEGINNING, KeywordClause, Position

NOTHING = ids()
TREES = {
    1: ("", "The ash grows beside the river."),
    2: ("", "Birch and ash, ash and birch."),
    3: ("Cedars", "They grow in the mountains of Lebanon."),
    4: ("", "Nothing of the kind."),
}
PHRASES = {
    key: ("", text)
    for key, text in enumerate(
        [
            "the state of the art in search",
            "state art",
            "art of the state",
            "the art. State of nature",
            "a state of any art",
            "states in the arts",
        ],
        start=1,
    )
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keywords.index"


@pytest.fixture(params=[Bm25Index])
def make(request, path):
    return partial(request.param, path)


def put(index, texts, *, removed=NOTHING, generation=1):
    position = Position(generation, f"token {generation}")
    index.apply(removed=removed, added=text_entries(texts), position=position)


def found(index, query, limit=10, allowed=None):
    return [(hit.chunk_id, hit.score) for hit in index.search(query, limit=limit, allowed=allowed)]


def keys_of(hits):
    return [key for key, _ in hits]


def plain(texts):
    """Texts without a title, numbered from 1."""
    return {key: ("", text) for key, text in enumerate(texts, start=1)}


def test_an_empty_index_stands_at_the_beginning_and_finds_nothing(make):
    index = make()
    assert (index.applied, index.keys().tolist()) == (BEGINNING, [])
    assert found(index, "ash") == []


def test_only_chunks_that_share_a_word_are_found_best_first(make):
    put(index := make(), TREES)
    assert keys_of(found(index, "ash")) == [2, 1]
    assert keys_of(found(index, "growing ashes")) == [1, 2, 3]
    assert found(index, "oak") == found(index, "the of and") == found(index, "") == []
    assert found(index, "ash", limit=0) == []


def test_a_title_counts_and_counts_more_than_the_text(make):
    put(index := make(), {**TREES, 5: ("", "A cedar, they say, grows on the coast.")})
    assert keys_of(found(index, "cedar")) == [3, 5]


def test_a_word_that_is_repeated_in_the_query_counts_once(make):
    put(index := make(), TREES)
    assert found(index, "ash ash ash birch") == found(index, "birch ash")


def test_equal_scores_come_by_key_at_the_cut_as_well(make):
    put(index := make(), {key: ("", f"pine number{key % 7}") for key in range(900, 0, -1)})
    assert keys_of(found(index, "pine", 5)) == [1, 2, 3, 4, 5]


def test_the_ranking_is_that_of_the_formula(make):
    texts = {
        key: ("" if key % 3 else "fir tree", " ".join(f"w{key * step % 13}" for step in range(9)))
        for key in range(1, 400)
    }
    put(index := make(), texts)
    query = "w1 w5 fir w12 missing"
    assert found(index, query, 1000) == reference_bm25(texts, query)


def test_a_removed_chunk_counts_in_no_statistic(make):
    put(index := make(), {**TREES, 5: ("ash", "ash ash"), 6: ("", "birch " * 50)})
    put(index, {}, removed=ids(5, 6, 4711), generation=2)
    assert index.keys().tolist() == [1, 2, 3, 4]
    assert found(index, "ash birch cedar") == reference_bm25(TREES, "ash birch cedar")


def test_a_key_that_comes_again_replaces_what_it_had(make):
    put(index := make(), TREES)
    put(index, {2: ("", "oak")}, generation=2)
    assert keys_of(found(index, "oak")) == [2]
    assert keys_of(found(index, "ash")) == [1]


@pytest.mark.parametrize("allowed", [(), (1,), (2, 3), (1, 2, 3, 4), (77,)])
def test_a_narrowed_search_loses_no_result_and_scores_alike(make, allowed):
    put(index := make(), TREES)
    whole = found(index, "ash grows")
    narrowed = [hit for hit in whole if hit[0] in allowed]
    assert found(index, "ash grows", allowed=ids(*allowed)) == narrowed
    assert found(index, "ash grows", limit=1, allowed=ids(*allowed)) == narrowed[:1]


def test_reset_forgets_everything(make):
    put(index := make(), TREES)
    index.publish()
    index.reset()
    assert (index.applied, index.keys().tolist()) == (BEGINNING, [])
    assert found(index, "ash") == []


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("The children's running shoes", "child's shoe runs"),
        ("COVID-19 in 2020", "covid-19"),
        ("COVID-19 in 2020", "covid"),
        ("about 1,000 of them", "1000"),
        ("π is 3.14 or so", "3.14"),
        ("a café in Zürich", "cafe zurich"),
        ("a cafe in Zurich", "CAFÉ ZÜRICH"),
        ("die Straße", "STRASSE"),
        ("ﬁne ｆｕｌｌ ｗｉｄｔｈ", "fine width"),
        ("don’t panic", "don't"),
        ("O'Neil's theorem", "o’neil"),
        ("call read_file_at now", "read file"),
        ("東京都に行く", "東京"),
        ("我喜歡喝水", "水"),
        ("データベースの設計", "ﾃﾞｰﾀﾍﾞｰｽ"),
        ("한국어 검색", "한국"),
        ("हिन्दी में लिखा है", "हिन्दी"),
        ("ภาษาไทยเขียนติดกัน", "ไทย"),
        ("שָׁלוֹם עולם", "שלום"),
        ("Ёлка и ёжик", "елка"),
    ],
)
def test_a_word_is_found_however_it_is_written(make, text, query):
    put(index := make(), plain([text, "something else"]))
    assert keys_of(found(index, query)) == [1]


@pytest.mark.parametrize(
    ("text", "query"),
    [("3.14", "14"), ("1,000", "000"), ("हिन्दी", "हिन्दू"), ("data", "date"), ("covid-19", "19.5")],
)
def test_what_only_looks_alike_is_not_found(make, text, query):
    put(index := make(), plain([text]))
    assert found(index, query) == []


def test_numbers_keep_their_digits_together():
    assert analyse("1,234,567.89 10.1038/x 1,2,3 2.5mg 1999.") == [
        *["1234567.89", "10.1038", "x", "1", "2", "3", "2.5", "mg", "1999"]
    ]


@pytest.mark.parametrize(
    "unit",
    ["a", "wörter und ", "1,", "1.", "'a", "東京", "\u0301", "क्", "x1,000", "-_'", "a\u0301"],
)
def test_the_time_of_a_query_grows_with_its_length_alone(make, unit):
    put(index := make(), plain(["ash and 東京", "a 1 x", "wörter"]))
    assert grows_no_faster_than_its_size(
        lambda length: found(index, (unit * length)[:length] + " ash"), 100_000
    )


def test_the_first_terms_of_an_endless_query_decide(make):
    put(index := make(), plain(["first", "last", "both first and last"]))
    filler = " ".join(f"filler{number}" for number in range(MOST_TERMS - 1))
    assert keys_of(found(index, f"first {filler} last")) == [1, 3]


def test_a_word_of_any_length_can_be_held(make):
    put(index := make(), plain(["x" * 100_000, "plain"]))
    assert keys_of(found(index, "x" * 64)) == [1]


@pytest.fixture
def eager_threads():
    """Threads take turns a hundred times as often as they would, so that races show."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(5e-5)
    yield
    sys.setswitchinterval(usual)


def test_searches_in_threads_see_one_state_or_the_next_and_never_go_back(make, eager_threads):
    steps = [
        ({100 * step + n: ("", f"ash {'elm ' * n}") for n in range(9)}, ids(*range(60 * step)))
        for step in range(1, 31)
    ]
    states, index = [[]], make()
    for generation, (added, removed) in enumerate(steps, start=1):
        put(index, added, removed=removed, generation=generation)
        states.append(found(index, "ash elm"))
    index.reset()
    done, observed, start = threading.Event(), [[], [], [], []], threading.Barrier(5)

    def watch(seen):
        start.wait()
        is_last = False
        while not is_last:
            is_last = done.is_set()
            before, result = index.applied, found(index, "ash elm")
            seen.append((before.generation, result, index.applied.generation))

    watchers = [threading.Thread(target=watch, args=(seen,)) for seen in observed]
    for watcher in watchers:
        watcher.start()
    start.wait()
    for generation, (added, removed) in enumerate(steps, start=1):
        put(index, added, removed=removed, generation=generation)
        index.publish()
    done.set()
    for watcher in watchers:
        watcher.join()
    assert len({str(state) for state in states}) == 31
    for seen in observed:
        order = [states.index(result) for _, result, _ in seen]
        assert order == sorted(order)
        assert order[-1] == 30
        for (before, _, after), state in zip(seen, order, strict=True):
            assert before <= state <= after


def test_a_heading_is_searched_and_a_long_one_says_less(make):
    texts = {
        1: Passage("grows here", headings=("Oaks",)),
        2: Passage("grows here", headings=("Oaks", "and all the other trees of the forest")),
        3: Passage("grows here"),
    }
    put(index := make(), texts)
    assert found(index, "oak") == reference_bm25(texts, "oak")
    assert keys_of(found(index, "oak")) == [1, 2]


@pytest.mark.parametrize("limit", [1, 7, 100, 10_000])
def test_the_ranking_of_many_chunks_is_that_of_the_formula_at_any_limit(make, limit):
    rng = random.Random(limit)
    words = [f"w{number}" for number in range(40)]

    def some(most):
        return " ".join(rng.choices(words, range(40, 0, -1), k=rng.randint(0, most)))

    texts = {
        key: Passage(some(60), title=some(5), headings=(some(3), some(8))) for key in range(3_000)
    }
    put(index := make(), texts)
    query = "w1 w3 w20 w38 w39"
    assert found(index, query, limit) == reference_bm25(texts, query)[:limit]


def test_counts_of_any_size_are_kept(make):
    texts = {
        1: Passage("ash " * 14, title="ash " * 3, headings=("ash",) * 3),
        2: Passage("ash " * 15, title="ash " * 3, headings=("ash",) * 3),
        3: Passage("ash " * 70_000, title="ash " * 4, headings=("ash",) * 300),
        4: Passage("ash " * 16),
        5: Passage("elm"),
    }
    put(index := make(), texts)
    put(index, {6: Passage("elm")}, removed=ids(5), generation=2)
    assert found(index, "ash") == reference_bm25({**texts, 5: Passage("elm")}, "ash")
    explained = index.explain("ash", ids(3))[3][0]
    assert explained.counts == {"title": 4, "headings": 300, "text": 70_000}


@pytest.mark.parametrize(
    "query",
    ["art", "state of the search", "+state art", "art -state", '"state art"', "-art", "oak"],
)
def test_the_scores_of_given_chunks_are_those_that_a_search_gives(make, query):
    index = make()
    put(index, dict(list(PHRASES.items())[:3]))
    put(index, dict(list(PHRASES.items())[2:]), removed=ids(2), generation=2)
    scored = dict(found(index, parse(query), 100))
    asked_for = ids(1, 2, 3, 5, 6, 99)
    expected = [scored.get(key, 0.0) for key in asked_for.tolist()]
    assert index.scores(parse(query), asked_for).tolist() == expected
    assert index.scores(parse(query), ids()).tolist() == []


# Operators.


def asked(index, query):
    return sorted(keys_of(found(index, parse(query))))


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        # What holds a sentence together is not held, so that any word may stand in its place.
        ('"state of the art"', [1, 5, 6]),
        ('"state art"', [2]),
        ('"art state"', [4]),
        ('"state of nature"', [4]),
        ('"the state"', [1, 2, 3, 4, 5, 6]),
        ('"state of the union"', []),
        ('"of the"', []),
        ('+art -"state of the art"', [2, 3, 4]),
        ("+nature +art", [4]),
        ("+nature search", [4]),
        ("art -search -nature", [2, 3, 5, 6]),
        ("-search", []),
        ("+the +nature", [4]),
        ("+unicorn art", []),
        ("art -unicorn", [1, 2, 3, 4, 5, 6]),
        ("+art -art", []),
        ("sea*", [1]),
        ("+n* +art", []),
        ("+nat* art", [4]),
        ("natures*", [4]),
        ("art -sea* -nat*", [2, 3, 5, 6]),
        ('"state art', [1, 2, 3, 4, 5, 6]),
        ('- + nature * "', [4]),
    ],
)
def test_operators_do_what_they_say(make, query, keys):
    put(index := make(), PHRASES)
    assert asked(index, query) == keys


def test_a_phrase_never_spans_two_fields_or_two_headings(make):
    put(
        index := make(),
        {
            1: Passage("fir", title="oak"),
            2: Passage("ash", headings=("oak", "fir")),
            3: Passage("x", headings=("oak fir",)),
            4: Passage("a b oak fir c oak fir", title="oak fir"),
        },
    )
    assert asked(index, '"oak fir"') == [3, 4]
    counts = index.explain(parse('"oak fir"'), ids(3, 4))
    assert counts[3][0].counts == {"title": 0, "headings": 1, "text": 0}
    assert counts[4][0].counts == {"title": 1, "headings": 0, "text": 2}


def test_a_phrase_of_unspaced_text_is_found_in_order_only(make):
    put(index := make(), plain(["東京都に行く", "京都と東", "都東京"]))
    assert asked(index, '"東京都"') == [1]
    assert asked(index, '"東京"') == [1, 3]
    assert asked(index, "+東京都") == [1]


def test_a_required_word_with_parts_is_required_as_a_whole(make):
    put(index := make(), plain(["covid-19 spreads", "19 cases of covid", "covid"]))
    assert asked(index, "+covid-19") == [1]
    assert asked(index, "covid -covid-19") == [2, 3]


def test_a_phrase_scores_by_its_own_frequency(make):
    texts = plain(["oak fir", "fir oak", "oak", "fir"])
    put(index := make(), texts)
    one_word = {1: ("", "oakfir x"), 2: ("", "fir oak"), 3: ("", "oak"), 4: ("", "fir")}
    assert found(index, parse('"oak fir"')) == reference_bm25(one_word, "oakfir")


def test_a_clause_weighs_what_it_says(make):
    put(index := make(), TREES)
    once = dict(found(index, "ash"))
    twice = dict(found(index, [KeywordClause(text="ash", weight=2.0)]))
    assert twice == pytest.approx({key: 2 * score for key, score in once.items()}, abs=2e-6)
    both = [KeywordClause(text="ash", weight=0.5), KeywordClause(text="ashes", weight=2.0)]
    assert dict(found(index, both)) == twice


def test_all_words_of_a_prefix_count_as_one_term(make):
    texts = plain(["computer computing", "compass", "company", "other", "come", "other"])
    put(index := make(), texts)
    as_one = plain(["comp comp", "comp", "comp", "other", "come", "other"])
    assert found(index, parse("comp*")) == reference_bm25(as_one, "comp")


@pytest.mark.parametrize("others", [0, 2_000])
def test_a_prefix_scores_alike_in_a_few_chunks_and_in_many(make, others):
    rest = dict.fromkeys(range(100, 100 + others), ("", "other"))
    texts = {**plain(["computer computing", "compass", "come", "company compass"]), **rest}
    put(index := make(), texts)
    as_one = {**plain(["comp comp", "comp", "come", "comp comp"]), **rest}
    assert found(index, parse("comp*")) == reference_bm25(as_one, "comp")


# Spelling.


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("vector retrieval", "retreival"),
        ("a quantised index", "quantisd"),
        ("the algorithm", "algoritm"),
        ("chlorofluorocarbon", "clorofluorocarbn"),
        ("Übersetzung", "ubersetzugn"),
    ],
)
def test_a_misspelt_word_stands_for_the_nearest_but_counts_less(make, text, query):
    put(index := make(), plain([text, "something else", "and more"]))
    right = dict(found(index, text))
    assert keys_of(found(index, query)) == [1]
    assert found(index, query)[0][1] < max(right.values())


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("2019 results", "2018"),
        ("version 1.2345678", "1.2345679"),
        ("covid19a", "covid19b"),
        ("cat", "car"),
        ("bright", "flight"),
        ("東京都", "東京部京"),
    ],
)
def test_what_is_no_misspelling_is_not_corrected(make, text, query):
    put(index := make(), plain([text]))
    common = set(analyse(text)) & set(analyse(query))
    assert bool(found(index, query)) == bool(common)


def test_a_word_that_some_chunk_has_is_no_misspelling(make):
    put(index := make(), plain(["planets", "planers", "plan"]))
    assert keys_of(found(index, "planer")) == [2]
    assert keys_of(found(index, "planet planer")) == [1, 2]


def test_a_word_that_is_required_or_excluded_is_meant_as_it_is(make):
    put(index := make(), plain(["retrieval and more", "more"]))
    assert asked(index, "+retreival") == []
    assert asked(index, "more -retreival") == [1, 2]


def test_a_correction_is_never_a_word_of_removed_chunks_alone(make):
    put(index := make(), {**plain(["retrieval", "pine", "birch"]), **TREES})
    put(index, {}, removed=ids(1), generation=2)
    assert found(index, "retreival") == []


def test_a_correction_that_is_asked_for_anyway_counts_once(make):
    put(index := make(), plain(["retrieval", "other"]))
    assert found(index, "retreival retrieval") == found(index, "retrieval")


# Languages.

GERMAN = "Die Häuser der Stadt waren über und über mit Efeu bewachsen"
FRENCH = "L'administration générale des écoles qu'il aimait"
RUSSIAN = "Красивые деревья растут в городских парках"


@pytest.mark.parametrize(
    ("language", "text", "query"),
    [
        ("de", GERMAN, "haus"),
        ("de", GERMAN, "Städte"),
        ("fr", FRENCH, "école"),
        ("fr", FRENCH, "ecoles"),
        ("fr", FRENCH, "administrations"),
        ("fr", FRENCH, "généralement"),
        ("ru", RUSSIAN, "дерево"),
        ("ru", RUSSIAN, "красивый парк"),
        ("es", "Las canciones más bonitas", "cancion"),
        ("zh", "running 服务器 servers", "server"),
        (None, "running servers", "server runs"),
    ],
)
def test_a_word_is_found_in_its_forms_by_the_language_of_the_text(make, language, text, query):
    put(index := make(), {1: Passage(text, language=language), 2: Passage("xyz")})
    assert keys_of(found(index, query)) == [1]


@pytest.mark.parametrize(
    ("language", "text", "query"),
    [("de", GERMAN, "die und der mit"), ("fr", FRENCH, "l qu des"), ("ru", RUSSIAN, "в")],
)
def test_words_that_only_hold_sentences_together_are_left_out(make, language, text, query):
    put(index := make(), {1: Passage(text, language=language)})
    assert found(index, query) == []


def test_one_query_finds_texts_of_all_languages(make):
    texts = {
        1: Passage("Information retrieval systems", language="en"),
        2: Passage("Systeme der Informationssuche, Retrieval", language="de"),
        3: Passage("les systèmes de recherche", language="fr"),
        4: Passage("nothing"),
    }
    put(index := make(), texts)
    assert sorted(keys_of(found(index, "Systeme"))) == [1, 2, 3]
    assert keys_of(found(index, "recherches")) == [3]
    assert sorted(keys_of(found(index, "Systeme retrieval"))) == [1, 2, 3]


def test_a_stop_word_of_the_language_of_the_query_is_left_out_of_it(make):
    texts = {
        1: Passage("to die in the sea", language="en"),
        2: Passage("die Katze schläft", language="de"),
        3: Passage("ein Hund", language="de"),
    }
    put(index := make(), texts)
    assert keys_of(found(index, "die Katze")) == [2]
    assert keys_of(found(index, "to die in the water")) == [1]


def test_a_phrase_is_read_in_the_language_of_each_text(make):
    texts = {
        1: Passage("to die hard", language="en"),
        2: Passage("die hard", language="de"),
        3: Passage("hard to die", language="en"),
    }
    put(index := make(), texts)
    assert asked(index, '"die hard"') == [1, 2]


def test_the_ranking_of_one_language_is_that_of_the_formula(make):
    texts = {
        key: Passage(f"{GERMAN} {'Häuser ' * (key % 5)}", title="Stadt", language="de")
        for key in range(1, 30)
    }
    put(index := make(), texts)
    assert found(index, "Haus Stadt und", 50) == reference_bm25(texts, "Haus Stadt und")


# What else it tells.


def test_the_terms_of_an_explanation_add_up_to_the_score(make):
    put(index := make(), {**TREES, 5: Passage("ash", headings=("Birch",), title="River ash")})
    query = "Ashes, birch river CEDAR the"
    explained = index.explain(query, ids(1, 2, 3, 4, 5, 99))
    assert list(explained) == [1, 2, 3, 4, 5]
    sums = {key: round(sum(match.score for match in of), 6) for key, of in explained.items()}
    assert {key: score for key, score in sums.items() if score} == dict(found(index, query))
    assert [match.term for match in explained[2]] == ["birch", "ashes"]
    assert explained[4] == []
    counts = {match.term: match.counts for match in explained[5]}
    assert counts["ashes"] == {"title": 1, "headings": 0, "text": 1}
    assert counts["birch"] == {"title": 0, "headings": 1, "text": 0}


def test_document_frequencies_are_of_live_chunks(make):
    put(index := make(), TREES)
    words = ["ash", "Ashes", "birch", "the", "oak", "", "ash birch", "ash-birch"]
    assert index.document_frequencies(words) == {
        **{"ash": 2, "Ashes": 2, "birch": 1, "the": 0, "oak": 0, "": 0},
        **{"ash birch": 0, "ash-birch": 0},
    }
    put(index, {}, removed=ids(1), generation=2)
    assert (index.count, index.document_frequencies(["ash"])) == (3, {"ash": 1})


def test_a_fork_goes_its_own_way_and_writes_no_file(make, path):
    put(index := make(), TREES)
    fork = index.fork()
    put(fork, {9: ("", "oak")}, removed=ids(1), generation=2)
    put(index, {8: ("", "elm")}, generation=3)
    assert (found(index, "oak"), keys_of(found(fork, "oak"))) == ([], [9])
    assert (keys_of(found(index, "elm")), found(fork, "elm")) == ([8], [])
    assert found(index, "ash") == reference_bm25({**TREES, 8: ("", "elm")}, "ash")
    fork.publish()
    assert not path.exists()


# From here on: the file.


def test_a_published_index_is_the_same_when_it_is_opened_again(path):
    put(index := Bm25Index(path), TREES)
    put(index, {9: ("Ashes", "to ashes")}, removed=ids(1), generation=2)
    before = found(index, "ash grows")
    index.publish()
    again = Bm25Index(path)
    assert again.applied == Position(2, "token 2")
    assert found(again, "ash grows") == found(index, "ash grows") == before
    put(again, TREES, removed=ids(9), generation=3)
    assert found(again, "ash grows") == reference_bm25(TREES, "ash grows")


def test_an_index_that_lost_everything_can_be_published_and_filled_again(path):
    put(index := Bm25Index(path, publish_after=0), TREES)
    put(index, {}, removed=ids(1, 2, 3, 4), generation=2)
    index.publish()
    again = Bm25Index(path)
    assert (again.applied, again.keys().tolist()) == (Position(2, "token 2"), [])
    put(again, TREES, generation=3)
    assert found(again, "ash") == reference_bm25(TREES, "ash")


def test_a_damaged_file_counts_as_empty_and_is_reported(path, caplog):
    put(index := Bm25Index(path), TREES)
    index.publish()
    whole = bytearray(path.read_bytes())
    whole[-100] ^= 1
    path.write_bytes(whole)
    assert Bm25Index(path).applied == BEGINNING
    assert "damaged" in caplog.text


def test_a_file_of_another_analysis_is_not_used(path, caplog, monkeypatch):
    put(index := Bm25Index(path), TREES)
    index.publish()
    monkeypatch.setattr(bm25, "ANALYSIS", "another stemmer")
    assert Bm25Index(path).applied == BEGINNING
    assert "other settings" in caplog.text


def test_a_file_of_vectors_is_no_keyword_index(path, caplog):
    put(index := Bm25Index(path), TREES)
    index.publish()
    path.write_bytes(path.read_bytes().replace(b"keywords/bm25f", b"vectors/flat!!"))
    assert Bm25Index(path).applied == BEGINNING
    assert str(path) in caplog.text
