"""Holds a generator that draws column by column to what is possible: masks on what it says.

Each column is drawn from what the network says of its codes times the share of their values that
constraints leave, given the columns before; its value is set at once, and what follows for the
columns to come is propagated.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rag_pipeline.synthetic.tables.coding import Codec, Codes, Shares, Wanted
from rag_pipeline.synthetic.tables.columns import (
    blocks,
    drawn_table,
    joined,
    wanted_shares,
)
from rag_pipeline.synthetic.tables.constraints import Condition, Constraint
from rag_pipeline.synthetic.tables.domains import Domains, Mask, NameDomain, NumberDomain
from rag_pipeline.synthetic.tables.even_draws import drawn_evenly
from rag_pipeline.synthetic.tables.propagation import propagate
from rag_pipeline.synthetic.tables.repair import order, settle
from rag_pipeline.synthetic.tables.table import Numbers, Schema, Table, Values

Says = Callable[[int, Codes, Mask], Numbers]
"""Of a column by its number, given codes (B, D) and which of them are known (B, D): (B, codes), how
likely each code is."""

_TRIED = 64
"""Values of each code, which tell how much of it is left."""
_DECODED = 4
"""How often a value within a code is drawn anew that is not left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guide:
    """Makes what holds a block of records."""

    domains: Callable[[int], Domains]
    """What so many records may be, before anything is drawn."""
    constraints: Sequence[Constraint]

    def block(self, count: int, seed: int) -> "GuidedBlock":
        """For that many records; what is drawn within codes depends on the seed."""
        domains = self.domains(count)
        propagate(domains, self.constraints)
        chance = np.random.default_rng([abs(seed), count])
        return GuidedBlock(domains=domains, constraints=self.constraints, chance=chance)

    def sample(
        self, schema: Schema, codecs: Mapping[str, Codec], says: Says,
        where: Mapping[str, Wanted], count: int, *, seed: int,
    ) -> Table:  # fmt: skip
        """That many records, a column after the other. Raises `SyntheticError` for conditions that
        no record can fulfil."""
        shares = wanted_shares(schema, codecs, where)
        held = [name for name in order(self.constraints, schema, [*where]) if name in codecs]
        drawn = [
            self.block(one.size, one.seed).drawn(codecs, says, held, shares, where)
            for one in blocks(count, seed)
        ]
        return drawn_table(schema, joined(drawn, codecs), count, seed=seed)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GuidedBlock:
    """Records that are being drawn."""

    domains: Domains
    constraints: Sequence[Constraint]
    chance: np.random.Generator

    def drawn(
        self, codecs: Mapping[str, Codec], says: Says, held: Sequence[str],
        shares: Mapping[int, Shares], where: Mapping[str, Wanted],
    ) -> dict[str, Values]:  # fmt: skip
        """By column: what is asked for first, then what is held, then all else in any order."""
        names = [*codecs]
        codes = np.zeros((self.count, len(names)), np.int64)
        known = np.zeros(codes.shape, np.bool_)
        found: dict[str, Values] = {}
        asked = [name for name in where if name not in held]
        rest = [name for name in self.chance.permutation(names).tolist() if name not in held]
        for name in dict.fromkeys([*asked, *held, *rest]):
            at, codec = names.index(name), codecs[name]
            likely = says(at, codes, known) * shares.get(at, codec.drawable)
            others = codes[:, known.any(axis=0)]
            if name in held:
                codes[:, at], found[name] = self.draw(name, codec, likely, others)
            else:
                codes[:, at] = drawn_evenly(likely, others, self.chance)
                found[name] = codec.decode(codes[:, at], self.chance, where.get(name))
            known[:, at] = True
        return found

    @property
    def count(self) -> int:
        """How many records."""
        return next(iter(self.domains.values())).may_lack.size

    def draw(self, name: str, codec: Codec, likely: Numbers, others: Codes) -> tuple[Codes, Values]:
        """A code and its value for each record, (B,) and (B,); `likely` (B, codes) are the
        network's probabilities, `others` (B, columns) the codes that are there."""
        domain = self.domains[name]
        lacks = self._lacks(name, likely)
        weights = likely[:, :-1] * _left(codec, domain, self.chance)
        hopeless = ~(weights.sum(axis=1) > 0)
        weights[hopeless] = likely[hopeless, :-1] + 1e-12
        codes = np.where(lacks, codec.size - 1, drawn_evenly(weights, others, self.chance))
        values = self._values(codec, codes, domain)
        settled = settle(name, values, self.constraints, self.domains, self.chance)
        propagate(self.domains, self.constraints, [name])
        return codec.encode(settled), settled

    def _lacks(self, name: str, likely: Numbers) -> Mask:
        """Whether each value is missing, which is told before which value it is: only what is
        present takes part in a sum."""
        domain = self.domains[name]
        lack = likely[:, -1] * domain.may_lack
        have = likely[:, :-1].sum(axis=1) * domain.may_have
        some = self.chance.random(lack.size)
        lacks = np.where(domain.may_have, some * (lack + have) < lack, domain.may_lack)
        for rows, operator in ((lacks, "is missing"), (~lacks, "is present")):
            domain.keep(Condition(column=name, operator=operator), rows)  # type: ignore[arg-type]
        propagate(self.domains, self.constraints, [name])
        return lacks

    def _values(self, codec: Codec, codes: Codes, domain: NumberDomain | NameDomain) -> Values:
        values = codec.decode(codes, self.chance, None)
        if isinstance(domain, NameDomain):
            return values
        for _ in range(_DECODED - 1):
            units = domain.units(np.asarray(values, np.float64))
            outside = (units < domain.low) | (units > domain.high)
            if not outside.any():
                break
            again = np.asarray(codec.decode(codes, self.chance, None), np.float64)
            values = np.where(outside, again, np.asarray(values, np.float64))
        return values


def _left(codec: Codec, domain: NumberDomain | NameDomain, chance: np.random.Generator) -> Numbers:
    """(B, codes - 1): which part of each code's values is left."""
    codes = np.arange(codec.size - 1)
    if isinstance(domain, NameDomain):
        shown = codec.decode(codes, chance, None)
        place = {name: at for at, name in enumerate(domain.names)}
        at = np.array([place.get(name, -1) for name in shown.tolist()], np.int64)
        return np.where(at >= 0, domain.allowed[:, np.maximum(at, 0)], False).astype(np.float64)
    found = np.zeros((domain.low.size, codes.size))
    tried = np.stack([codec.decode(codes, chance, None) for _ in range(_TRIED)], axis=1)
    for code, values in enumerate(np.sort(domain.units(tried.astype(np.float64)), axis=1)):
        ends = (
            np.searchsorted(values, domain.high, side="right"),
            np.searchsorted(values, domain.low, side="left"),
        )
        found[:, code] = np.maximum(ends[0] - ends[1], 0) / _TRIED
    return found
