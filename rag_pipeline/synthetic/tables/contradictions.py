"""Constraints that no record could keep, found before anything is learnt."""

from collections.abc import Sequence

import numpy as np

from rag_pipeline.synthetic.tables.constraints import (
    Combination,
    Condition,
    Constraint,
    ConstraintError,
    Linear,
    Rule,
    Value,
    claims_of,
)
from rag_pipeline.synthetic.tables.domains import Domains, NameDomain, NumberDomain
from rag_pipeline.synthetic.tables.propagation import involved, propagate, sides
from rag_pipeline.synthetic.tables.table import Numbers, Schema

_TIGHT = 1e-6


def refuse_contradictions(constraints: Sequence[Constraint], schema: Schema) -> None:
    """Raise `ConstraintError`, naming as few constraints as contradict each other, if no record
    that has a value in each of their columns can keep them all."""
    if not _contradict(constraints, schema):
        return
    core = [*constraints]
    for one in constraints:
        rest = [other for other in core if other is not one]
        if _contradict(rest, schema):
            core = rest
    texts = " and ".join(repr(one.text) for one in core)
    raise ConstraintError(
        f"no record can keep {texts}: change or remove " + ("one of them" if core[1:] else "it")
    )


def _contradict(constraints: Sequence[Constraint], schema: Schema) -> bool:
    names = involved(constraints)
    if not names:
        return False
    domains = _whole(constraints, names, schema)
    propagate(domains, constraints)
    if any(bool(domain.is_empty.any()) for domain in domains.values()):
        return True
    sums = [claim for one in constraints for claim in claims_of(one) if isinstance(claim, Linear)]
    return bool(sums) and _no_point(sums, domains)


def _no_point(sums: Sequence[Linear], domains: Domains) -> bool:
    """Whether no numbers within their ends keep all the sums, by linear programming: bounds alone
    do not tell where no end is known, as of a < b and b < a."""
    from scipy.optimize import linprog

    numbers = {n: one for n, one in domains.items() if isinstance(one, NumberDomain)}
    numbers = {n: one for n, one in numbers.items() if not one.may_lack.any()}
    order = [*numbers]
    rows: list[Numbers] = []
    limits: list[float] = []
    for linear in sums:
        if not {*linear.columns} <= {*order}:
            continue
        of_linear = {name: numbers[name] for name in linear.columns}
        for side in sides(linear, of_linear) or ():
            row = np.array([side.weights.get(name, 0.0) for name in order])
            is_open = linear.relation == "<" and not side.is_whole
            largest = np.abs(row).max()
            rows.append(np.append(row / largest, 1.0 if is_open else 0.0))
            limits.append(side.constant / largest)
    if not rows:
        return False
    ends = [(float(one.low[0]), float(one.high[0])) for one in numbers.values()]
    margin = np.append(np.zeros(len(order)), -1.0)
    found = linprog(margin, A_ub=np.stack(rows), b_ub=limits, bounds=[*ends, (0.0, 1.0)])
    is_tight = found.status == 0 and any(row[-1] for row in rows) and found.x[-1] < _TIGHT
    return bool(found.status == 2 or is_tight)


def _whole(constraints: Sequence[Constraint], names: Sequence[str], schema: Schema) -> Domains:
    """One record that may have any value, and lacks none but what a constraint says is missing."""
    conditions = _conditions(constraints)
    lacking = {one.column for one in conditions if one.operator in ("is missing", "is present")}
    found: dict[str, NumberDomain | NameDomain] = {}
    for column in map(schema.column, names):
        if column.is_numeric:
            found[column.name] = NumberDomain.free(column, 1, may_lack=column.name in lacking)
            continue
        words = {str(v): 1.0 for one in conditions if one.column == column.name for v in one.values}
        words |= {str(key[at]): 1.0 for at, key in _together(constraints, column.name)}
        words["\0any other"] = 1.0
        found[column.name] = NameDomain.free(words, 1, may_lack=column.name in lacking)
    return found


def _together(constraints: Sequence[Constraint], name: str) -> list[tuple[int, tuple[Value, ...]]]:
    return [
        (one.columns.index(name), key)
        for one in constraints
        if isinstance(one, Combination) and name in one.columns
        for key in one.known or ()
    ]


def _conditions(constraints: Sequence[Constraint]) -> list[Condition]:
    rules = [one for one in constraints if isinstance(one, Rule)]
    parts = [part for rule in rules for part in (*rule.premise, *rule.conclusion)]
    return [part for part in parts if isinstance(part, Condition)]
