"""Drawn records brought to what their constraints allow, changed as little as that takes.

Sums are first projected: the nearest point on all of them at once, distances counted in each
column's own spread D, x - D Aᵀ (A D Aᵀ)⁺ (A x - c) (weighted least squares; Boyd and Vandenberghe,
Convex Optimization, 2004, sec. 8.1.1 and app. C). Then the columns are settled one after the other:
each is set to the nearest value that its domain still has, and what follows for the others is
propagated, so that sums close in whole units of the last decimal.
"""

from collections.abc import Sequence

import numpy as np

from rag_pipeline.synthetic.tables.constraints import (
    Claim,
    Combination,
    Condition,
    Constraint,
    Formula,
    Linear,
    Rule,
    claims_of,
    names_in,
    places,
)
from rag_pipeline.synthetic.tables.domains import Domains, NumberDomain
from rag_pipeline.synthetic.tables.propagation import alive, involved, propagate
from rag_pipeline.synthetic.tables.table import Numbers, Schema, Table, Values


def repaired(
    table: Table,
    constraints: Sequence[Constraint],
    domains: Domains,
    asked: Sequence[str],
    chance: np.random.Generator,
) -> Table:
    """The records with all columns that `constraints` name settled, those of `asked` first.

    `domains` are what each may be, and are narrowed. What can't be settled is left broken.
    """
    values = dict(table.values) | projected(table, constraints, asked)
    propagate(domains, constraints)
    names = order(constraints, table.schema, asked)
    words = [name for name in names if not table.schema.column(name).is_numeric]
    _settle_each(words, values, constraints, domains, chance)
    numbers = [name for name in names if table.schema.column(name).is_numeric]
    for name in numbers:
        _settle_presence(name, values[name], domains)
        propagate(domains, constraints, [name])
    _settle_each(numbers, values, constraints, domains, chance)
    return Table(schema=table.schema, values=values)


def _settle_each(
    names: Sequence[str],
    values: dict[str, Values],
    constraints: Sequence[Constraint],
    domains: Domains,
    chance: np.random.Generator,
) -> None:
    for name in names:
        settled = settle(name, values[name], constraints, domains, chance)
        is_dead = domains[name].is_empty
        values[name] = np.where(is_dead, values[name], settled)
        propagate(domains, constraints, [name])


def _settle_presence(name: str, values: Values, domains: Domains) -> None:
    """What was drawn stays present or missing, where it may: sums are only of what is present."""
    domain = domains[name]
    lacks = np.isnan(np.asarray(values, np.float64))
    domain.keep(Condition(column=name, operator="is present"), ~lacks & domain.may_have)
    domain.keep(Condition(column=name, operator="is missing"), lacks & domain.may_lack)


def settle(
    name: str,
    values: Values,
    constraints: Sequence[Constraint],
    domains: Domains,
    chance: np.random.Generator,
) -> Values:
    """(B,): the nearest values that the column may have, which are all that it has from now on."""
    domain = domains[name]
    found = domain.nearest(values, chance)
    for one in constraints:
        if isinstance(one, Combination) and name in one.columns and one.known:
            found = _snapped(one, name, found, domains)
    domain.fix(found)
    return found


def _snapped(combination: Combination, name: str, values: Values, domains: Domains) -> Values:
    """Numbers that are known together with what the other columns have."""
    domain = domains[name]
    if not isinstance(domain, NumberDomain):
        return values
    known = sorted(combination.known or (), key=repr)
    at = combination.columns.index(name)
    units = domain.units(np.array([key[at] for key in known], np.float64))
    given = domain.units(values)
    away = np.where(alive(combination, domains), np.abs(units - given[:, None]), np.inf)
    nearest = units[away.argmin(axis=1)]
    return np.where(np.isfinite(away.min(axis=1)), domain.values(nearest), values)


def order(
    constraints: Sequence[Constraint], schema: Schema, asked: Sequence[str]
) -> tuple[str, ...]:
    """Of the columns that constraints name: what a formula gives after all that it is computed of;
    else what is asked for, what premises depend on, then numbers, those with the fewest decimals
    first so that the last one closes a sum."""
    names = involved(constraints)
    premises = {c.column for one in constraints if isinstance(one, Rule) for c in one.premise}
    depths = _depths(constraints)

    def rank(name: str) -> tuple[int, int, int, int]:
        column = schema.column(name)
        decimals = places(column)
        kind = 0 if name in premises and not column.is_numeric else 1 + column.is_numeric
        return (
            depths.get(name, 0),
            0 if name in asked else 1,
            kind,
            99 if decimals is None else decimals,
        )

    return tuple(sorted(names, key=rank))


def _depths(constraints: Sequence[Constraint]) -> dict[str, int]:
    """How many formulas after one another give a column."""
    formulas = [
        claim for one in constraints for claim in _claims(one) if isinstance(claim, Formula)
    ]
    depths: dict[str, int] = {}
    for _ in formulas:
        for one in formulas:
            inner = max((depths.get(name, 0) for name in names_in(one.expression)), default=0)
            depths[one.column] = max(depths.get(one.column, 0), inner + 1)
    return depths


def _claims(constraint: Constraint) -> Sequence[Claim]:
    return constraint.conclusion if isinstance(constraint, Rule) else ()


def equations(constraints: Sequence[Constraint]) -> list[Constraint]:
    """Those that chance alone never keeps: sums and formulas of every record."""
    return [
        one
        for one in constraints
        if isinstance(one, Rule)
        and any(
            isinstance(claim, Formula) or (isinstance(claim, Linear) and claim.relation == "=")
            for claim in claims_of(one)
        )
    ]


def projected(
    table: Table, constraints: Sequence[Constraint], asked: Sequence[str]
) -> dict[str, Values]:
    """The columns of sums that every record has, at the nearest point on all of them; columns that
    are asked for stay, and so do records that lack one of them."""
    sums = [
        claim
        for one in equations(constraints)
        for claim in claims_of(one)
        if isinstance(claim, Linear) and claim.relation == "="
    ]
    names = list(dict.fromkeys(name for one in sums for name in one.columns))
    if not names:
        return {}
    given = np.stack([np.asarray(table.values[name], np.float64) for name in names], axis=1)
    whole = ~np.isnan(given).any(axis=1)
    if not whole.any():
        return {}
    weights = np.array([[float(dict(one.weights).get(name, 0)) for name in names] for one in sums])
    constants = np.array([float(one.constant) for one in sums])
    is_free = np.array([name not in asked for name in names])
    spread = np.where(is_free, given[whole].var(axis=0) + 1e-12, 0.0)
    nearest = _projection(given[whole], weights, constants, spread)
    # A record that keeps the sums as it is must not be moved by a rounding.
    off = np.abs(given[whole] @ weights.T - constants).max(axis=1) > _closed(table, sums)
    given[whole] = np.where(off[:, None], nearest, given[whole])
    return {name: given[:, at] for at, name in enumerate(names)}


def _projection(points: Numbers, weights: Numbers, constants: Numbers, spread: Numbers) -> Numbers:
    """(B, D) from `points` (B, D), `weights` (sums, D), `constants` (sums,), `spread` (D,)."""
    scaled_by = spread[:, None] * weights.T  # (D, sums)
    residual = points @ weights.T - constants  # (B, sums)
    inverse = np.linalg.pinv(weights @ scaled_by, hermitian=True)  # (sums, sums)
    return np.asarray(points - residual @ inverse @ scaled_by.T, np.float64)


def _closed(table: Table, sums: Sequence[Linear]) -> float:
    """Half of the smallest unit that any of the sums is counted in."""
    units = [1e-9]
    for one in sums:
        decimals = [places(table.schema.column(name)) for name in one.columns]
        known = [digits for digits in decimals if digits is not None]
        if len(known) == len(decimals):
            units.append(0.5 * 10.0 ** -max(known))
    return max(units) if len(units) == 1 else min(units[1:])
