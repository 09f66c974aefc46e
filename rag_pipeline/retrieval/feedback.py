"""What the candidates of one query say of each other: relevant texts are alike. Pure functions.

This is pseudo-relevance feedback without a second search: it moves candidates, and brings none.
A query of a few words is a poor picture of what is asked for; the texts that both sides think best
are a better one, and a candidate that is like many good ones is more likely to be good itself.
"""

from math import sqrt

import numpy as np
import numpy.typing as npt

from rag_pipeline.retrieval.fusion import Candidates, Fused, combined, deviations
from rag_pipeline.retrieval.settings import FeedbackSettings
from storage.ranking import Scores
from storage.records import Ids, Vectors

_Wide = npt.NDArray[np.float64]

BEST_TEXTS = 3
"""How many texts the centroid is made of: one more that is beside the point costs more than it
brings where a query has a single answer."""
NEIGHBOURS = 30
"""How many of the best candidates lend the others their scores."""
TEMPERATURE = 0.03
"""In cosines: how fast a neighbour's say fades. Sharp, so that only what is nearly the same
subject counts."""
_FLOPS_ON_ONE_THREAD = 200_000
"""BLAS sends a larger product to all cores, where waking them costs more than the product."""


def reinforced(
    fused: Fused,
    candidates: Candidates,
    vectors: Vectors,
    weights: FeedbackSettings,
) -> Fused:
    """`fused` with three signals more, each a likeness of vectors, in standard deviations.

    centroid: the cosine to the mean of the best texts, each weighted by its score (Rocchio 1971).
    neighbours: the mean score of the best candidates, weighted by likeness, itself left out (score
    regularisation: Diaz, CIKM 2005). document: the cosine between the query and the mean of all
    candidates of the same text.

    `vectors`, float32 (n, dimension), has the rows of `candidates`, of unit length.
    """
    if candidates.ids.size < 2:
        return fused
    score = fused.score * fused.scale
    # Their keys ascend: so do those of equal scores.
    order = (-score.round(9)).argsort(kind="stable")
    near = order[:NEIGHBOURS]
    # In float32 the last digits of a product depend on where in memory a vector lies, and so on the
    # process.
    wide = vectors.astype(np.float64)
    centroid = _centroid(order, score, candidates.documents, wide)
    signals = {
        "centroid": weights.centroid * deviations(wide @ centroid),
        "neighbours": weights.neighbours * _lent(wide, near, score[near]),
        "document": weights.document * deviations(_of_documents(candidates, vectors)),
    }
    before = {name: part * fused.scale for name, part in fused.parts.items()}
    return combined(candidates.ids, before | signals)


def _centroid(order: Ids, score: Scores, documents: Ids, vectors: _Wide) -> _Wide:
    """Of the best chunk of each of the best texts; unit length, (dimension,)."""
    best_of: dict[int, int] = {}
    for row, document in zip(order.tolist(), documents[order].tolist(), strict=True):
        best_of.setdefault(document, row)
        if len(best_of) == BEST_TEXTS:
            break
    best = [*best_of.values()]
    weights = np.exp(score[best] - score[best[0]])
    mean = weights @ vectors[best]
    return np.asarray(mean / max(sqrt(mean.dot(mean)), 1e-12), np.float64)


def _lent(vectors: _Wide, near: Ids, score: Scores) -> Scores:
    """What the near ones' mean score is for each row, above the lowest such mean."""
    likeness = _products(vectors, vectors.take(near, axis=0))
    likeness /= TEMPERATURE
    likeness[near, np.arange(near.size)] = -np.inf
    likeness -= likeness.max(axis=1, keepdims=True)
    say = np.exp(likeness, out=likeness)
    means = (say @ score) / say.sum(axis=1)
    return np.asarray(means - means.min(), np.float64)


def _of_documents(candidates: Candidates, vectors: Vectors) -> Scores:
    """For each row, the cosine of the query to the mean vector of all rows of its document."""
    found = candidates.vector.copy()
    rows, sizes = _shared(candidates.documents)
    if not sizes.size:
        return found
    starts = sizes.cumsum() - sizes
    sums = _sums(vectors.take(rows, axis=0), np.arange(rows.size) - starts.repeat(sizes))
    lengths = np.sqrt(np.einsum("ij,ij->i", sums, sums))
    # The inner product with a sum is the sum of the inner products.
    cosines = np.add.reduceat(found[rows], starts) / np.maximum(lengths, 1e-12)
    found[rows] = cosines.repeat(sizes)
    return found


def _shared(documents: Ids) -> tuple[Ids, Ids]:
    """The rows whose document has more rows, those of a document one behind the other, and how
    many each has."""
    rows = documents.argsort(kind="stable")
    sorted_documents = documents[rows]
    is_last = np.append(sorted_documents[1:] != sorted_documents[:-1], True)
    sizes = np.diff(is_last.nonzero()[0], prepend=-1)
    return rows[(sizes > 1).repeat(sizes)], sizes[sizes > 1]


def _sums(rows: Vectors, places: Ids) -> _Wide:
    """The sum of each run of rows, whose places count up from 0; `rows` is used up.

    Neighbours are added in pairs, so that the longest run costs no more rounds than its logarithm.
    """
    at = np.arange(places.size)
    while places.any():
        is_odd = places % 2 == 1
        odd = np.flatnonzero(is_odd)
        rows[at[odd - 1]] += rows[at[odd]]
        at, places = at[~is_odd], places[~is_odd] // 2
    return rows[at].astype(np.float64)


def _products(rows: _Wide, columns: _Wide) -> _Wide:
    """Inner products, (rows, columns), on this thread alone.

    As one stack of small products: between calls, other threads would take the interpreter.
    """
    step = max(1, _FLOPS_ON_ONE_THREAD // max(columns.size, 1))
    whole = len(rows) // step * step
    found = np.empty((len(rows), len(columns)))
    stack = found[:whole].reshape(-1, step, len(columns))
    np.matmul(rows[:whole].reshape(-1, step, rows.shape[1]), columns.T, out=stack)
    np.matmul(rows[whole:], columns.T, out=found[whole:])
    return found
