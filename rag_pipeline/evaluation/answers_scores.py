"""How right answers are: SQuAD's measures of one answer, and what a set of answers amounts to.

Exact match and F1 are those of SQuAD 2.0's script (Rajpurkar et al., ACL 2018, arXiv:1806.03822):
an unanswerable question is got right by no answer, and by nothing else.
"""

import re
import string
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

ECE_BINS = 10
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = frozenset(string.punctuation)


def normalised(text: str) -> str:
    """Lower case, without punctuation, articles and surplus blanks, as SQuAD's script has it."""
    plain = "".join(letter for letter in text.lower() if letter not in _PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", plain).split())


def exact_match(answer: str, golds: Sequence[str]) -> float:
    """1 if the answer is one of `golds`; without golds, if it is empty."""
    return max(float(normalised(answer) == normalised(gold)) for gold in golds or [""])


def token_f1(answer: str, golds: Sequence[str]) -> float:
    """The best F1 of the answer's words with those of a gold; without golds, 1 if it is empty."""
    return max(_f1(normalised(answer).split(), normalised(gold).split()) for gold in golds or [""])


def _f1(said: Sequence[str], wanted: Sequence[str]) -> float:
    if not said or not wanted:
        return float(said == wanted)
    shared = sum((Counter(said) & Counter(wanted)).values())
    return 2 * shared / (len(said) + len(wanted))


def holds(text: str, golds: Sequence[str]) -> bool:
    """Whether the words of one of `golds` stand in `text`, in their order and side by side."""
    words = f" {normalised(text)} "
    return any(f" {wanted} " in words for gold in golds if (wanted := normalised(gold)))


def overlaps(text: str, golds: Sequence[str]) -> bool:
    """Whether one of `golds` stands in `text`, or `text` in one of them."""
    return holds(text, golds) or any(holds(gold, [text]) for gold in golds)


def auroc(scores: Values, positive: Flags) -> float | None:
    """The chance that a positive case scores higher than another, ties counting half.

    None where there are no two kinds of cases. Mann and Whitney (1947).
    """
    count = int(positive.sum())
    if count in (0, len(positive)):
        return None
    _, place, size = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(size) - (size - 1) / 2)[place]
    above = ranks[positive].sum() - count * (count + 1) / 2
    return float(above / (count * (len(positive) - count)))


def calibration_curve(
    chances: Values, right: Flags, bins: int = ECE_BINS
) -> list[tuple[float, float, int]]:
    """By bins of equal width: the mean chance, the part that was right, and how many there are.

    Empty bins are left out.
    """
    place = np.minimum((chances * bins).astype(int), bins - 1)
    return [
        (float(chances[inside].mean()), float(right[inside].mean()), int(inside.sum()))
        for inside in (place == one for one in range(bins))
        if inside.any()
    ]


def calibration_error(chances: Values, right: Flags, bins: int = ECE_BINS) -> float:
    """How far stated chances are from what came true: ECE (Naeini et al., AAAI 2015)."""
    curve = calibration_curve(chances, right, bins)
    return sum(abs(said - true) * count for said, true, count in curve) / max(1, len(chances))


def risk_coverage(chances: Values, right: Flags) -> list[tuple[float, float]]:
    """(coverage, risk): of the surest answers, so many of all, the part that is wrong.

    Answers of one chance come in together: El-Yaniv and Wiener, JMLR 2010.
    """
    order = np.argsort(-chances, kind="stable")
    wrong = np.cumsum(~right[order])
    last = np.flatnonzero(np.append(np.diff(chances[order]) != 0, True))
    return [((at + 1) / len(order), float(wrong[at] / (at + 1))) for at in last.tolist()]
