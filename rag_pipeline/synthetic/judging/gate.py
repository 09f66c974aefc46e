"""Which synthetic records may be stored: figures held against limits that have names.

Limits that stand for "no more than real records would" are widened to what chance makes of so few
records, so that good ones are refused once in two thousand times.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.judging.measure import Judged, Measure, shown

State = Literal["passed", "refused", "unreviewed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Limits by name. The defaults are those that real records, held out, keep."""

    fewest_records: int = 1_000
    """With fewer, figures say too little: the batch stays unreviewed."""
    fewest_held_out: int = 100
    """Real records that were not learnt from; with fewer, the batch stays unreviewed."""
    fewest_series: int = 100
    """The same of series, where records make them."""
    fewest_held_out_series: int = 30

    validity: float = 1.0
    """At least this share is as the schema and the constraints say."""
    unseen: float = 0.01
    """At most this share more than among held-out records has a value outside of what was learnt
    from."""
    shape_error: float = 0.05
    """At most; mean over columns of one minus the shape."""
    shape_error_ratio: float = 3.0
    """At most so many times that of held-out records."""
    trend_error: float = 0.10
    """At most; mean over pairs of columns of one minus the trend."""
    trend_error_ratio: float = 5.0
    """At most so many times that of held-out records."""
    length_error: float = 0.10
    """At most, of series: how far the numbers of their records are from the real ones."""
    step_error: float = 0.10
    """At most, of series: how far the times between records are from the real ones."""
    dynamics_error: float = 0.10
    """At most, of series: mean over columns of one minus how what follows is like what follows in
    the real ones."""
    dynamics_error_ratio: float = 5.0
    """At most so many times that of held-out series."""
    detection: float = 0.90
    """At most: area under the curve of what tells real from synthetic."""
    detection_warning: float = 0.75
    """Above it the verdict warns."""
    efficacy_ratio: float = 0.97
    """At least: area under the curve learnt from synthetic by that learnt from real records."""
    efficacy_ratio_number: float = 0.93
    """At least: the same for R², where the target is a number."""
    coverage: float = 0.95
    """At least this share of the categories that ten real records have is there."""
    unique_ratio: float = 0.9
    """At least: share of different records by that among real ones."""

    exact_copies: float = 0.001
    """At most this share more than among held-out records is a record that is unique among those
    learnt from."""
    near_copies: float = 0.02
    """At most this share is nearer to what was learnt from than 99 % of held-out records are."""
    closer_to_train: float = 0.53
    """At most this share is nearer to what was learnt from than to as many held-out records."""
    membership: float = 0.53
    """At most: area under the curve of an attack that tells who was learnt from."""
    singled_out: float = 0.005
    """At most this share more than among held-out records matches a record that is unique in three
    columns."""
    distance_ratio_warning: float = 0.5
    """Below it the verdict warns: distance to the closest record learnt from, 5th percentile, by
    that of held-out records."""

    precision: float = 0.7
    """At least, of pictures."""
    recall: float = 0.5
    """At least, of pictures."""
    fid_ratio: float = 5.0
    """At most, of pictures: Fréchet distance by that of held-out pictures."""
    nearest_ratio: float = 0.7
    """At least, of pictures: distance to the closest one learnt from, 5th percentile, by that of
    held-out pictures."""

    self_bleu: float = 0.6
    """At most, of texts: how much each is like the others."""
    copied_spans: float = 0.0
    """At most, of texts: the share with 13 words in a row from what must not be copied."""

    def as_json(self) -> dict[str, float]:
        return asdict(self)


def thresholds(given: Mapping[str, Any] | None = None) -> Thresholds:
    """The defaults, with what is given in their place.

    Raises `SyntheticError` for a name that is none, and for what is no number.
    """
    names = [field.name for field in fields(Thresholds)]
    for name, value in (given or {}).items():
        if name not in names:
            raise SyntheticError(f"there is no threshold {name!r}; there are {', '.join(names)}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
            raise SyntheticError(f"the threshold {name!r} can't be {value!r}: give a number from 0")
    return Thresholds(**dict(given or {}))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """How a measure is held against the threshold of that name."""

    threshold: str
    is_least: bool = False
    warns: bool = False
    of: str = ""
    """The measure, where it has another name than the threshold."""

    @property
    def measure(self) -> str:
        return self.of or self.threshold

    def limit(self, limits: Thresholds, measure: Measure) -> float:
        limit = float(getattr(limits, self.threshold))
        if measure.by_chance is None:
            return limit
        return (min if self.is_least else max)(limit, measure.by_chance)

    def holds(self, limit: float, value: float) -> bool:
        """What is no number keeps no limit."""
        return value >= limit if self.is_least else value <= limit


_RULES = (
    _Rule(threshold="validity", is_least=True),
    _Rule(threshold="unseen"),
    _Rule(threshold="shape_error"),
    _Rule(threshold="shape_error_ratio"),
    _Rule(threshold="trend_error"),
    _Rule(threshold="trend_error_ratio"),
    _Rule(threshold="length_error"),
    _Rule(threshold="step_error"),
    _Rule(threshold="dynamics_error"),
    _Rule(threshold="dynamics_error_ratio"),
    _Rule(threshold="detection"),
    _Rule(threshold="detection_warning", of="detection", warns=True),
    _Rule(threshold="efficacy_ratio", is_least=True),
    _Rule(threshold="efficacy_ratio_number", is_least=True),
    _Rule(threshold="coverage", is_least=True),
    _Rule(threshold="unique_ratio", is_least=True),
    _Rule(threshold="exact_copies"),
    _Rule(threshold="near_copies"),
    _Rule(threshold="closer_to_train"),
    _Rule(threshold="membership"),
    _Rule(threshold="singled_out"),
    _Rule(threshold="distance_ratio_warning", of="distance_ratio", is_least=True, warns=True),
    _Rule(threshold="precision", is_least=True),
    _Rule(threshold="recall", is_least=True),
    _Rule(threshold="fid_ratio"),
    _Rule(threshold="nearest_ratio", is_least=True),
    _Rule(threshold="self_bleu"),
    _Rule(threshold="copied_spans"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A measure held against its limit."""

    threshold: str
    measure: str
    value: float
    limit: float
    is_least: bool
    """Whether the limit is what must be reached, and not what must not be exceeded."""
    holds: bool
    warns: bool
    """Whether it warns and does not refuse."""

    def __str__(self) -> str:
        if self.holds:
            within = "at least" if self.is_least else "at most"
            return f"{self.measure} is {self.value:.4g}: {within} {self.limit:.4g}, as it must be"
        beyond = "below" if self.is_least else "above"
        return f"{self.measure} is {self.value:.4g}, {beyond} the limit of {self.limit:.4g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether records may be stored, and why not."""

    state: State
    checks: tuple[Check, ...]
    """All of them, in the order of the thresholds."""
    thresholds: Thresholds

    @property
    def passes(self) -> bool:
        return self.state == "passed"

    @property
    def reasons(self) -> tuple[Check, ...]:
        """What keeps the records out."""
        return tuple(check for check in self.checks if not check.holds and not check.warns)

    @property
    def warnings(self) -> tuple[Check, ...]:
        """What should be looked at, where it does not keep the records out."""
        refused = {check.measure for check in self.reasons}
        return tuple(
            check
            for check in self.checks
            if check.warns and not check.holds and check.measure not in refused
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "state": self.state,
            "reasons": [str(check) for check in self.reasons],
            "warnings": [str(check) for check in self.warnings],
            "checks": [
                {**asdict(check), "value": shown(check.value), "limit": shown(check.limit)}
                for check in self.checks
            ],
            "thresholds": self.thresholds.as_json(),
        }


def verdict(judgement: Judged, limits: Thresholds | None = None) -> Verdict:
    """Hold what was measured against limits: those that are not given are the defaults.

    `refused` where a limit is broken; `unreviewed` where too few records were judged to say.
    """
    limits = limits or Thresholds()
    of = ("series", "held_out_series") if judgement.of_series else ("records", "held_out")
    enough = tuple(
        _enough(f"fewest_{measure}", measure, value, limits)
        for measure, value in zip(of, (judgement.records, judgement.held_out), strict=True)
    )
    checks = tuple(
        _check(rule, judgement.measures[rule.measure], limits)
        for rule in _RULES
        if rule.measure in judgement.measures
    )
    refuses = any(not check.holds and not check.warns for check in checks)
    state: State = "refused" if refuses else "passed"
    if not all(check.holds for check in enough):
        state = "unreviewed"
    return Verdict(state=state, checks=(*enough, *checks), thresholds=limits)


def _enough(threshold: str, measure: str, value: int, limits: Thresholds) -> Check:
    rule = _Rule(threshold=threshold, of=measure, is_least=True)
    return _check(rule, Measure(value=value), limits)


def _check(rule: _Rule, measure: Measure, limits: Thresholds) -> Check:
    limit = rule.limit(limits, measure)
    return Check(
        threshold=rule.threshold,
        measure=rule.measure,
        value=measure.value,
        limit=limit,
        is_least=rule.is_least,
        holds=rule.holds(limit, measure.value),
        warns=rule.warns,
    )
