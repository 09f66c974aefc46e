"""Codes for many records at once, so that each comes as often as it should.

Of 100 records that are to have a code with a chance of 30 %, drawn one by one, 30 have it, give or
take 5. Drawn in one systematic sweep, each still has it with its very own chance, and 30 have it,
give or take one (Madow, Annals of Mathematical Statistics 20, 1949). The same holds within each run
of neighbours: where records that are alike stand together, also for pairs of codes.

Shapes: B records, K codes.
"""

import numpy as np
import numpy.typing as npt

from rag_pipeline.synthetic.tables.coding import Codes

_NEIGHBOURS_BY = 3
"""Columns by which records that are alike are told; those after them would part single ones."""


def drawn_evenly(
    shares: npt.NDArray[np.float64], known: Codes, chance: np.random.Generator
) -> npt.NDArray[np.int64]:
    """(B,): a code for each record by its shares (B, K), of which the proportions count.

    The codes are halved, and the half of each record is drawn in a sweep over those that are in
    the same half so far, neighbours by their `known` codes (B, columns), until one code is left.
    """
    records, codes = shares.shape
    order = _neighbours(known, chance)
    edges = np.zeros((records, codes + 1))
    np.cumsum(shares[order], axis=1, out=edges[:, 1:])  # (B, K + 1), in that order
    rows, first = np.arange(records), np.zeros(records, np.int64)
    width = 1 << (codes - 1).bit_length()
    while width > 1:
        low, high = edges[rows, first], edges[rows, np.minimum(first + width, codes)]
        width //= 2
        middle = edges[rows, np.minimum(first + width, codes)]
        wanted = np.divide(high - middle, high - low, out=np.zeros(records), where=high > low)
        together = np.argsort(first, kind="stable")
        first[together] += width * _swept(wanted[together], chance)
    drawn = np.empty(records, np.int64)
    drawn[order] = first
    return drawn


def _swept(wanted: npt.NDArray[np.float64], chance: np.random.Generator) -> npt.NDArray[np.bool_]:
    """(B,): whether each is taken, with the chance that is wanted for it, (B,)."""
    reached = np.append(0.0, wanted.cumsum()) + chance.random()
    is_taken = np.floor(reached[1:]) > np.floor(reached[:-1])
    # Sums are rounded: what must be, and what must not, is not left to them.
    return (is_taken | (wanted >= 1)) & (wanted > 0)


def _neighbours(known: Codes, chance: np.random.Generator) -> npt.NDArray[np.int64]:
    """(B,): an order of the records in which those with the same codes in some columns, chosen at
    random, stand together."""
    records, columns = known.shape
    by = chance.permutation(columns)[:_NEIGHBOURS_BY]
    return np.lexsort([chance.random(records), *known[:, by].T])
