"""How near synthetic pictures come to real ones, and whether too near.

fid: the Fréchet distance of two normal distributions of features (Heusel et al., NeurIPS 2017,
arXiv:1706.08500, eq. 6). precision and recall: the share of synthetic pictures that lie among the
real ones, and of real ones that lie among the synthetic, where each picture reaches as far as its
third neighbour of its kind (Kynkäänniemi et al., NeurIPS 2019, arXiv:1904.06991, eq. 1-3).
efficacy: how well a classifier that learns from synthetic pictures tells real ones, as a share of
how well one does that learns from as many real ones. nearest: how far the closest twentieth of
synthetic pictures is from those that were learnt, in pixels, as a share of the same for pictures
that were held out: 1 where nothing was learnt by heart.

Features are those of a net that is named; another one gives other figures.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from rag_pipeline.synthetic.errors import PictureError
from rag_pipeline.synthetic.images.coding import FEWEST_PICTURES, PictureCodec
from rag_pipeline.synthetic.images.features import FeatureNet
from rag_pipeline.synthetic.images.pictures import Pictures
from rag_pipeline.synthetic.judging.likeness import (
    Points,
    distances,
    frechet_distance,
    precision_recall,
)

_MOST = 5_000
"""Pictures of each kind that are compared, the first ones."""
_CLOSEST = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """Of some pictures to those that were held out."""

    fid: float
    """From 0, the lower the nearer."""
    precision: float
    recall: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureJudgement:
    """All figures of synthetic pictures, and the same of real ones."""

    pictures: int
    """Compared of each kind."""
    synthetic: Likeness
    learnt: Likeness
    """What the same figures are for the real pictures that were learnt: none can be expected to be
    nearer."""
    nearest: float | None
    """None where those held out are copies of those learnt too often to tell."""
    copies: int
    """Synthetic pictures that are one that was learnt, pixel for pixel."""
    copies_held_out: int
    efficacy: float | None
    """None where pictures have no labels."""
    features: Mapping[str, str | int]
    """The net."""

    @property
    def fid_ratio(self) -> float | None:
        """Of synthetic pictures to that of those learnt; None where the latter is 0."""
        return self.synthetic.fid / self.learnt.fid if self.learnt.fid else None

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "fid_ratio": self.fid_ratio}


def judged_pictures(
    learnt: Pictures,
    held_out: Pictures,
    synthetic: Pictures,
    *,
    net: FeatureNet | None = None,
    seed: int = 0,
) -> PictureJudgement:
    """Hold synthetic pictures against real ones: those held out, and for copies those learnt.

    As many of each kind are compared, so that figures are alike; a net is trained on those learnt
    unless one is given. Raises `PictureError` for pictures of another size, or too few.
    """
    _check(learnt, held_out, synthetic)
    net = net or FeatureNet.fit(learnt, seed=seed)
    count = min(len(learnt), len(held_out), len(synthetic), _MOST)
    some = [_some(pictures, count, seed) for pictures in (learnt, held_out, synthetic)]
    real, fresh, ours = (net.features(pictures) for pictures in some)
    return PictureJudgement(
        pictures=count,
        synthetic=_likeness(fresh, ours),
        learnt=_likeness(fresh, real),
        nearest=nearest_ratio(learnt, *some[1:]),
        copies=copies(learnt, synthetic),
        copies_held_out=copies(learnt, held_out),
        efficacy=efficacy(learnt, held_out, synthetic, seed=seed),
        features=net.as_json(),
    )


def _check(*kinds: Pictures) -> None:
    for pictures in kinds:
        if pictures.shape != kinds[0].shape:
            raise PictureError("the pictures differ in size: compare such of the same")
        if len(pictures) < FEWEST_PICTURES:
            raise PictureError(
                f"{len(pictures)} of them are too few to judge: give at least {FEWEST_PICTURES}"
                " pictures of each kind"
            )


def _some(pictures: Pictures, count: int, seed: int) -> Pictures:
    return pictures.rows(np.random.default_rng(seed).permutation(len(pictures))[:count])


def _likeness(held_out: Points, other: Points) -> Likeness:
    precision, recall = precision_recall(held_out, other)
    return Likeness(fid=frechet_distance(held_out, other), precision=precision, recall=recall)


def nearest_ratio(learnt: Pictures, held_out: Pictures, synthetic: Pictures) -> float | None:
    """What the closest twentieth of synthetic pictures keep from those learnt, as a share of what
    those held out keep; None where these keep nothing."""
    ours, theirs = (_closest(pictures, learnt) for pictures in (synthetic, held_out))
    return ours / theirs if theirs else None


def _closest(pictures: Pictures, learnt: Pictures) -> float:
    rows, others = (
        one.pixels.reshape(len(one), -1).astype(np.float64) / 255 for one in (pictures, learnt)
    )
    nearest = [block.min(axis=1) for block in distances(rows, others)]
    return float(np.quantile(np.concatenate(nearest), _CLOSEST))


def copies(learnt: Pictures, pictures: Pictures) -> int:
    """How many of `pictures` are one of `learnt`, pixel for pixel."""
    known = {one.tobytes() for one in learnt.pixels}
    return sum(one.tobytes() in known for one in pictures.pixels)


def efficacy(
    learnt: Pictures, held_out: Pictures, synthetic: Pictures, *, seed: int = 0
) -> float | None:
    """The accuracy on pictures held out of what learns from synthetic ones, as a share of that of
    what learns from as many real ones; None without labels, or where the latter tells nothing."""
    if any(one.labels is None for one in (learnt, held_out, synthetic)):
        return None
    count, codec = min(len(learnt), len(synthetic)), PictureCodec.learnt(learnt)
    if len(codec.labels) < 2:
        return None
    told = [
        FeatureNet.fit(pictures.rows(slice(count)), codec=codec, seed=seed).accuracy(held_out)
        for pictures in (synthetic, learnt)
    ]
    return told[0] / told[1] if told[1] else None
