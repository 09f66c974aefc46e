"""Diffusion for pictures, learnt by flow matching.

A picture x_1 is reached from noise x_0 ~ N(0, 1) on a straight way, whose direction the network
learns to tell at any moment t of it:

    x_t = (1 - t) x_0 + t x_1                                                             (eq. 1)
    min E ‖v(x_t, t, y) - (x_1 - x_0)‖²                                                   (eq. 2)

(Lipman et al., ICLR 2023, arXiv:2210.02747, eq. 21-23; Liu et al., ICLR 2023, arXiv:2209.03003),
with t from a logistic-normal (Esser et al., ICML 2024, arXiv:2403.03206, sec. 3.1). This is DDPM
(Ho et al., NeurIPS 2020, arXiv:2006.11239) with another schedule and weight. Pictures are drawn by
Heun's method in few steps (`heun.py`).

Guidance w > 1 moves away from what the network says without the label, which it is not told one
time in ten (Ho and Salimans 2022, arXiv:2207.12598, eq. 6):

    v = v(x_t, t, ∅) + w (v(x_t, t, y) - v(x_t, t, ∅))                                    (eq. 3)

Missing pixels are filled in by holding the known ones on their own way at each step and going back
to where the step began with fresh noise a few times, so that both come to fit (Lugmayr et al., CVPR
2022, arXiv:2201.09865, alg. 1). A larger picture is drawn beside the small one, scaled up, which
the network reads as further channels (Saharia et al. 2021, arXiv:2104.07636).

Shapes: B pictures, C channels, H x W pixels.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
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
from rag_pipeline.synthetic.images.pictures import Pictures
from rag_pipeline.synthetic.images.unet import UNet
from rag_pipeline.synthetic.learning import drawn_by, taught
from rag_pipeline.synthetic.tables.coding import Arrays
from rag_pipeline.synthetic.weights import loaded, weights_of
from rag_pipeline.training.loop import Trained
from rag_pipeline.training.task import sliced

_STEPS, _BATCH = 1_500, 128
_UNTOLD = 0.1
"""Of the pictures are learnt without their label."""
_BESIDE = 0.2
"""Of the pictures are learnt beside a small copy."""
_SCALES = (2, 4)
"""How many times smaller that is."""
_VALIDATED_TIMES = 4
"""Moments that each picture held back is judged at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How large the network is, for how long it learns, and how pictures are drawn."""

    width: int | None = None
    """Channels at full size; None: by the size of the pictures."""
    dropout: float = 0.1
    steps: int | None = None
    """None: by the number of pictures."""
    batch_size: int | None = None
    """None: by their size."""
    learning_rate: float = 2e-3
    sampling_steps: int = 16
    guidance: float = 1.0
    """1: none. More is nearer to what is typical of a label, and less varied."""
    resampling: int = 3
    """How often each step is taken where pixels are filled in."""

    def __post_init__(self) -> None:
        """Raise `SyntheticError` for what no picture can be drawn with."""
        if self.sampling_steps < 1 or self.resampling < 1 or not self.guidance >= 0:
            raise SyntheticError(
                "give 1 or more sampling_steps and resampling, and a guidance from 0"
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Learning:
    """The task that `rag_pipeline.training.loop` trains."""

    model: UNet
    learnt: Examples
    held_back: Examples
    untold: int
    """What is said in place of a label."""

    @property
    def examples(self) -> int:
        return len(self.learnt)

    def batches(self, order: Sequence[int], size: int) -> list[list[int]]:
        return sliced(order, size)

    def loss(self, rows: Sequence[int]) -> Tensor:
        """Eq. 2 (scalar), over pixels."""
        batch = self.learnt.at(list(rows)).beside(self.model)
        untold = torch.rand(len(batch), device=batch.labels.device) < _UNTOLD
        told = replace(batch, labels=batch.labels.masked_fill(untold, self.untold))
        noise = torch.randn_like(batch.values)
        return self._error(told, torch.randn_like(noise[:, 0, 0, 0]).sigmoid(), noise)

    def validate(self) -> float:
        """Minus eq. 2 on what is held back, with the same noise each time."""
        chance = torch.Generator().manual_seed(0)
        told, found = self.held_back.beside(self.model), 0.0
        for part in range(_VALIDATED_TIMES):
            within = torch.rand(len(told), generator=chance)
            noise = torch.randn(told.values.shape, generator=chance).to(told.values.device)
            moments = ((part + within) / _VALIDATED_TIMES).to(noise.device)
            found += self._error(told, moments, noise, beside=False).item()
        return -found / _VALIDATED_TIMES

    def _error(
        self, told: Examples, moments: Tensor, noise: Tensor, *, beside: bool = True
    ) -> Tensor:
        at = moments[:, None, None, None]
        midway = (1 - at) * noise + at * told.values  # eq. 1
        hint = _hints(told.values) if beside else _no_hint(told.values)
        said = self.model(torch.cat([midway, hint], dim=1), moments, told.labels)
        return functional.mse_loss(said, told.values - noise)


def _hints(values: Tensor) -> Tensor:
    """(B, C + 1, H, W): a small copy of some, scaled up, and whether it is there."""
    scale = _SCALES[int(torch.randint(len(_SCALES), ()).item())]
    has = (torch.rand(len(values), 1, 1, 1, device=values.device) < _BESIDE).float()
    small = functional.avg_pool2d(values, scale, ceil_mode=True)
    return _hint(small, values) * has


def _hint(small: Tensor, like: Tensor) -> Tensor:
    large = functional.interpolate(small, like.shape[2:], mode="bilinear", align_corners=False)
    return torch.cat([large, torch.ones_like(like[:, :1])], dim=1)


def _no_hint(like: Tensor) -> Tensor:
    return torch.zeros_like(like[:, :1]).repeat(1, like.shape[1] + 1, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Diffusion:
    """Draws pictures like those that it has learnt."""

    method: ClassVar[str] = "image/diffusion"

    codec: PictureCodec
    network: UNet
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
            network = network_of(codec, settings)
        task = Learning(model=network, learnt=learnt, held_back=held_back, untold=codec.kinds)
        how = course(settings, pictures, steps=_STEPS, batch_size=_BATCH)
        trained = taught(task, how, fitting)
        settings = replace(settings, steps=trained.planned_steps, batch_size=how.batch_size)
        return cls(codec=codec, network=network, settings=settings), trained

    def sample(self, count: int, label: str | None = None, *, seed: int = 0) -> Pictures:
        """That many pictures, of one label or of all as frequent as they were.

        The same seed gives the same ones. Raises `SyntheticError` for a label that was not learnt.
        """
        labels = self.codec.drawn(count, label, seed)
        hint = _no_hint(torch.zeros(count, *self.codec.shape))
        return self.codec.decode(self._drawn(labels, hint, None, seed), labels)

    def inpaint(
        self, pictures: Pictures, known: npt.NDArray[np.bool_], *, seed: int = 0
    ) -> Pictures:
        """The same pictures, with pixels drawn where `known` (n, height, width) is false.

        Their labels, if they have any, say what is drawn. Raises `PictureError`.
        """
        values = self.codec.encode(pictures)
        if known.dtype != np.bool_ or known.shape != (len(pictures), *pictures.size):
            raise PictureError(
                f"what is known has the shape {known.shape}: give a truth value for each pixel,"
                f" {(len(pictures), *pictures.size)}"
            )
        mask = torch.from_numpy(known)[:, None]
        labels, hint = self._labels(pictures), _no_hint(values)
        drawn = self._drawn(labels, hint, (values, mask), seed)
        return self._named(torch.where(mask, values, drawn), pictures)

    def upscale(self, pictures: Pictures, *, seed: int = 0) -> Pictures:
        """Pictures of the size that was learnt, drawn after those two or four times smaller.

        Their labels, if they have any, say what is drawn. Raises `PictureError`.
        """
        channels, height, width = self.codec.shape
        sizes = [(channels, -(-height // scale), -(-width // scale)) for scale in _SCALES]
        if pictures.shape not in sizes:
            raise PictureError(
                f"pictures of {pictures.width} x {pictures.height} can't be drawn larger: give"
                f" such of {' or '.join(f'{wide} x {high}' for _, high, wide in sizes)}"
            )
        small = torch.from_numpy(pictures.pixels.astype(np.float32) / 127.5 - 1)
        hint = _hint(small, torch.zeros(len(pictures), *self.codec.shape))
        return self._named(self._drawn(self._labels(pictures), hint, None, seed), pictures)

    def _labels(self, pictures: Pictures) -> Tensor:
        if pictures.labels is None:
            return torch.full((len(pictures),), self.codec.kinds)
        return self.codec.numbers(pictures)

    def _named(self, values: Tensor, like: Pictures) -> Pictures:
        return replace(self.codec.decode(values), labels=like.labels)

    def _drawn(
        self,
        labels: Tensor,
        hint: Tensor,
        given: tuple[Tensor, Tensor] | None,
        seed: int,
    ) -> Tensor:
        """(n, C, H, W); `given` are values, and which of them are known."""
        found = [torch.zeros(0, *self.codec.shape)]
        for at, seed_there in blocks(len(labels), seed):
            chance = torch.Generator().manual_seed(seed_there)
            noise = torch.randn(len(labels[at]), *self.codec.shape, generator=chance)
            direction = self._direction(labels[at], hint[at])
            with drawing():
                if given is None:
                    found.append(followed(direction, noise, steps=self.settings.sampling_steps))
                else:
                    there = given[0][at], given[1][at]
                    found.append(self._drawn_around(noise, direction, *there, chance))
        return torch.cat(found)

    def _direction(self, labels: Tensor, hint: Tensor) -> Direction:
        """Eq. 3, as a function of (B, C, H, W) and a moment."""

        def said(midway: Tensor, moment: float, told: Tensor) -> Tensor:
            moments = torch.full((len(midway),), moment)
            found: Tensor = self.network(torch.cat([midway, hint], dim=1), moments, told)
            return found

        untold, guidance = torch.full_like(labels, self.codec.kinds), self.settings.guidance

        def direction(midway: Tensor, moment: float) -> Tensor:
            ours = said(midway, moment, labels)
            if guidance == 1:
                return ours
            others = said(midway, moment, untold)
            return others + guidance * (ours - others)

        return direction

    def _drawn_around(
        self,
        noise: Tensor,
        direction: Direction,
        values: Tensor,
        known: Tensor,
        chance: torch.Generator,
    ) -> Tensor:
        steps, state = 2 * self.settings.sampling_steps, noise
        for step in range(steps):
            now, then = step / steps, (step + 1) / steps
            for left in reversed(range(self.settings.resampling)):
                state = torch.where(known, (1 - now) * noise + now * values, state)
                state = state + direction(state, now) / steps
                if left:
                    state = _back(state, then, now, chance)
        return state

    def about(self) -> dict[str, Any]:
        return {"pictures": self.codec.as_json(), "settings": asdict(self.settings)}

    def arrays(self) -> Arrays:
        return weights_of(self.network)

    @classmethod
    def restored(cls, about: Mapping[str, Any], arrays: Arrays) -> Self:
        codec = PictureCodec.from_json(about["pictures"])
        settings = Settings(**about["settings"])
        network = network_of(codec, settings)
        return cls(codec=codec, network=loaded(network, arrays), settings=settings)


def _back(ahead: Tensor, then: float, now: float, chance: torch.Generator) -> Tensor:
    """A place at the moment `now` from which the way may lead to `ahead` at the moment `then`."""
    share = now / then
    spread = math.sqrt((1 - now) ** 2 - (share * (1 - then)) ** 2)
    return share * ahead + spread * torch.randn(ahead.shape, generator=chance)


def network_of(codec: PictureCodec, settings: Settings) -> UNet:
    """Before it has learnt anything. Raises `SyntheticError` for settings without a width."""
    if settings.width is None:
        raise SyntheticError("the settings name no width")
    return UNet(
        codec.shape,
        beside=codec.shape[0] + 1,
        kinds=codec.kinds + 1,  # the last one says nothing
        width=settings.width,
        dropout=settings.dropout,
    )
