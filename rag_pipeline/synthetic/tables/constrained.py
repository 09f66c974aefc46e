"""Any generator of tables under declared constraints: nothing is drawn that breaks one.

Neuro-symbolic sampling: the network says what is likely, propagation what is possible.

1. Records are drawn freely. Sums and formulas, which chance never keeps, are closed by the least
   change (`repair.py`), and what still breaks a constraint is drawn anew: that leaves records as
   they would be among those that keep all constraints.
2. Where too few are left so, a generator that draws column by column is held to what is possible as
   it draws (`Guided`, `guide.py`; after the masks on a decoder of Scholak, Schucher and Bahdanau,
   EMNLP 2021, arXiv:2109.05093). It always gets there, but bends what is likely a little more.
3. What is then missing is repaired, changed as little as it takes.

Turns are bounded. Whatever is given back was checked once more, exactly.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol, Self, cast, runtime_checkable

import numpy as np
import numpy.typing as npt

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.generator import Fitting, ScoresAnomalies, TableGenerator
from rag_pipeline.synthetic.methods import method, settings_of
from rag_pipeline.synthetic.tables.checking import learnt_from, violations
from rag_pipeline.synthetic.tables.coding import Arrays, Wanted, under
from rag_pipeline.synthetic.tables.columns import unlearnt
from rag_pipeline.synthetic.tables.conditions import fulfilling
from rag_pipeline.synthetic.tables.constraint_text import constraints_of
from rag_pipeline.synthetic.tables.constraints import (
    Combination,
    Constraint,
    ConstraintError,
    Unique,
)
from rag_pipeline.synthetic.tables.contradictions import refuse_contradictions
from rag_pipeline.synthetic.tables.guide import Guide
from rag_pipeline.synthetic.tables.possible import Possible, wanted_of_one
from rag_pipeline.synthetic.tables.propagation import involved, propagate
from rag_pipeline.synthetic.tables.repair import equations, repaired
from rag_pipeline.synthetic.tables.table import Schema, Table
from rag_pipeline.training.loop import Trained

_REDRAWN = 6
"""How often records that break a constraint are drawn anew."""
_ENOUGH_KEPT = 0.2
"""Of what is drawn first; below it, a generator is held to what is possible."""
_REPAIRED = 6
"""How often what is drawn is then repaired as well."""
_MOST_AT_ONCE = 4
"""Times what is asked for that are drawn in one turn."""
_FEWEST_AT_ONCE = 64
_SEEDS_APART = 1_000_003
_LEAST_KEPT = 0.5
"""Of the records that are learnt from, so many keep the constraints, or they are not theirs."""


@runtime_checkable
class Guided(Protocol):
    """A generator that is drawn column by column, and lets what is drawn be held to a guide."""

    def sample_guided(
        self, count: int, where: Mapping[str, Wanted], guide: Guide, *, seed: int = 0
    ) -> Table:
        """As `sample_conditionally`, with the guide asked and told at each column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Which method learns, and what must hold of each record."""

    constraints: tuple[str, ...] | str = ()
    """As texts of `constraints.py`; in one string there is a semicolon between them."""
    method: str = "table/autoregressive"
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of that method."""

    @property
    def texts(self) -> list[str]:
        """The constraints one by one."""
        if not isinstance(self.constraints, str):
            return [*self.constraints]
        return [text.strip() for text in self.constraints.split(";") if text.strip()]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Constrained:
    """A generator, and constraints that all that it draws keeps."""

    method: ClassVar[str] = "table/constrained"

    generator: TableGenerator
    constraints: tuple[Constraint, ...]
    possible: Possible
    """What a column that a constraint is about may be at all."""

    @property
    def schema(self) -> Schema:
        """That of the generator."""
        return self.generator.schema

    @classmethod
    def fit(
        cls, table: Table, settings: Settings | None = None, fitting: Fitting | None = None
    ) -> tuple[Self, Trained]:
        """Learn from those records of the table that keep the constraints.

        Raises `ConstraintError` for constraints that contradict each other, or that most of the
        records break, and what the method raises.
        """
        settings = settings or Settings()
        if settings.method == cls.method:
            raise SyntheticError(f"{cls.method} can't learn by itself: name another method")
        constraints = constraints_of(settings.texts, table.schema)
        kept = kept_by(table, constraints)
        learner = cast("Any", method(settings.method))
        generator, trained = learner.fit(
            kept, settings_of(settings.method, settings.settings), fitting
        )
        return cls.around(generator, constraints, kept), trained

    @classmethod
    def around(
        cls, generator: TableGenerator, constraints: Sequence[Constraint], table: Table
    ) -> Self:
        """A generator that has learnt already; `table` is what it learnt from.

        Raises `ConstraintError` for constraints that contradict each other.
        """
        learnt = learnt_from(table, constraints)
        refuse_contradictions(learnt, table.schema)
        return cls(
            generator=generator,
            constraints=learnt,
            possible=Possible.learnt(table, involved(learnt)),
        )

    def sample(self, count: int, *, seed: int = 0) -> Table:
        """That many records that keep the constraints. The same seed gives the same ones."""
        return self.sample_conditionally(count, {}, seed=seed)

    def sample_conditionally(
        self, count: int, where: Mapping[str, Wanted], *, seed: int = 0
    ) -> Table:
        """That many records that fulfil `where` and keep the constraints.

        Raises `ConstraintError` where no record can do both, or too few are found.
        """
        asked = self._asked(where)
        found = _unique(self._turn(0, count, asked, seed), self.constraints)
        is_rare = len(found) < _ENOUGH_KEPT * count
        for turn in range(1, _REDRAWN + _REPAIRED):
            if len(found) >= count:
                break
            more = _more(count - len(found), count)
            drawn = self._turn(turn, more, asked, seed, is_held=is_rare)
            found = _unique(joined(found, drawn), self.constraints)
            found = found.rows(np.arange(min(len(found), count)))
        if len(found) < count:
            raise self._too_few(found, count, where, asked, seed)
        return _with_keys(found, seed)

    def _turn(
        self,
        turn: int,
        count: int,
        asked: Mapping[str, Wanted],
        seed: int,
        *,
        is_held: bool = False,
    ) -> Table:
        """Records that keep all constraints on one record, of so many that are drawn."""
        of_turn = seed * _SEEDS_APART + turn
        draw = self._held if is_held else self.generator.sample_conditionally
        drawn = draw(count, asked, seed=of_turn)
        repairs = equations(self.constraints) if turn < _REDRAWN else [*self.constraints]
        if repairs:
            chance = np.random.default_rng([abs(of_turn), turn])
            drawn = repaired(
                drawn, repairs, self.possible.domains(len(drawn), asked), [*asked], chance
            )
        broken = violations(drawn, self._of_records()).mask | self.possible.lacks(drawn)
        return drawn.rows(np.flatnonzero(~broken & fulfilling(drawn, asked)))

    def _held(self, count: int, asked: Mapping[str, Wanted], *, seed: int) -> Table:
        if not isinstance(self.generator, Guided):
            return self.generator.sample_conditionally(count, asked, seed=seed)
        guide = Guide(
            domains=lambda many: self.possible.domains(many, asked), constraints=self.constraints
        )
        return self.generator.sample_guided(count, asked, guide, seed=seed)

    def _of_records(self) -> list[Constraint]:
        return [one for one in self.constraints if not isinstance(one, Unique)]

    def _asked(self, where: Mapping[str, Wanted]) -> dict[str, Wanted]:
        """`where` and what follows from it for other columns. Raises `ConstraintError`."""
        if not involved(self.constraints):
            return dict(where)
        before, after = self.possible.domains(1, {}), self.possible.domains(1, where)
        propagate(before, self.constraints)
        propagate(after, self.constraints)
        for name, domain in after.items():
            if domain.is_empty.any():
                raise ConstraintError(
                    f"no record that is as asked can keep the constraints: nothing is left for"
                    f" {name!r}; ask for something else"
                )
        found = dict(where)
        for name, domain in after.items():
            wanted = wanted_of_one(domain)
            if (
                wanted is not None
                and wanted != wanted_of_one(before[name])
                and self._draws(name, wanted)
            ):
                found[name] = wanted
        return found

    def _draws(self, name: str, wanted: Wanted) -> bool:
        """Whether the generator can be asked for that; a sum closes without it."""
        try:
            self.generator.sample_conditionally(1, {name: wanted})
        except SyntheticError:
            return False
        return True

    def _too_few(
        self, found: Table, count: int, where: Mapping[str, Wanted],
        asked: Mapping[str, Wanted], seed: int,
    ) -> ConstraintError:  # fmt: skip
        drawn = self.generator.sample_conditionally(_FEWEST_AT_ONCE, where, seed=seed)
        broken = violations(drawn, self.constraints)
        said = f"; as drawn, {broken}" if broken else ""
        return ConstraintError(
            f"only {len(found)} of {count} records were found that keep the constraints"
            f"{' and are as asked' if where else ''}{said}. Ask for fewer, or loosen them"
        )

    def score_anomalies(self, table: Table) -> npt.NDArray[np.float64]:
        """As the generator says; what breaks a constraint is infinitely strange."""
        if not hasattr(self.generator, "score_anomalies"):
            raise SyntheticError("the method that is under constraints scores no anomalies")
        scores = cast("ScoresAnomalies", self.generator).score_anomalies(table)
        return np.where(violations(table, self._of_records()).mask, np.inf, scores)

    def about(self) -> dict[str, Any]:
        return {
            "constraints": [one.text for one in self.constraints],
            "known": {one.text: sorted(map(list, one.known or ()), key=repr)
                      for one in self.constraints if isinstance(one, Combination)},
            "possible": self.possible.as_json(),
            "generator": {"method": self.generator.method, **self.generator.about()},
        }  # fmt: skip

    def arrays(self) -> Arrays:
        return {f"generator.{name}": array for name, array in self.generator.arrays().items()}

    @classmethod
    def restored(cls, about: Mapping[str, Any], arrays: Arrays) -> Self:
        inner = about["generator"]
        if inner["method"] == cls.method:
            raise ConstraintError("a generator under constraints holds another one like it")
        restored = method(inner["method"]).restored(inner, under("generator.", arrays))
        generator = cast("TableGenerator", restored)
        constraints = constraints_of(about["constraints"], generator.schema)
        known = {text: frozenset(map(tuple, keys)) for text, keys in about["known"].items()}
        return cls(
            generator=generator,
            constraints=tuple(
                replace(one, known=known[one.text]) if isinstance(one, Combination) else one
                for one in constraints
            ),
            possible=Possible.from_json(about["possible"], generator.schema),
        )


def kept_by(table: Table, constraints: Sequence[Constraint]) -> Table:
    """The records that keep the constraints.

    Raises `ConstraintError` for constraints that contradict each other, or that most of the records
    break.
    """
    refuse_contradictions(constraints, table.schema)
    broken = violations(table, constraints)
    if broken.mask.mean() > 1 - _LEAST_KEPT:
        raise ConstraintError(f"{broken}. Correct the records, or the constraints")
    return table.rows(np.flatnonzero(~broken.mask)) if broken else table


def joined(one: Table, other: Table) -> Table:
    """The records of both."""
    values = {name: np.concatenate([one.values[name], other.values[name]]) for name in one.values}
    return Table(schema=one.schema, values=values)


def _more(missing: int, count: int) -> int:
    return min(max(2 * missing, _FEWEST_AT_ONCE), max(_MOST_AT_ONCE * count, _FEWEST_AT_ONCE))


def _unique(table: Table, constraints: Sequence[Constraint]) -> Table:
    """Without records that are equal to one before where they must not be."""
    unique = [one for one in constraints if isinstance(one, Unique)]
    issued = {column.name for column in table.schema.columns if column.is_key}
    asked = [one for one in unique if not issued & {*one.columns}]
    return table.rows(np.flatnonzero(~violations(table, asked).mask)) if asked else table


def _with_keys(table: Table, seed: int) -> Table:
    """Keys are issued anew over all turns."""
    keys = {
        column.name: unlearnt(column, len(table), seed)
        for column in table.schema.columns
        if column.is_key
    }
    return Table(schema=table.schema, values={**table.values, **keys})
