"""How near one set of points lies to another: Fréchet distance, precision and recall."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Points: TypeAlias = npt.NDArray[np.float64]

NEIGHBOURS = 3
"""How many a point reaches."""
_BLOCK = 500
"""Points whose distances are held at once."""


def frechet_distance(one: Points, other: Points) -> float:
    """‖μ₁ - μ₂‖² + tr(Σ₁ + Σ₂ - 2 (Σ₁ Σ₂)^½) of features (n, width) and (m, width)."""
    first, second = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
    root = _root(first)
    # Σ₁ Σ₂ has the eigenvalues of Σ₁^½ Σ₂ Σ₁^½, which is symmetric.
    shared = np.sqrt(np.linalg.eigvalsh(root @ second @ root).clip(0)).sum()
    apart = ((one.mean(axis=0) - other.mean(axis=0)) ** 2).sum()
    return float(max(apart + np.trace(first) + np.trace(second) - 2 * shared, 0.0))


def _root(matrix: Points) -> Points:
    values, vectors = np.linalg.eigh(matrix)
    found: Points = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    return found


def precision_recall(real: Points, synthetic: Points) -> tuple[float, float]:
    """Of features (n, width) and (m, width), each more than three."""
    return _covered(synthetic, real), _covered(real, synthetic)


def _covered(points: Points, by: Points) -> float:
    """The share of `points` that lie within reach of one of `by`."""
    # A picture is its own first neighbour.
    reach = np.concatenate(
        [np.partition(rows, NEIGHBOURS, axis=1)[:, NEIGHBOURS] for rows in distances(by, by)]
    )
    within = [(rows <= reach).any(axis=1) for rows in distances(points, by)]
    return float(np.concatenate(within).mean())


def distances(one: Points, other: Points) -> list[Points]:
    """Blocks of rows of the Euclidean distances (n, m)."""
    squares = (other**2).sum(axis=1)
    found = []
    for start in range(0, len(one), _BLOCK):
        rows = one[start : start + _BLOCK]
        apart = (rows**2).sum(axis=1)[:, None] + squares - 2 * rows @ other.T
        found.append(np.sqrt(apart.clip(0)))
    return found
