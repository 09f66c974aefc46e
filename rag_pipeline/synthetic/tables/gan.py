"""A generative adversarial network for tables (Goodfellow et al., NeurIPS 2014).

The generator makes of noise, and of what it is told of a record, the chances of all codes of all
columns, and chooses one each; the critic says how real a pack of records looks. It is a conditional
GAN trained by sampling, as CTGAN is (Xu et al., NeurIPS 2019, arXiv:1907.00503), but

- codes instead of Gaussian modes, so that every column is chosen, and the generator begins with
  their shares in the table;
- it is first the decoder of an autoencoder, so that noise means something before the critic looks;
- the loss is relativistic with penalties on the slopes of the critic, which was nearer to the
  real table after as many seconds than that of WGAN-GP (Gulrajani et al., NeurIPS 2017), and the
  mean products of features are matched (`gan_learning.py` has the equations);
- any columns may be told, not one.

The losses say nothing of how good the records are. The weights are kept at which shapes and trends
are nearest to records that were held back, and a generator that no longer draws all kinds of
records ends the training (`collapse.py`).

Shapes: B records, D columns, K codes of all columns together.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from rag_pipeline.synthetic.collapse import Diversity, has_collapsed, too_low
from rag_pipeline.synthetic.generator import Fitting
from rag_pipeline.synthetic.learning import Steps, divided, drawn_by, taught
from rag_pipeline.synthetic.tables.categorical import code_drawn, decoded
from rag_pipeline.synthetic.tables.coding import (
    Arrays,
    Codec,
    Shares,
    Wanted,
    arrays_of,
    kinds_of,
    restored,
)
from rag_pipeline.synthetic.tables.columns import (
    Block,
    blocks,
    codes_of,
    drawn_table,
    joined,
    learnt_codecs,
    schema_of,
    wanted_shares,
)
from rag_pipeline.synthetic.tables.gan_learning import (
    BETAS,
    Contest,
    Shown,
    WarmStart,
)
from rag_pipeline.synthetic.tables.gan_network import (
    Autoencoder,
    Critic,
    Encoder,
    GeneratorNetwork,
)
from rag_pipeline.synthetic.tables.table import Schema, Table, Values
from rag_pipeline.synthetic.weights import loaded, weights_of
from rag_pipeline.training.checkpoints import CheckpointFile
from rag_pipeline.training.loop import Trained

_log = logging.getLogger(__name__)

_WARM_SHARE = 0.6
"""Of a budget."""
_WARM_RATE = 2e-3
_WARM_EMA = 0.99
_SWEEPS = 4
"""How often columns that several conditions hold for are drawn again, given the others."""
_PATIENCE = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How large the networks are, and for how long they learn."""

    width: int = 192
    depth: int = 2
    noise: int = 64
    critic_width: int = 192
    pack: int = 5
    """Records that the critic judges together."""
    warm_steps: int = 3_000
    steps: int = 1_200
    """Of the generator against the critic."""
    batch_size: int = 200
    learning_rate: float = 2e-4
    critic_rate: float = 4e-4
    penalty: float = 1.0
    matching: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gan:
    """Draws records like those that it has learnt."""

    method: ClassVar[str] = "table/gan"

    schema: Schema
    codecs: Mapping[str, Codec]
    """By the name of each column that is learnt: keys and texts are not."""
    network: GeneratorNetwork
    settings: Settings
    """With as many steps as there were."""
    diversity: Diversity
    """Of what it draws, beside as many records that it learnt."""
    collapsed: bool
    """Whether the training was ended because it did not draw all kinds of records any more. The
    weights are the best before."""

    @classmethod
    def fit(
        cls, table: Table, settings: Settings | None = None, fitting: Fitting | None = None
    ) -> tuple[Self, Trained]:
        """Learn a table. The same arguments give the same weights. Of a budget, `_WARM_SHARE` is
        for the warm start.

        Raises `SyntheticError`, `TrainingError`.
        """
        settings, fitting = settings or Settings(), fitting or Fitting()
        codecs = learnt_codecs(table)
        learnt, held_back = divided(len(table), fitting.seed)
        codes = torch.tensor(codes_of(codecs, table))
        shown = Shown.learnt(codes[learnt], [*codecs.values()])
        with drawn_by(fitting.seed):
            contest = _contest(codecs, settings, shown, codes[held_back])
            encoder = Encoder(shown.features.shape[1], noise=settings.noise, width=settings.width)
        warm_steps = _warmed(contest, encoder, settings, fitting)
        course = Steps(settings.steps, settings.batch_size, settings.learning_rate)
        rest = replace(fitting, budget_s=_part(fitting, 1 - _WARM_SHARE))
        trained = taught(contest, course, rest, betas=BETAS, weight_decay=0.0, patience=_PATIENCE)
        _remove_warm(fitting)
        model = cls(
            schema=table.schema,
            codecs=codecs,
            network=contest.model,
            settings=replace(settings, warm_steps=warm_steps, steps=trained.planned_steps),
            diversity=contest.diversity(),
            collapsed=has_collapsed(trained.validations),
        )
        model._warn()
        return model, trained

    def sample(self, count: int, *, seed: int = 0) -> Table:
        """That many records. The same seed gives the same ones."""
        return self.sample_conditionally(count, {}, seed=seed)

    def sample_conditionally(
        self, count: int, where: Mapping[str, Wanted], *, seed: int = 0
    ) -> Table:
        """That many records, all of which fulfil `where`: conditions on any of the columns.

        None is thrown away: a column of which something is asked is chosen among what is wanted,
        and the others are made for it. Raises `SyntheticError` for a column that was not learnt,
        and for what no record can be.
        """
        shares = wanted_shares(self.schema, self.codecs, where)
        drawn = [self._block(block, where, shares, seed) for block in blocks(count, seed)]
        return drawn_table(self.schema, joined(drawn, self.codecs), count, seed=seed)

    def _warn(self) -> None:
        if self.collapsed:
            _log.warning(
                "The training was ended, for not all kinds of records were drawn any more (too low:"
                " %s). The weights are the best before: look at the report, or fit again with a"
                " lower learning rate, or with more records.",
                ", ".join(too_low(self.diversity)) or "at the end, not at the best",
            )

    @torch.no_grad()
    def _block(
        self, block: Block, where: Mapping[str, Wanted], shares: Mapping[int, Shares], seed: int
    ) -> dict[str, Values]:
        chance = torch.Generator().manual_seed(block.seed)
        codes = torch.zeros(block.size, len(self.codecs), dtype=torch.int64)
        known = torch.zeros(codes.shape, dtype=torch.bool)
        order = torch.randperm(len(self.codecs), generator=chance).tolist()
        asked = [column for column in order if column in shares]
        for column in [*asked, *asked * (_SWEEPS if len(asked) > 1 else 0)]:
            known[:, column] = False
            logits = self._logits(codes, known, chance)[column]
            codes[:, column] = _drawn(logits, shares[column], chance)
            known[:, column] = True
        for column, logits in enumerate(self._logits(codes, known, chance)):
            if column not in shares:
                drawable = [*self.codecs.values()][column].drawable
                codes[:, column] = _drawn(logits, drawable.astype(float), chance)
        return decoded(self.codecs, codes, where, np.random.default_rng([seed, block.first]))

    def _logits(self, codes: Tensor, known: Tensor, chance: torch.Generator) -> Sequence[Tensor]:
        """(B, codes of the column) each, from new noise."""
        noise = torch.randn(len(codes), self.network.noise, generator=chance)
        return self.network(noise, codes, known).split(self.network.sizes, dim=1)  # type: ignore[no-any-return]

    def about(self) -> dict[str, Any]:
        return {
            "schema": self.schema.as_json(),
            "settings": asdict(self.settings),
            "codecs": kinds_of(self.codecs),
            "diversity": self.diversity.as_json(),
            "collapsed": self.collapsed,
        }

    def arrays(self) -> Arrays:
        return {**weights_of(self.network), **arrays_of(self.codecs)}

    @classmethod
    def restored(cls, about: Mapping[str, Any], arrays: Arrays) -> Self:
        settings, codecs = Settings(**about["settings"]), restored(about["codecs"], arrays)
        seen = torch.ones(sum(codec.size for codec in codecs.values()))
        network = _network([*codecs.values()], seen, settings)
        return cls(
            schema=schema_of(about, codecs),
            codecs=codecs,
            network=loaded(network, arrays),
            settings=settings,
            diversity=Diversity(**about["diversity"]),
            collapsed=bool(about["collapsed"]),
        )


def _network(codecs: Sequence[Codec], seen: Tensor, settings: Settings) -> GeneratorNetwork:
    return GeneratorNetwork(
        codecs, seen, noise=settings.noise, width=settings.width, depth=settings.depth
    )


def _contest(
    codecs: Mapping[str, Codec], settings: Settings, shown: Shown, held_back: Tensor
) -> Contest:
    features = shown.features.shape[1] + len(codecs)  # and which columns are told
    return Contest(
        model=_network([*codecs.values()], shown.conditions.count, settings),
        critic=Critic(features, pack=settings.pack, width=settings.critic_width),
        shown=shown,
        held_back=held_back,
        critic_rate=settings.critic_rate,
        penalty=settings.penalty,
        matching=settings.matching,
    )


def _warmed(contest: Contest, encoder: Encoder, settings: Settings, fitting: Fitting) -> int:
    """Let the generator learn as a decoder; how many steps that took.

    None, where there is a checkpoint of what comes after it.
    """
    checkpoints = fitting.checkpoints
    if checkpoints is not None and checkpoints.load() is not None:
        return settings.warm_steps
    task = WarmStart(
        model=Autoencoder(contest.model, encoder),
        shown=contest.shown,
        held_back=contest.held_back,
    )
    course = Steps(settings.warm_steps, settings.batch_size, _WARM_RATE)
    part = replace(
        fitting, budget_s=_part(fitting, _WARM_SHARE), checkpoints=_warm_file(checkpoints)
    )
    return taught(task, course, part, ema=_WARM_EMA, validations=4, patience=4).planned_steps


def _part(fitting: Fitting, share: float) -> float | None:
    return None if fitting.budget_s is None else fitting.budget_s * share


def _warm_file(of_fit: CheckpointFile | None) -> CheckpointFile | None:
    """Where the warm start keeps how far it has come: beside the file of what follows."""
    if of_fit is None:
        return None
    path = of_fit.path.with_name(f"warm-{of_fit.path.name}")
    return CheckpointFile(path=path, fingerprint=of_fit.fingerprint, every_s=of_fit.every_s)


def _remove_warm(fitting: Fitting) -> None:
    file = _warm_file(fitting.checkpoints)
    if file is not None:
        file.remove()


def _drawn(logits: Tensor, shares: Shares, chance: torch.Generator) -> Tensor:
    """(B,): a code for each of `logits` (B, codes), of those that have a share."""
    allowed = torch.tensor(shares).log().float()
    return code_drawn(logits + allowed, chance)
