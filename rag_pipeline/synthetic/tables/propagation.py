"""What follows from constraints for columns that are not known yet: domains narrowed to a fixpoint.

A rule is used both ways: where its premise is certain its conclusion must not be false, and where
its conclusion is false the last open condition of its premise must not be true. A sum bounds each
of its columns by what the others leave: from sum of w x <= k follows w_j x_j <= k - sum of the
least w_i x_i (Schulte and Stuckey, ACM TOPLAS 31(1), 2008, sec. 2).
"""

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

from rag_pipeline.synthetic.tables.constraints import (
    Claim,
    Combination,
    Condition,
    Constraint,
    Expression,
    Formula,
    Linear,
    OneHot,
    Rule,
    Unique,
)
from rag_pipeline.synthetic.tables.domains import (
    Domains,
    Mask,
    NameDomain,
    NumberDomain,
    places_of,
)
from rag_pipeline.synthetic.tables.intervals import downwards, upwards
from rag_pipeline.synthetic.tables.table import Numbers

_CALLS = 40
"""How often each constraint is used at most, should its bounds only creep."""
_SLACK = 1e-9
"""Of numbers without decimals, which are never summed exactly."""


def propagate(
    domains: Domains, constraints: Sequence[Constraint], of: Iterable[str] | None = None
) -> None:
    """Narrow the domains to what follows; with `of`, from changes of these columns."""
    changed = set(domains if of is None else of)
    waiting = deque(one for one in constraints if changed & {*one.columns})
    for _ in range(_CALLS * len(constraints)):
        if not waiting:
            return
        narrowed = _narrow(waiting.popleft(), domains)
        waiting.extend(
            one for one in constraints if one not in waiting and narrowed & {*one.columns}
        )


def _narrow(constraint: Constraint, domains: Domains) -> set[str]:
    """The columns that it narrowed."""
    if isinstance(constraint, Rule):
        return _rule(constraint, domains)
    if isinstance(constraint, OneHot):
        everywhere = np.ones(_count(domains), np.bool_)
        return set().union(*(_claim(one, domains, everywhere) for one in constraint.claims))
    if isinstance(constraint, Combination) and constraint.known is not None:
        return _combination(constraint, domains)
    return set()


def _count(domains: Domains) -> int:
    return next(iter(domains.values())).may_lack.size


def _rule(rule: Rule, domains: Domains) -> set[str]:
    holds = np.ones(_count(domains), np.bool_)
    true = [_is_true(condition, domains) for condition in rule.premise]
    for one in true:
        holds = holds & one
    narrowed: set[str] = set()
    for claim in rule.conclusion:
        narrowed |= _claim(claim, domains, holds)
    if not rule.premise:
        return narrowed
    fails = ~holds & _any_false(rule.conclusion, domains)
    for condition, is_true in zip(rule.premise, true, strict=True):
        others = sum((one.astype(np.int64) for one in true), -is_true.astype(np.int64))
        last = fails & ~is_true & (others == len(true) - 1)
        if last.any() and domains[condition.column].keep(condition.negated, last):
            narrowed.add(condition.column)
    return narrowed


def _is_true(condition: Condition, domains: Domains) -> Mask:
    """(B,): of all that is left."""
    domain = domains[condition.column]
    decides = condition.operator in ("is missing", "is present")
    return (
        (decides | ~domain.may_lack) & ~domain.can_be(condition.negated) & domain.can_be(condition)
    )


def _any_false(claims: Sequence[Claim], domains: Domains) -> Mask:
    """(B,): where one of them is false of all that is left."""
    found = np.zeros(_count(domains), np.bool_)
    for claim in claims:
        if isinstance(claim, Condition):
            found |= _is_true(claim.negated, domains)
        elif isinstance(claim, Linear):
            found |= _is_false(claim, domains)
    return found


def _claim(claim: Claim, domains: Domains, rows: Mask) -> set[str]:
    if isinstance(claim, Condition):
        return {claim.column} if domains[claim.column].keep(claim, rows) else set()
    if isinstance(claim, Linear):
        return _linear(claim, domains, rows)
    return _formula(claim, domains, rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """A sum in units of the last decimal of any of its columns."""

    weights: Mapping[str, float]
    """For a unit of each column; whole numbers if `is_whole`."""
    relation: Literal["=", "<="]
    constant: float
    is_whole: bool


def scaled(linear: Linear, decimals: Mapping[str, int | None]) -> Scaled | None:
    """The same in units; None for what no whole numbers can be."""
    known = [places for name in linear.columns if (places := decimals[name]) is not None]
    is_whole = len(known) == len(linear.weights)
    unit = Fraction(10) ** (max(known) if is_whole else 0)
    weights = {n: w * unit / Fraction(10) ** (decimals[n] or 0) for n, w in linear.weights}
    constant = linear.constant * unit
    if not is_whole:
        of_float = {name: float(weight) for name, weight in weights.items()}
        relation: Literal["=", "<="] = "=" if linear.relation == "=" else "<="
        return Scaled(weights=of_float, relation=relation, constant=float(constant), is_whole=False)
    by = Fraction(math.lcm(*(weight.denominator for weight in weights.values())))
    by /= math.gcd(*(int(weight * by) for weight in weights.values()))
    whole = {name: float(weight * by) for name, weight in weights.items()}
    limit = constant * by
    if linear.relation == "=":
        is_possible = limit.denominator == 1
        return (
            Scaled(weights=whole, relation="=", constant=float(limit), is_whole=True)
            if is_possible
            else None
        )
    last = math.ceil(limit) - 1 if linear.relation == "<" else math.floor(limit)
    return Scaled(weights=whole, relation="<=", constant=float(last), is_whole=True)


def _numbers(domains: Domains, names: Iterable[str]) -> dict[str, NumberDomain]:
    return {name: one for name in names if isinstance(one := domains[name], NumberDomain)}


def _present(domains: Domains, names: Iterable[str]) -> Mask:
    """(B,): where none of them can be missing, and each can be something."""
    found = np.ones(_count(domains), np.bool_)
    for name in names:
        found &= ~domains[name].may_lack & domains[name].may_have
    return found


def sides(linear: Linear, numbers: Mapping[str, NumberDomain]) -> list[Scaled] | None:
    """The sum as one or two of the form <= k."""
    one = scaled(linear, {name: domain.decimals for name, domain in numbers.items()})
    if one is None or one.relation == "<=":
        return None if one is None else [one]
    turned = Scaled(
        weights={name: -weight for name, weight in one.weights.items()},
        relation="<=",
        constant=-one.constant,
        is_whole=one.is_whole,
    )
    return [one, turned]


def _least(weight: float, domain: NumberDomain) -> Numbers:
    return weight * (domain.low if weight > 0 else domain.high)


def _is_false(linear: Linear, domains: Domains) -> Mask:
    numbers = _numbers(domains, linear.columns)
    present, both = _present(domains, linear.columns), sides(linear, numbers)
    if both is None:
        return present
    found = np.zeros(present.shape, np.bool_)
    for side in both:
        least = sum((_least(w, numbers[n]) for n, w in side.weights.items()), np.zeros(1))
        slack = 0.0 if side.is_whole else _SLACK * (1 + np.abs(least))
        found |= least > side.constant + slack
    return found & present


def _linear(linear: Linear, domains: Domains, rows: Mask) -> set[str]:
    numbers = _numbers(domains, linear.columns)
    rows = rows & _present(domains, linear.columns)
    both = sides(linear, numbers)
    if both is None:
        first, never = linear.columns[0], np.full(rows.shape, np.inf)
        return {first} if numbers[first].narrow(never, -never, rows) else set()
    narrowed: set[str] = set()
    for side in both:
        for name, weight in side.weights.items():
            others = [_least(w, numbers[n]) for n, w in side.weights.items() if n != name]
            room = side.constant - sum(others, np.zeros(rows.shape))
            if _bounded(numbers[name], weight, room, rows, is_whole=side.is_whole):
                narrowed.add(name)
    return narrowed


def _bounded(
    domain: NumberDomain, weight: float, room: Numbers, rows: Mask, *, is_whole: bool
) -> bool:
    """Keep weight * x <= room; whether that narrowed anything."""
    sign = math.copysign(1.0, weight)
    limit = room / abs(weight)  # of sign * x, from above
    relative = _SLACK * (1 + np.abs(np.nan_to_num(limit, posinf=0.0, neginf=0.0)))
    slack = 0.25 / abs(weight) if is_whole else np.minimum(relative, 0.25)
    if domain.decimals is not None:
        limit = np.floor(limit + slack)
    else:  # a sum that rounding alone makes too large leaves the least that there is
        least = _least(sign, domain)
        limit = np.where((limit < least) & (limit >= least - slack), least, limit)
    free = np.full(room.shape, np.inf)
    low, high = (-free, limit) if weight > 0 else (-limit, free)
    return domain.narrow(low, high, rows)


def computed(expression: Expression, values: Mapping[str, Numbers]) -> Numbers:
    """The expression of each record; NaN where it has no value."""
    if isinstance(expression, Fraction):
        return np.array([float(expression)])
    if isinstance(expression, str):
        return values[expression]
    sign, one, other = expression[0], *(computed(side, values) for side in expression[1:])
    with np.errstate(all="ignore"):
        found = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide}[sign](one, other)
    return np.where(np.isfinite(found), found, np.nan)


def _formula(formula: Formula, domains: Domains, rows: Mask) -> set[str]:
    numbers = _numbers(domains, formula.columns)
    rows = rows & _present(domains, formula.columns)
    if not rows.any():
        return set()
    ends = {n: (one.values(one.low), one.values(one.high)) for n, one in numbers.items()}
    target, free = numbers[formula.column], np.zeros(rows.shape)
    low, high = (target.units(end + free) for end in upwards(formula.expression, ends))
    narrowed = {formula.column} if target.narrow(low, high, rows) else set()
    half = 0.0 if target.decimals is None else 0.5
    within = target.values(target.low - half), target.values(target.high + half)
    for name, (least, most) in downwards(formula.expression, within, ends).items():
        inner = numbers[name]
        lowest, highest = _whole_ends(inner, least + free, most + free)
        if inner.narrow(lowest, highest, rows):
            narrowed.add(name)
    return narrowed


def _whole_ends(domain: NumberDomain, low: Numbers, high: Numbers) -> tuple[Numbers, Numbers]:
    """The units of the column that lie from `low` to `high`."""
    if domain.decimals is None:
        slack = _SLACK * (1 + np.abs(np.nan_to_num(low)) + np.abs(np.nan_to_num(high)))
        return low - slack, high + slack
    unit = 10.0**domain.decimals
    return np.ceil(low * unit - _SLACK), np.floor(high * unit + _SLACK)


def alive(combination: Combination, domains: Domains) -> Mask:
    """(B, M): which of what is known together is left."""
    known = sorted(combination.known or (), key=repr)
    found = np.ones((_count(domains), len(known)), np.bool_)
    for at, name in enumerate(combination.columns):
        domain, column = domains[name], [one[at] for one in known]
        if isinstance(domain, NameDomain):
            places = places_of(domain.names, np.array(column, np.object_))
            found &= domain.allowed[:, np.maximum(places, 0)] & (places >= 0)
        else:
            units = domain.units(np.array(column, np.float64))
            found &= (domain.low[:, None] <= units) & (units <= domain.high[:, None])
    return found


def _combination(combination: Combination, domains: Domains) -> set[str]:
    rows, left = _present(domains, combination.columns), alive(combination, domains)
    known = sorted(combination.known or (), key=repr)
    narrowed: set[str] = set()
    for at, name in enumerate(combination.columns):
        domain, column = domains[name], [one[at] for one in known]
        if isinstance(domain, NameDomain):
            places = places_of(domain.names, np.array(column, np.object_))
            is_name = places[:, None] == np.arange(len(domain.names))  # (M, K)
            allowed = left.astype(np.float32) @ is_name.astype(np.float32) > 0
            changed = domain.narrow(allowed, rows)
        else:
            units = domain.units(np.array(column, np.float64))
            low = np.where(left, units, np.inf).min(axis=1, initial=np.inf)
            high = np.where(left, units, -np.inf).max(axis=1, initial=-np.inf)
            changed = domain.narrow(low, high, rows)
        if changed:
            narrowed.add(name)
    return narrowed


def involved(constraints: Sequence[Constraint]) -> tuple[str, ...]:
    """The columns of which constraints say anything for one record."""
    return tuple(
        dict.fromkeys(n for one in constraints if not isinstance(one, Unique) for n in one.columns)
    )
