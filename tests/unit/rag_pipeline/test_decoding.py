"""The loop over tokens with a rule for a model: what is read, shared, kept and guessed."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fake_forward import WORDS, ListPast, RuleForward

from rag_pipeline.errors import GenerationError
from rag_pipeline.generation.batching import Batcher
from rag_pipeline.generation.choosing import chooser
from rag_pipeline.generation.decoding import Decoder
from rag_pipeline.generation.forward import Run
from rag_pipeline.generation.language_model import GREEDY, Sampling
from rag_pipeline.generation.lookup import Lookup, Trust
from rag_pipeline.generation.prefixes import Prefixes

if TYPE_CHECKING:
    from torch import Tensor

NOTHING_ENDS: frozenset[int] = frozenset()
prompts = st.lists(st.integers(0, WORDS - 1), min_size=1, max_size=40)


def alone(forward: RuleForward, prompt: Sequence[int], limit: int) -> list[int]:
    """What the rule says, a token at a time."""
    tokens = list(prompt)
    for _ in range(limit):
        tokens.append(forward.following(tokens))
    return tokens[len(prompt) :]


def decoder(
    forward: RuleForward,
    *,
    drafter: RuleForward | None = None,
    ends: frozenset[int] = NOTHING_ENDS,
    kept: int = 10_000,
) -> Decoder[ListPast]:
    return Decoder(forward, drafter=drafter, end_tokens=ends, kept_bytes=kept)


@settings(max_examples=40)
@given(
    st.lists(prompts, min_size=1, max_size=5),
    st.integers(1, 30),
    st.integers(1, 7),
    st.integers(1, 9),
)
def test_whatever_is_guessed_or_kept_the_tokens_are_those_of_the_model(
    asked: list[list[int]], limit: int, period: int, drafted: int
) -> None:
    forward = RuleForward(period=period)
    ours = decoder(forward, drafter=RuleForward(period=drafted), kept=60)
    for prompt in [*asked, *asked]:
        made = list(ours.tokens(prompt, chooser(GREEDY), limit=limit))
        assert made == alone(forward, prompt, limit)


def test_an_answer_that_goes_on_as_the_prompt_did_takes_few_passes() -> None:
    forward = RuleForward(period=1)
    prompt = list(range(WORDS)) * 2
    constant = [5] * 20
    made = list(decoder(forward).tokens([*prompt, *constant], chooser(GREEDY), limit=40))
    assert made == [5] * 40
    assert len(forward.passes) < 8


@pytest.mark.parametrize("limit", [1, 2, 3, 9])
def test_no_more_is_guessed_than_may_still_be_said(limit: int) -> None:
    forward = RuleForward(period=1)
    made = list(decoder(forward).tokens([5] * 20, chooser(GREEDY), limit=limit))
    assert made == [5] * limit
    assert sum(tokens for (tokens,) in forward.passes) <= 20 + limit - 1


def test_an_end_inside_a_guess_ends_the_answer_there() -> None:
    forward = RuleForward(period=1)
    prompt = [1, 2, 3, 4, 1, 2]
    forward.following = lambda tokens: tokens[-4]
    ours = decoder(forward, ends=frozenset({1}))
    assert list(ours.tokens(prompt, chooser(GREEDY), limit=40)) == [3, 4]


def test_a_drafter_that_is_right_saves_most_passes_and_a_wrong_one_is_asked_no_more() -> None:
    prompt, limit = [3], 40
    for period, passes in ((7, 12), (1, 42)):
        forward, drafter = RuleForward(), RuleForward(period=period)
        made = list(decoder(forward, drafter=drafter).tokens(prompt, chooser(GREEDY), limit=limit))
        assert made == alone(forward, prompt, limit)
        assert len(forward.passes) <= passes
        assert len(drafter.passes) < 40


def test_a_draft_that_breaks_off_leaves_nothing_of_it_for_the_next_answer() -> None:
    class Breaking(RuleForward):
        def __call__(self, runs: Sequence[Run[ListPast]]) -> "list[Tensor]":
            if len(self.passes) == 2:
                raise KeyboardInterrupt
            return super().__call__(runs)

    forward, drafter = RuleForward(), Breaking(period=3)
    ours = decoder(forward, drafter=drafter)
    prompt = list(range(20))
    with pytest.raises(KeyboardInterrupt):
        list(ours.tokens(prompt, chooser(GREEDY), limit=30))
    drafter.passes.clear()
    again = decoder(forward)
    again._prefixes = ours._prefixes
    expected = alone(forward, prompt, 30)
    assert list(again.tokens(prompt, chooser(GREEDY), limit=30)) == expected
    assert [kept.tokens for kept in ours._prefixes._kept] == [(*prompt, *expected[:-1])]


def test_drafts_and_guesses_leave_a_sampled_answer_as_the_seed_makes_it() -> None:
    def answer(seed: int, drafter: RuleForward | None, forgets: bool) -> list[int]:
        forward = RuleForward()
        forward.forgets = forgets
        hot = Sampling(temperature=0.4, seed=seed)
        return list(decoder(forward, drafter=drafter).tokens([5] * 9, chooser(hot), limit=30))

    plain = [answer(seed, None, forgets=False) for seed in range(8)]
    assert [answer(seed, RuleForward(), forgets=True) for seed in range(8)] == plain
    assert len({tuple(tokens) for tokens in plain}) == 8


def test_a_prompt_is_read_once_and_then_only_what_is_new_of_it() -> None:
    forward = RuleForward()
    ours = decoder(forward)
    context = list(range(40))
    list(ours.tokens([*context, 50, 51], chooser(GREEDY), limit=1))
    list(ours.tokens([*context, 60], chooser(GREEDY), limit=1))
    list(ours.tokens([*context, 60], chooser(GREEDY), limit=1))
    assert forward.passes == [[42], [1], [1]]


def test_a_conversation_goes_on_from_its_own_answer() -> None:
    forward = RuleForward()
    ours = decoder(forward)
    prompt = list(range(20))
    answer = list(ours.tokens(prompt, chooser(GREEDY), limit=10))
    forward.passes.clear()
    list(ours.tokens([*prompt, *answer, 63, 62], chooser(GREEDY), limit=1))
    assert sum(tokens for (tokens,) in forward.passes) <= 3


def test_a_second_question_profits_while_the_first_is_still_answered() -> None:
    forward = RuleForward()
    ours = decoder(forward)
    context = list(range(40))
    first = ours.tokens([*context, 50], chooser(GREEDY), limit=20)
    next(first)
    forward.passes.clear()
    list(ours.tokens([*context, 60], chooser(GREEDY), limit=1))
    assert forward.passes == [[1]]
    assert list(first) == alone(forward, [*context, 50], 20)[1:]


def test_an_answer_that_is_left_early_spoils_nothing() -> None:
    forward = RuleForward(period=1)
    ours = decoder(forward)
    prompt = [5] * 20
    left = ours.tokens(prompt, chooser(GREEDY), limit=40)
    next(left), next(left)
    left.close()
    assert list(ours.tokens(prompt, chooser(GREEDY), limit=9)) == [5] * 9


def test_what_is_kept_never_takes_more_memory_than_it_may() -> None:
    forward = RuleForward()
    prefixes = Prefixes(forward, limit_bytes=100)
    for start in range(30):
        past = forward.begin(room=1)
        past.tokens = [start, *range(start)]
        prefixes.keep(past)
        assert prefixes.nbytes <= 100
    huge = forward.begin(room=1)
    huge.tokens = list(range(101))
    prefixes.keep(huge)
    assert prefixes.nbytes == 0


def test_what_was_asked_for_last_is_kept_longest() -> None:
    forward = RuleForward()
    prefixes = Prefixes(forward, limit_bytes=100)

    def keep(first: int) -> None:
        past = forward.begin(room=1)
        past.tokens = [first] * 40
        prefixes.keep(past)

    keep(1)
    keep(2)
    assert len(prefixes.begin([1] * 40, room=50).tokens) == 39
    keep(3)
    assert len(prefixes.begin([1] * 40, room=50).tokens) == 39
    assert prefixes.begin([2] * 40, room=50).tokens == []


def test_a_model_that_cannot_forget_keeps_and_guesses_nothing() -> None:
    forward = RuleForward(period=1)
    forward.forgets = False
    ours = decoder(forward)
    for _ in range(2):
        assert list(ours.tokens([5] * 20, chooser(GREEDY), limit=4)) == [5] * 4
    assert forward.passes == [[20], [1], [1], [1]] * 2


def test_a_long_prompt_is_read_in_pieces_between_which_others_have_their_turn() -> None:
    forward = RuleForward()
    prompt = [number % WORDS for number in range(1000)]
    list(decoder(forward).tokens(prompt, chooser(GREEDY), limit=1))
    assert sum(tokens for (tokens,) in forward.passes) == 1000
    assert max(tokens for (tokens,) in forward.passes) < 400


def test_those_who_wait_share_the_next_pass() -> None:
    forward = RuleForward()
    ours = decoder(forward)
    forward.go.clear()
    with ThreadPoolExecutor(5) as pool:
        made = [
            pool.submit(lambda prompt: list(ours.tokens(prompt, chooser(GREEDY), limit=12)), [at])
            for at in range(5)
        ]
        deadline = time.monotonic() + 10
        while len(ours._batcher._waiting) < 4 and time.monotonic() < deadline:
            time.sleep(0.005)
        forward.go.set()
        answers = [future.result(30) for future in made]
    assert answers == [alone(forward, [at], 12) for at in range(5)]
    assert len(forward.passes[1]) >= 4


def test_a_pass_that_fails_fails_for_all_who_share_it_and_for_nobody_after() -> None:
    forward = RuleForward()
    batcher = Batcher(forward)
    good, bad = forward.begin(room=9), forward.begin(room=9)
    with pytest.raises(GenerationError, match="could not be run"):
        batcher.step(Run(bad, [1, 2], wanted="many"))  # type: ignore[arg-type]
    assert batcher.step(Run(good, [3])).argmax() == forward.following([3])


def test_a_reader_who_has_left_is_not_waited_for() -> None:
    forward = RuleForward()
    ours = decoder(forward)
    together = threading.Barrier(2)

    def answer(prompt: int, limit: int) -> list[int]:
        together.wait(10)
        return list(ours.tokens([prompt], chooser(GREEDY), limit=limit))

    with ThreadPoolExecutor(2) as pool:
        short, long = pool.submit(answer, 1, 2), pool.submit(answer, 2, 60)
        assert len(short.result(20)) == 2
        assert len(long.result(20)) == 60
    assert ours._batcher._last == set()


def test_a_guess_is_what_followed_the_same_words_last() -> None:
    assert Lookup([1, 2, 3, 4, 9, 1, 2]).guess(8) == [3, 4, 9, 1]
    assert Lookup([8, 1, 2, 1, 2]).guess(3) == [1, 2, 1]
    assert Lookup([1, 2, 3, 7, 1, 2, 4, 8, 1, 2]).guess(2) == [4, 8]
    assert Lookup([5, 1, 2, 3, 9, 6, 1, 2, 4, 8, 5, 1, 2]).guess(1) == [3]
    assert Lookup([1, 2, 3]).guess(8) == []
    assert Lookup([]).guess(8) == []


def test_right_guesses_grow_and_wrong_ones_shrink() -> None:
    lookup = Lookup([5] * 90)
    sizes = [len(lookup.guess(99))]
    for right in (4, 8, 12, 0):
        lookup.learn(sizes[-1], right)
        lookup.extend([5])
        sizes.append(len(lookup.guess(99)))
    assert sizes[0] < sizes[1] < sizes[2]
    assert sizes[-1] == sizes[0]


def test_trust_is_lost_by_wrong_drafts_and_kept_by_right_ones() -> None:
    trust = Trust()
    for _ in range(3):
        trust.learn(4, 0)
    assert not trust.holds
    proven = Trust()
    for right in (4, 4, 3, 4, 4, 2, 4):
        proven.learn(4, right)
    assert proven.holds
