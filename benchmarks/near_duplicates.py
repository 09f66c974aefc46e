"""Near-duplicate detection of our own beside datasketch, on the same texts, in one run.

    python benchmarks/near_duplicates.py --corpus passages.jsonl.gz

The corpus is JSON lines in the BEIR form (`_id`, `title`, `text`; `.gz` is fine). Passages that
have much of an earlier one are left out of it first, by exact comparison, so that the copies made
here are the only ones. Each copy is of a passage of its own. Look-alikes are no copies: the same
form letter with other facts, other passages in the same frame, passages whose facts were changed.
Every text is compared with the originals before it. It is linked to the one that it is most like,
or is an original itself, as ingestion does it.

Both sides read the same texts with the same shingles and check their candidates with the same
function. By default the peer hashes the shingles itself, as it is documented to be used; with
`--hand-over-hashes` it is given ours. Precision counts pairs,
recall copies. Needs `datasketch`. Times are CPU seconds of one thread.
"""

import gzip
import json
import os
import random
import re
import string
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import click
import datasketch
import numpy as np

from ingest.near_duplicates import (
    MIN_SIMILARITY,
    SHINGLE_TOKENS,
    NearIndex,
    Shingled,
    shingled,
    similarity,
)

PERMUTATIONS = 128
PEER_THRESHOLD = 0.5
MIN_WORDS = 40
Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Case:
    """One text of the stream. `original` is the place of the passage that it was made from."""

    text: str
    kind: str
    original: int | None = None
    is_copy: bool = False


# Texts that stand around others.

HEADS = (
    "Northern Water Authority, Customer Service, 12 Harbour Street. This page was printed from "
    "our website. Home | Products | Services | Contact | Imprint. Please think of the environment.",
    "Skip to main content. Menu. Sign in. Subscribe to our newsletter and never miss a story. "
    "Share this article with your friends, by mail or on your favourite network.",
    "INTERNAL USE ONLY. Document management system, department of quality. This copy is valid "
    "only on the day on which it was printed; the current version is kept by the secretary.",
    "From the archive of the municipal library, digitised with the support of the state. The "
    "spelling of the original was kept. Errors of recognition can't be ruled out.",
)
FEET = (
    "This message and any attachment are confidential and intended only for the person to whom "
    "they are addressed. If you are not the intended recipient, please tell the sender at once, "
    "delete the message from your system and do not disclose its content to anybody. We accept no "
    "liability for damage caused by software that this message may carry.",
    "All rights reserved. No part of this publication may be copied, stored or passed on in any "
    "form without written permission of the publisher. Opinions are those of the authors. See our "
    "terms of use and our privacy policy. We use cookies to improve your experience.",
    "Did this page help you? Yes. No. Tell us how we can improve it. Related articles: how to "
    "begin, frequently asked questions, release notes. Follow us. Back to the top of the page.",
    "Registered office: Harbour Street. Managing directors are named in the register. Bank details "
    "are found on the reverse. Offices are open on weekdays from nine to five, and by appointment.",
)
LETTERS = (
    "Dear {name}, thank you for your order {number}, which reached us on {date}. We are glad to "
    "confirm that the goods will leave our warehouse in {city} within three working days. The "
    "amount of {amount} will be charged to your account when they are handed to the carrier. You "
    "may return what you do not like within thirty days, unused and in its original packing. If "
    "you have any question about your order please write to our customer service, which will "
    "answer you within one day. With kind regards, your sales team.",
    "Dear {name}, according to our books the invoice {number} of {date} has not been paid. Surely "
    "this has escaped your notice. We ask you to transfer the outstanding amount of {amount} to "
    "the account given below by the end of the month. If your payment has crossed with this "
    "letter, please regard it as settled. Should there be a reason why you do not want to pay, let "
    "our office in {city} know, so that we can find a solution together. Yours sincerely, "
    "the accounts department.",
    "Report on the inspection of the lift number {number} in {city}. The inspection took place on "
    "{date} in the presence of {name}. Brakes, ropes, doors, emergency call and lighting were "
    "tested. No defect was found that would forbid its use. The costs of {amount} are borne by the "
    "owner. The next inspection is due in two years. This report has to be kept with the papers "
    "of the installation and to be shown on request. It was made by machine and is valid without "
    "a signature.",
    "Discharge note. {name}, patient number {number}, was admitted to the hospital of {city} on "
    "{date} because of pain in the chest. Electrocardiogram and laboratory values were normal "
    "throughout. A disease of the heart could be ruled out. We recommend rest for one week and a "
    "check-up by the family doctor, and tablets of {amount} taken in the morning. The patient "
    "left the hospital in good general condition. Please contact our ward at any time if the "
    "complaints come back.",
)
FIRST_NAMES = [
    "Anna",
    "Robert",
    "Mehmet",
    "Ingrid",
    "Carlos",
    "Yuki",
    "Fatima",
    "George",
    "Helen",
    "Pavel",
    "Louise",
    "Oscar",
]
LAST_NAMES = [
    "Weaver",
    "Lindqvist",
    "Okafor",
    "Tanaka",
    "Romano",
    "Fischer",
    "Novak",
    "Duarte",
    "Hughes",
    "Brandt",
]
CITIES = [
    "Leeds",
    "Uppsala",
    "Porto",
    "Nagoya",
    "Lagos",
    "Verona",
    "Bremen",
    "Prague",
    "Cardiff",
    "Geneva",
    "Tampere",
]


# Edits that leave a copy. Each takes the text and a source of chance.


def misspelt(share: float) -> Callable[[str, random.Random], str]:
    """Replaces, drops, adds or swaps a character in this share of the words, numbers included."""

    def edit(text: str, rng: random.Random) -> str:
        words = text.split()
        chosen = rng.sample(range(len(words)), max(1, round(share * len(words))))
        for place in chosen:
            words[place] = _misspelt_word(words[place], rng)
        return " ".join(words)

    return edit


def _misspelt_word(word: str, rng: random.Random) -> str:
    place = rng.randrange(len(word))
    letter = rng.choice(string.digits if word[place].isdigit() else string.ascii_lowercase)
    return rng.choice(
        (
            word[:place] + letter + word[place + 1 :],
            word[:place] + letter + word[place:],
            word[:place] + word[place + 1 :] or letter,
            word[:place] + word[place : place + 2][::-1] + word[place + 2 :],
        )
    )


def sentences_shuffled(text: str, rng: random.Random) -> str:
    parts = re.split(r"(?<=[.!?:;])\s+", text)
    if len(parts) < 3:
        return halves_swapped(text, rng)
    shuffled = rng.sample(parts, len(parts))
    return " ".join(shuffled if shuffled != parts else parts[::-1])


def halves_swapped(text: str, rng: random.Random) -> str:
    words = text.split()
    cut = rng.randrange(len(words) // 4, 3 * len(words) // 4)
    return " ".join(words[cut:] + words[:cut])


def truncated(text: str, rng: random.Random) -> str:
    """The first 40 to 90 in a hundred characters, cut in the middle of a word or not."""
    return text[: int(len(text) * rng.uniform(0.4, 0.9))]


def beheaded(text: str, rng: random.Random) -> str:
    return text[int(len(text) * rng.uniform(0.1, 0.6)) :]


def framed(text: str, rng: random.Random) -> str:
    """With a head, a foot or both."""
    head, foot = rng.choice(((True, True), (True, False), (False, True)))
    return "\n\n".join((rng.choice(HEADS),) * head + (text,) + (rng.choice(FEET),) * foot)


def retyped(text: str, rng: random.Random) -> str:
    """In other lines and other case."""
    words = text.upper().split() if rng.random() < 0.5 else text.lower().split()
    return "".join(word + rng.choice((" ", " ", "  ", "\n")) for word in words)


def all_at_once(text: str, rng: random.Random) -> str:
    return framed(sentences_shuffled(misspelt(0.05)(text, rng), rng), rng)


COPIES: dict[str, Callable[[str, random.Random], str]] = {
    "misspelt, 3 % of words": misspelt(0.03),
    "misspelt, 10 % of words": misspelt(0.1),
    "sentences shuffled": sentences_shuffled,
    "halves swapped": halves_swapped,
    "end cut off": truncated,
    "beginning cut off": beheaded,
    "head or foot added": framed,
    "case and lines": retyped,
    "misspelt, shuffled, framed": all_at_once,
}


# Look-alikes.


def letter(rng: random.Random) -> str:
    return rng.choice(LETTERS).format(
        name=f"{rng.choice(FIRST_NAMES)} {rng.choice(LAST_NAMES)}",
        number=rng.randrange(10_000, 99_999),
        date=f"{rng.randrange(1, 29)}.{rng.randrange(1, 13)}.{rng.randrange(2015, 2025)}",
        amount=f"{rng.randrange(10, 999)}.{rng.randrange(10, 99)}",
        city=rng.choice(CITIES),
    )


def in_frame(text: str, rng: random.Random) -> str:
    """A short passage between a head and a foot that together are longer."""
    words = text.split()[:MIN_WORDS]
    return "\n\n".join((rng.choice(HEADS), " ".join(words), rng.choice(FEET)))


def with_other_facts(count: int) -> Callable[[str, random.Random], str]:
    """The passage with so many of its numbers and names exchanged for others."""

    def change(text: str, rng: random.Random) -> str:
        words = text.split()
        for place in rng.sample(facts_of(words), count):
            words[place] = _other_fact(words[place], rng)
        return " ".join(words)

    return change


def facts_of(words: list[str]) -> list[int]:
    """Places of whole numbers, and of capitalised words that begin no sentence."""
    names = [
        place
        for place in range(1, len(words))
        if re.fullmatch(r"[A-Z][a-z]{3,}", words[place]) and words[place - 1][-1].isalpha()
    ]
    return names + [place for place, word in enumerate(words) if re.fullmatch(r"\d+", word)]


def _other_fact(word: str, rng: random.Random) -> str:
    if word.isdigit():
        return str(int(word) + rng.randrange(1, 10))
    return rng.choice([name for name in FIRST_NAMES + LAST_NAMES + CITIES if name != word])


LOOK_ALIKES: dict[str, Callable[[str, random.Random], str]] = {
    "same frame, other body": in_frame,
    "one fact changed": with_other_facts(1),
    "three facts changed": with_other_facts(3),
}


LETTERS_COPIED = "form letter, misspelt, 3 %"


# The stream.


def read_passages(path: Path) -> list[str]:
    content = path.read_bytes()
    lines = gzip.decompress(content) if path.suffix == ".gz" else content
    return [json.loads(line)["text"] for line in lines.splitlines()]


def unrelated(texts: list[str], limit: int) -> list[str]:
    """The first `limit` texts that have under a fifth of their word triples in any one before."""
    kept: list[str] = []
    holders: dict[tuple[str, ...], list[int]] = {}
    for text in texts:
        words = re.findall(r"\w+", text.lower())
        triples = set(zip(words, words[1:], words[2:], strict=False))
        shared = Counter(number for triple in triples for number in holders.get(triple, ()))
        if len(words) < MIN_WORDS or max(shared.values(), default=0) > len(triples) / 5:
            continue
        for triple in triples:
            holders.setdefault(triple, []).append(len(kept))
        kept.append(text)
        if len(kept) == limit:
            break
    return kept


def stream(passages: list[str], each: int, rng: random.Random) -> list[Case]:
    """Passages and form letters, then copies and look-alikes in any order, `each` of a kind."""
    order = rng.sample(range(len(passages)), len(passages))
    sources = iter(order)
    rich = iter([place for place in order[::-1] if len(facts_of(passages[place].split())) > 2])
    made = [
        Case(edit(passages[place], rng), kind, place, is_copy=True)
        for kind, edit in COPIES.items()
        for place in _next(sources, each)
    ]
    for kind, change in LOOK_ALIKES.items():
        places = _next(rich if "changed" in kind else sources, each)
        made += [Case(change(passages[place], rng), kind) for place in places]
    letters = [letter(rng) for _ in range(each)]
    edit = COPIES["misspelt, 3 % of words"]
    made += [
        Case(edit(text, rng), LETTERS_COPIED, len(passages) + place, is_copy=True)
        for place, text in enumerate(letters)
    ]
    rng.shuffle(made)
    known = [Case(text, "passage") for text in passages]
    return known + [Case(text, "form letter, other facts") for text in letters] + made


def _next(places: Iterator[int], count: int) -> list[int]:
    try:
        return [next(places) for _ in range(count)]
    except StopIteration:
        raise click.ClickException(
            "The corpus has too few passages: name a larger one, or a smaller --each."
        ) from None


# The two sides: each yields the pairs that it calls near duplicates.


def ours(texts: list[str]) -> list[Pair]:
    index: NearIndex[int] = NearIndex()
    read: list[Shingled] = []
    pairs: list[Pair] = []
    for number, text in enumerate(texts):
        new = shingled(text)
        keys = new.keys
        original = most_alike(new, index.candidates(keys), read)
        if original is None:
            index.add(number, keys)
        else:
            pairs.append((number, original))
        read.append(new)
    return pairs


def peer(texts: list[str], *, hands_over_hashes: bool) -> list[Pair]:
    index = datasketch.MinHashLSH(threshold=PEER_THRESHOLD, num_perm=PERMUTATIONS)
    given = {"hashfunc": int} if hands_over_hashes else {}
    template = datasketch.MinHash(num_perm=PERMUTATIONS, **given)
    read: list[Shingled] = []
    pairs: list[Pair] = []
    for number, text in enumerate(texts):
        new = shingled(text)
        sketch = template.copy()
        low = new.distinct & np.uint64(0xFFFFFFFF)
        sketch.update_batch(low.tolist() if hands_over_hashes else phrases(new))
        original = most_alike(new, index.query(sketch), read)
        if original is None:
            index.insert(number, sketch, check_duplication=False)
        else:
            pairs.append((number, original))
        read.append(new)
    return pairs


def most_alike(new: Shingled, candidates: Iterable[int], read: Sequence[Shingled]) -> int | None:
    """The candidate that `new` is a copy of; of equals the first."""
    best, highest = None, 0.0
    for place in candidates:
        share = similarity(new, read[place])
        if share >= MIN_SIMILARITY and share > highest:
            best, highest = place, share
        if share == 1:
            break
    return best


def phrases(text: Shingled) -> set[bytes]:
    """The shingles themselves."""
    runs = zip(*(text.tokens[place:] for place in range(SHINGLE_TOKENS)), strict=False)
    return {" ".join(run).encode() for run in runs}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one side found, and how fast."""

    documents_a_second: float
    precision: float
    recall: dict[str, float]
    """Share of the copies of each kind that were paired with their original."""
    mistaken: dict[str, int]
    """Pairs that are none, by the kind of the later text."""


def measure(side: Callable[[list[str]], list[Pair]], cases: list[Case]) -> Outcome:
    start = time.process_time()
    pairs = side([case.text for case in cases])
    seconds = time.process_time() - start
    right = Counter(cases[a].kind for a, b in pairs if cases[a].original == b)
    wrong = Counter(cases[a].kind for a, b in pairs if cases[a].original != b)
    total = Counter(case.kind for case in cases if case.is_copy)
    return Outcome(
        documents_a_second=len(cases) / seconds,
        precision=right.total() / max(1, len(pairs)),
        recall={kind: right[kind] / total[kind] for kind in total}
        | {"all copies": right.total() / max(1, total.total())},
        mistaken={kind: wrong[kind] for kind in dict.fromkeys(case.kind for case in cases)},
    )


def show(name: str, one: float, other: float, form: str) -> None:
    print(f"{name:44}{one:>12{form}}{other:>12{form}}")


@click.command()
@click.option("--corpus", "corpus_path", type=click.Path(path_type=Path), required=True)
@click.option("--passages", "limit", default=20_000, help="How many unrelated passages to take.")
@click.option("--each", default=400, help="Copies and look-alikes of each kind.")
@click.option("--seed", default=1)
@click.option("--hand-over-hashes", is_flag=True, help="Spare the peer the hashing of shingles.")
def main(corpus_path: Path, limit: int, each: int, seed: int, hand_over_hashes: bool) -> None:
    """Print precision, recall by kind of edit, and documents a second, beside datasketch."""
    if not corpus_path.exists():
        raise click.ClickException(
            f"There is no {str(corpus_path)!r}: name a JSON lines file of passages with `text`."
        )
    passages = unrelated(read_passages(corpus_path), limit)
    cases = stream(passages, each, random.Random(seed))
    mine, theirs = (
        measure(ours, cases),
        measure(partial(peer, hands_over_hashes=hand_over_hashes), cases),
    )
    print(f"{len(passages)} passages, {len(cases) - len(passages)} copies and look-alikes")
    print(f"{'':44}{'ours':>12}{'datasketch':>12}")
    for kind in mine.recall:
        show(f"recall, {kind}", mine.recall[kind], theirs.recall[kind], ".4f")
    for kind in mine.mistaken:
        show(f"mistaken, {kind}", mine.mistaken[kind], theirs.mistaken[kind], "d")
    show("precision", mine.precision, theirs.precision, ".4f")
    show("documents/s", mine.documents_a_second, theirs.documents_a_second, ".0f")
    print(f"ratio {mine.documents_a_second / theirs.documents_a_second:.2f}")


if __name__ == "__main__":
    main()
