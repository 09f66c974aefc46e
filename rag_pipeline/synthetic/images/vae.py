"""A variational autoencoder for pictures, with a prior that is learnt.

The encoder says where in a hidden space a picture may lie, the decoder what lies there (Kingma and
Welling, ICLR 2014, arXiv:1312.6114, eq. 3), with a weight β (Higgins et al., ICLR 2017) that rises
from 0 as the training goes on (Bowman et al., CoNLL 2016, arXiv:1511.06349):

    L = E_q(z|x) [-log p(x|z)] + β KL(q(z|x) ‖ N(0, 1))                                   (eq. 1)

p(x|z) is a logistic distribution over the shades of each pixel (`likelihood.py`). With a small β
pictures do not fill N(0, 1) evenly, so that what is drawn from it would be none (Dai and Wipf, ICLR
2019, arXiv:1903.05789): at the same time a second network learns to draw z as they lie, for each
label, by flow matching (`diffusion.py`, eq. 1-2).

Shapes: B pictures, C channels, H x W pixels, L numbers of a hidden place, E wide what a network is
told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from rag_pipeline.synthetic.errors import PictureError, SyntheticError
from rag_pipeline.synthetic.generator import Fitting
from rag_pipeline.synthetic.images.coding import PictureCodec
from rag_pipeline.synthetic.images.heun import Direction, followed
from rag_pipeline.synthetic.images.learning import (
    Examples,
    blocks,
    course,
    drawing,
    examples,
    fitting_width,
)
from rag_pipeline.synthetic.images.likelihood import Shades
from rag_pipeline.synthetic.images.pictures import Pictures
from rag_pipeline.synthetic.images.vae_network import Autoencoder, Prior
from rag_pipeline.synthetic.learning import drawn_by, taught
from rag_pipeline.synthetic.tables.coding import Arrays
from rag_pipeline.synthetic.weights import loaded, weights_of
from rag_pipeline.training.loop import Trained
from rag_pipeline.training.task import sliced

_STEPS, _BATCH = 1_500, 128
_ANNEALED = 0.3
"""Of the steps, in which β rises."""
_UNTOLD = 0.1
"""Of the pictures are learnt without their label by the prior."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How large the networks are, for how long they learn, and how pictures are drawn."""

    width: int | None = None
    """Channels at full size; None: by the size of the pictures."""
    hidden: int = 32
    """Numbers of a hidden place."""
    beta: float = 0.3
    steps: int | None = None
    """None: by the number of pictures."""
    batch_size: int | None = None
    """None: by their size."""
    learning_rate: float = 1e-3
    sampling_steps: int = 16


class Network(nn.Module):
    """Both, which are trained together."""

    def __init__(self, codec: PictureCodec, settings: Settings) -> None:
        super().__init__()
        if settings.width is None:
            raise SyntheticError("the settings name no width")
        self.autoencoder = Autoencoder(codec.shape, settings.width, settings.hidden)
        self.prior = Prior(codec.kinds + 1, settings.hidden)  # the last one says nothing


@dataclass(slots=True, kw_only=True, eq=False)
class Learning:
    """The task that `rag_pipeline.training.loop` trains."""

    model: Network
    learnt: Examples
    held_back: Examples
    shades: Shades
    beta: float
    untold: int
    """What the prior is told in place of a label."""
    annealed: float = 1.0
    """The share of β that counts now."""

    @property
    def examples(self) -> int:
        return len(self.learnt)

    def at_step(self, step: int, steps: int) -> None:
        self.annealed = min(1.0, (step + 1) / max(1.0, _ANNEALED * steps))

    def batches(self, order: Sequence[int], size: int) -> list[list[int]]:
        return sliced(order, size)

    def loss(self, rows: Sequence[int]) -> Tensor:
        """Eq. 1 for each pixel, and what the prior is wrong by (scalar)."""
        batch = self.learnt.at(list(rows)).beside(self.model)
        untold = torch.rand(len(batch), device=batch.labels.device) < _UNTOLD
        labels = batch.labels.masked_fill(untold, self.untold)
        nats, divergence, place = self._elbo(batch.values, None)
        astray = _astray(self.model.prior, place.detach(), labels)
        size = batch.values[0].numel()
        return ((nats + self.annealed * self.beta * divergence) / size).mean() + astray

    def validate(self) -> float:
        """Minus eq. 1 with all of β, for each pixel held back, with the same noise each time; the
        prior counts as it does for the loss."""
        chance = torch.Generator().manual_seed(0)
        batch = self.held_back.beside(self.model)
        nats, divergence, place = self._elbo(batch.values, chance)
        astray = _astray(self.model.prior, place, batch.labels, chance)
        size = batch.values[0].numel()
        return -((nats + self.beta * divergence).mean() / size + astray).item()

    def _elbo(
        self, values: Tensor, chance: torch.Generator | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Nats of the pixels and of the place (B,), and the place (B, L)."""
        mean, log_variance = self.model.autoencoder.places(values)
        place = mean + (log_variance / 2).exp() * _normal(mean, chance)
        nats = self.shades.nats(values, *self.model.autoencoder.pictures(place)).flatten(1).sum(1)
        return nats, _divergence(mean, log_variance), place


def _divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """(B,): KL(q(z|x) ‖ N(0, 1))."""
    return ((mean**2 + log_variance.exp() - 1 - log_variance) / 2).sum(1)


def _astray(
    prior: Prior, place: Tensor, labels: Tensor, chance: torch.Generator | None = None
) -> Tensor:
    """By how much the prior misses the direction, over the numbers of a place (scalar)."""
    noise, moments = _normal(place, chance), _normal(place[:, 0], chance).sigmoid()
    at = moments[:, None]
    said = prior((1 - at) * noise + at * place, moments, labels)
    return functional.mse_loss(said, place - noise)


def _normal(like: Tensor, chance: torch.Generator | None) -> Tensor:
    if chance is None:
        return torch.randn_like(like)
    return torch.randn(like.shape, generator=chance).to(like.device)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Vae:
    """Draws pictures like those that it has learnt, and knows a hidden place for each."""

    method: ClassVar[str] = "image/vae"

    codec: PictureCodec
    network: Network
    settings: Settings

    @classmethod
    def fit(
        cls,
        pictures: Pictures,
        settings: Settings | None = None,
        fitting: Fitting | None = None,
    ) -> tuple[Self, Trained]:
        """Learn pictures, of each label if there are any. The same arguments give the same weights.

        Raises `PictureError`, `TrainingError`.
        """
        settings, fitting = settings or Settings(), fitting or Fitting()
        settings = replace(settings, width=settings.width or fitting_width(pictures.size))
        codec = PictureCodec.learnt(pictures)
        learnt, held_back = examples(codec, pictures, fitting.seed)
        with drawn_by(fitting.seed):
            network = Network(codec, settings)
        task = Learning(
            model=network,
            learnt=learnt,
            held_back=held_back,
            shades=Shades(codec.shades),
            beta=settings.beta,
            untold=codec.kinds,
        )
        how = course(settings, pictures, steps=_STEPS, batch_size=_BATCH)
        trained = taught(task, how, fitting)
        settings = replace(settings, steps=trained.planned_steps, batch_size=how.batch_size)
        return cls(codec=codec, network=network, settings=settings), trained

    def sample(self, count: int, label: str | None = None, *, seed: int = 0) -> Pictures:
        """That many pictures, of one label or of all as frequent as they were.

        The same seed gives the same ones. Raises `SyntheticError` for a label that was not learnt.
        """
        labels = self.codec.drawn(count, label, seed)
        place = self._noise(count, seed)
        return self._seen(self._followed(place, labels, 0.0), labels)

    def reconstruct(self, pictures: Pictures) -> Pictures:
        """Each picture through its hidden place and back."""
        return self._like(self._places(pictures), pictures)

    def interpolate(self, first: Pictures, second: Pictures, steps: int) -> Pictures:
        """`steps` pictures on the way from each of `first` to its partner of `second`, both ends
        included; those of a pair stand together. Raises `PictureError`."""
        if len(first) != len(second) or steps < 2:
            raise PictureError(
                f"{len(first)} and {len(second)} pictures with {steps} steps: give as many of both,"
                " and 2 steps or more"
            )
        ends = self._places(first), self._places(second)
        on_the_way = [_between(*ends, step / (steps - 1)) for step in range(steps)]
        return self._seen(torch.stack(on_the_way, dim=1).flatten(0, 1))

    def vary(
        self, pictures: Pictures, each: int, *, strength: float = 0.5, seed: int = 0
    ) -> Pictures:
        """`each` variations of each picture, standing together.

        Its place is moved so far towards noise, and back as the prior says (after Meng et al., ICLR
        2022, arXiv:2108.01073, alg. 1); a `strength` of 1 leaves nothing but the label.
        """
        if each < 1 or not 0 <= strength <= 1:
            raise PictureError("give 1 or more variations of each, and a strength from 0 to 1")
        place = self._places(pictures).repeat_interleave(each, dim=0)
        labels = self._labels(pictures).repeat_interleave(each)
        midway = strength * self._noise(len(place), seed) + (1 - strength) * place
        found = self.codec.decode(self._decoded(self._followed(midway, labels, 1 - strength)))
        named = None if pictures.labels is None else pictures.labels.repeat(each)
        return replace(found, labels=named)

    def score_anomalies(self, pictures: Pictures) -> npt.NDArray[np.float64]:
        """Nats that each picture takes to say, float64 (n,): the more, the stranger it is.

        Eq. 1 with a β of 1, at the middle of its hidden place.
        """
        values, shades = self.codec.encode(pictures), Shades(self.codec.shades)
        found = [torch.zeros(0)]
        for at, _ in blocks(len(values), 0):
            with drawing():
                mean, log_variance = self.network.autoencoder.places(values[at])
                said = self.network.autoencoder.pictures(mean)
                nats = shades.nats(values[at], *said).flatten(1).sum(1)
                found.append(nats + _divergence(mean, log_variance))
        return torch.cat(found).numpy().astype(np.float64)

    def _labels(self, pictures: Pictures) -> Tensor:
        if pictures.labels is None:
            return torch.full((len(pictures),), self.codec.kinds)
        return self.codec.numbers(pictures)

    def _noise(self, count: int, seed: int) -> Tensor:
        """(count, L)"""
        found = [torch.zeros(0, self.settings.hidden)]
        for at, seed_there in blocks(count, seed):
            chance = torch.Generator().manual_seed(seed_there)
            size = at.stop - at.start, self.settings.hidden
            found.append(torch.randn(size, generator=chance))
        return torch.cat(found)

    def _places(self, pictures: Pictures) -> Tensor:
        """(n, L): where each picture most probably lies."""
        values = self.codec.encode(pictures)
        found = [torch.zeros(0, self.settings.hidden)]
        for at, _ in blocks(len(values), 0):
            with drawing():
                found.append(self.network.autoencoder.places(values[at])[0])
        return torch.cat(found)

    def _followed(self, place: Tensor, labels: Tensor, begin: float) -> Tensor:
        """Where the prior leads from the moment `begin` on."""
        found = [place[:0]]
        for at, _ in blocks(len(place), 0):
            with drawing():
                direction = self._direction(labels[at])
                steps = self.settings.sampling_steps
                found.append(followed(direction, place[at], steps=steps, begin=begin))
        return torch.cat(found)

    def _direction(self, labels: Tensor) -> Direction:
        def direction(place: Tensor, moment: float) -> Tensor:
            said: Tensor = self.network.prior(place, torch.full((len(place),), moment), labels)
            return said

        return direction

    def _decoded(self, place: Tensor) -> Tensor:
        """(n, C, H, W): the middle of each pixel."""
        found = [torch.zeros(0, *self.codec.shape)]
        for at, _ in blocks(len(place), 0):
            with drawing():
                found.append(self.network.autoencoder.pictures(place[at])[0])
        return torch.cat(found)

    def _seen(self, place: Tensor, labels: Tensor | None = None) -> Pictures:
        return self.codec.decode(self._decoded(place), labels)

    def _like(self, place: Tensor, pictures: Pictures) -> Pictures:
        return replace(self._seen(place), labels=pictures.labels)

    def about(self) -> dict[str, Any]:
        return {"pictures": self.codec.as_json(), "settings": asdict(self.settings)}

    def arrays(self) -> Arrays:
        return weights_of(self.network)

    @classmethod
    def restored(cls, about: Mapping[str, Any], arrays: Arrays) -> Self:
        codec = PictureCodec.from_json(about["pictures"])
        settings = Settings(**about["settings"])
        network = Network(codec, settings)
        return cls(codec=codec, network=loaded(network, arrays), settings=settings)


def _between(first: Tensor, second: Tensor, share: float) -> Tensor:
    """On the great circle from one to the other (Shoemake, SIGGRAPH 1985), (n, L)."""
    cosine = functional.cosine_similarity(first, second, dim=1).clamp(-0.9995, 0.9995)
    angle = cosine.acos()[:, None]
    parts = ((1 - share) * angle).sin() * first + (share * angle).sin() * second
    return parts / angle.sin()
