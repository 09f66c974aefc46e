"""A generative adversarial network for pictures (Goodfellow et al., NeurIPS 2014).

The generator G makes a picture of noise and a label; the critic D says how real one looks. Both
learn by the hinge loss (Lim and Ye 2017, arXiv:1705.02894, eq. 9-10), on pictures changed by T
(`augmenting.py`):

    L_D = E max(0, 1 - D(T(x), y)) + E max(0, 1 + D(T(G(z, y)), y))                       (eq. 1)
    L_G = -E D(T(G(z, y)), y)                                                             (eq. 2)

Each layer of D is divided by its largest singular value, found by power iteration (Miyato et al.,
ICLR 2018, arXiv:1802.05957, eq. 8), and the label comes in as a product with what D sees (Miyato
and Koyama, ICLR 2018, arXiv:1802.05637, eq. 4). D judges some pictures of one label together, and
so sees when G makes the same ones again and again (Lin et al., NeurIPS 2018, arXiv:1712.04086).

The loss says nothing of how good the pictures are: those weights of G are kept, averaged over
steps, at which what it draws is nearest to what was learnt, by the Fréchet distance of the features
of a small classifier that is trained first (`features.py`); and a training that lost most of what
there is to draw is ended (`rag_pipeline.synthetic.collapse`).

Shapes: B pictures, C channels, H x W pixels, E wide what the networks are told.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from rag_pipeline.synthetic.collapse import Diversity, has_collapsed, too_low, validated
from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.generator import Fitting
from rag_pipeline.synthetic.images.augmenting import changed
from rag_pipeline.synthetic.images.coding import FEWEST_OF_A_LABEL, PictureCodec
from rag_pipeline.synthetic.images.features import FeatureNet, Features
from rag_pipeline.synthetic.images.gan_network import Critic, Drawing
from rag_pipeline.synthetic.images.learning import (
    Examples,
    blocks,
    course,
    drawing,
    encoded,
    fitting_width,
)
from rag_pipeline.synthetic.images.pictures import Pictures
from rag_pipeline.synthetic.judging.likeness import frechet_distance, precision_recall
from rag_pipeline.synthetic.learning import device_of, drawn_by, taught
from rag_pipeline.synthetic.tables.coding import Arrays
from rag_pipeline.synthetic.weights import loaded, weights_of
from rag_pipeline.training.checkpoints import Validation
from rag_pipeline.training.loop import Trained
from rag_pipeline.training.task import Opponent, sliced

_STEPS, _BATCH = 5_000, 64
_MOST_COMPARED = 1_000
"""Pictures of each kind at a validation."""
_BETAS = (0.0, 0.99)
_LEAST = Diversity(recall=0.02)
"""Less is a breach."""
_WARM_UP = 12
"""Validations, of twenty, that may all be breaches."""
_PATIENCE = 10
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How large the networks are, and for how long they learn."""

    width: int | None = None
    """Channels at full size; None: by the size of the pictures."""
    pack: int = 4
    """Pictures of one label that the critic sees at once."""
    noise: int = 64
    """Numbers that a picture is made of."""
    steps: int | None = None
    """None: by the number of pictures."""
    batch_size: int | None = None
    """None: by their size."""
    learning_rate: float = 5e-4
    critic_learning_rate: float = 1e-3
    feature_steps: int | None = None
    """Of the classifier by whose features weights are chosen, before any other; None: by the number
    of pictures."""

    def __post_init__(self) -> None:
        """Raise `SyntheticError` for what nothing can be learnt with."""
        if not 1 <= self.pack <= FEWEST_OF_A_LABEL:
            raise SyntheticError(
                f"pack is {self.pack}: give 1 to {FEWEST_OF_A_LABEL}, as many as each label has"
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Learning:
    """The task that `rag_pipeline.training.loop` trains."""

    model: Drawing
    critic: Critic
    learnt: Examples
    codec: PictureCodec
    settings: Settings
    net: FeatureNet
    real: Features
    """Of some pictures that are learnt."""

    @property
    def examples(self) -> int:
        return len(self.learnt)

    @property
    def opponents(self) -> Sequence[Opponent]:
        critic = Opponent(
            name="critic",
            model=self.critic,
            loss=self.critic_loss,
            learning_rate=self.settings.critic_learning_rate,
            betas=_BETAS,
        )
        return [critic]

    def batches(self, order: Sequence[int], size: int) -> list[list[int]]:
        """Packs stand together; of each label a few pictures that fill none are left out."""
        packs, labels, pack = list[list[int]](), self.learnt.labels.tolist(), self.settings.pack
        filling: dict[int, list[int]] = {}
        for row in order:
            begun = filling.setdefault(labels[row], [])
            begun.append(row)
            if len(begun) == pack:
                packs.append(filling.pop(labels[row]))
        several = sliced(range(len(packs)), max(1, size // pack))
        return [[row for at in some for row in packs[at]] for some in several]

    def loss(self, rows: Sequence[int]) -> Tensor:
        """Eq. 2 (scalar), for the labels of these pictures."""
        labels = self.learnt.at(list(rows)).beside(self.model).labels
        judged: Tensor = self.critic(changed(self._made(labels)), labels)
        return -judged.mean()

    def critic_loss(self, rows: Sequence[int]) -> Tensor:
        """Eq. 1 (scalar)."""
        batch = self.learnt.at(list(rows)).beside(self.model)
        with torch.no_grad():
            made = self._made(batch.labels)
        both = changed(torch.cat([batch.values, made]))
        real, drawn = self.critic(both, batch.labels.repeat(2)).chunk(2)
        return functional.relu(1 - real).mean() + functional.relu(1 + drawn).mean()

    def _made(self, labels: Tensor) -> Tensor:
        noise = torch.randn(len(labels), self.settings.noise, device=labels.device)
        made: Tensor = self.model(noise, labels)
        return made

    def validate(self) -> float:
        """Minus the Fréchet distance of what is drawn to what is learnt, over the spread of the
        latter; or far less where hardly anything of it is drawn."""
        drawn = self.drawn()
        distance = frechet_distance(self.real, drawn) / float(self.real.var(axis=0).sum())
        return validated(-distance, self.diversity(drawn), _LEAST)

    def is_lost(self, validations: Sequence[Validation]) -> bool:
        return has_collapsed(validations, warm_up=_WARM_UP)

    def diversity(self, drawn: Features) -> Diversity:
        """Of features, beside those of as many pictures that are learnt."""
        return Diversity(recall=precision_recall(self.real, drawn)[1])

    def drawn(self) -> Features:
        """Of as many pictures drawn, with the same noise each time."""
        device, chance = device_of(self.model), torch.Generator().manual_seed(0)
        labels = self.codec.drawn(len(self.real), None, 0)
        noise = torch.randn(len(labels), self.settings.noise, generator=chance)
        with torch.no_grad():
            made = self.model(noise.to(device), labels.to(device)).cpu()
        return self.net.features(self.codec.decode(made))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gan:
    """Draws pictures like those that it has learnt, at once."""

    method: ClassVar[str] = "image/gan"

    codec: PictureCodec
    network: Drawing
    settings: Settings
    diversity: Diversity
    """Of what it draws, beside as many pictures that it learnt."""
    collapsed: bool
    """Whether the training was ended because hardly anything of what there is was drawn any more.
    The weights are the best before."""

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
        task = _task(pictures, settings, fitting)
        how = course(settings, pictures, steps=_STEPS, batch_size=_BATCH)
        trained = taught(task, how, fitting, betas=_BETAS, weight_decay=0.0, patience=_PATIENCE)
        model = cls(
            codec=task.codec,
            network=task.model,
            settings=replace(settings, steps=trained.planned_steps, batch_size=how.batch_size),
            diversity=task.diversity(task.drawn()),
            collapsed=has_collapsed(trained.validations, warm_up=_WARM_UP),
        )
        model._warn()
        return model, trained

    def sample(self, count: int, label: str | None = None, *, seed: int = 0) -> Pictures:
        """That many pictures, of one label or of all as frequent as they were.

        The same seed gives the same ones. Raises `SyntheticError` for a label that was not learnt.
        """
        labels = self.codec.drawn(count, label, seed)
        found = [torch.zeros(0, *self.codec.shape)]
        for at, seed_there in blocks(count, seed):
            chance = torch.Generator().manual_seed(seed_there)
            noise = torch.randn(len(labels[at]), self.settings.noise, generator=chance)
            with drawing():
                found.append(self.network(noise, labels[at]))
        return self.codec.decode(torch.cat(found), labels)

    def _warn(self) -> None:
        if self.collapsed or too_low(self.diversity, _LEAST):
            _log.warning(
                "Hardly anything of what the pictures show is drawn: a recall of %.2f. Fit again"
                " for more steps, with a lower learning rate, or with more pictures.",
                self.diversity.recall,
            )

    def about(self) -> dict[str, Any]:
        return {
            "pictures": self.codec.as_json(),
            "settings": asdict(self.settings),
            "diversity": self.diversity.as_json(),
            "collapsed": self.collapsed,
        }

    def arrays(self) -> Arrays:
        return weights_of(self.network)

    @classmethod
    def restored(cls, about: Mapping[str, Any], arrays: Arrays) -> Self:
        codec = PictureCodec.from_json(about["pictures"])
        settings = Settings(**about["settings"])
        network = network_of(codec, settings)
        return cls(
            codec=codec,
            network=loaded(network, arrays),
            settings=settings,
            diversity=Diversity(**about["diversity"]),
            collapsed=bool(about["collapsed"]),
        )


def _task(pictures: Pictures, settings: Settings, fitting: Fitting) -> Learning:
    codec = PictureCodec.learnt(pictures)
    net = FeatureNet.fit(
        pictures,
        codec=codec,
        steps=settings.feature_steps,
        seed=fitting.seed,
        threads=fitting.threads,
    )
    some = np.random.default_rng(fitting.seed).permutation(len(pictures))[:_MOST_COMPARED]
    with drawn_by(fitting.seed):
        network = network_of(codec, settings)
        critic = Critic(codec.shape, codec.kinds, settings.width or 0, settings.pack)
    return Learning(
        model=network,
        critic=critic,
        learnt=encoded(codec, pictures),
        codec=codec,
        settings=settings,
        net=net,
        real=net.features(pictures.rows(some)),
    )


def network_of(codec: PictureCodec, settings: Settings) -> Drawing:
    """Before it has learnt anything. Raises `SyntheticError` for settings without a width."""
    if settings.width is None:
        raise SyntheticError("the settings name no width")
    return Drawing(codec.shape, codec.kinds, settings.width, settings.noise)
