"""What passes, what is refused, and what can't be said."""

import json
from dataclasses import fields

import pytest

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.judging.gate import Thresholds, Verdict, thresholds, verdict
from rag_pipeline.synthetic.judging.meanings import MEANINGS
from rag_pipeline.synthetic.judging.measure import Measure, Measured, measured

GOOD = {
    "validity": 1.0, "shape_error": 0.01, "trend_error": 0.03, "detection": 0.55,
    "efficacy_ratio": 0.99, "coverage": 1.0, "exact_copies": 0.0, "closer_to_train": 0.51,
    "distance_ratio": 1.0, "precision": 0.8, "recall": 0.7, "fid_ratio": 2.0, "self_bleu": 0.3,
}  # fmt: skip


def gated(limits: Thresholds | None = None, **changes: float) -> Verdict:
    found = measured({**GOOD, **changes}, records=2_000, held_out=500)
    return verdict(found, limits)


def test_what_keeps_all_limits_passes_and_says_by_how_much() -> None:
    found = gated()
    assert (found.state, found.passes, found.reasons, found.warnings) == ("passed", True, (), ())
    assert len(found.checks) == len(GOOD) + 3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("validity", 0.999), ("shape_error", 0.06), ("trend_error", 0.11), ("detection", 0.91),
        ("efficacy_ratio", 0.9), ("coverage", 0.9), ("exact_copies", 0.002), ("recall", 0.4),
        ("closer_to_train", 0.54), ("precision", 0.6), ("fid_ratio", 6), ("self_bleu", 0.7),
        ("shape_error", float("nan")), ("precision", float("nan")),
    ],
)  # fmt: skip
def test_each_limit_alone_refuses_and_is_named_with_its_value(name: str, value: float) -> None:
    found = gated(**{name: value})
    assert found.state == "refused"
    assert [check.measure for check in found.reasons] == [name]
    assert name in found.as_json()["reasons"][0]
    json.dumps(found.as_json(), allow_nan=False)


def test_warnings_don_t_refuse() -> None:
    found = gated(detection=0.8, distance_ratio=0.4)
    assert found.passes
    assert [check.threshold for check in found.warnings] == [
        "detection_warning", "distance_ratio_warning",
    ]  # fmt: skip
    assert gated(detection=0.95).warnings == ()


@pytest.mark.parametrize(("records", "held_out"), [(999, 500), (2_000, 99)])
def test_too_few_records_stay_unreviewed_however_good_they_are(records: int, held_out: int) -> None:
    found = verdict(measured(GOOD, records=records, held_out=held_out))
    assert (found.state, found.passes) == ("unreviewed", False)
    assert len(found.reasons) == 1
    worse = verdict(measured({**GOOD, "validity": 0}, records=records, held_out=held_out))
    assert worse.state == "unreviewed"
    assert len(worse.reasons) == 2


def test_limits_are_overridden_by_name_and_recorded() -> None:
    limits = thresholds({"detection": 0.99, "fewest_records": 10})
    assert not gated(detection=0.95).passes
    found = gated(limits, detection=0.95)
    assert found.passes
    assert found.as_json()["thresholds"]["detection"] == 0.99
    assert found.as_json()["thresholds"]["shape_error"] == Thresholds().shape_error


def test_a_limit_that_chance_breaks_with_so_few_records_is_widened() -> None:
    def state(value: float, by_chance: float | None, name: str = "closer_to_train") -> str:
        measures = {name: Measure(value=value, by_chance=by_chance)}
        return verdict(Measured(records=1_000, held_out=300, measures=measures)).state

    assert state(0.56, None) == "refused"
    assert state(0.56, 0.57) == "passed"
    assert state(0.58, 0.57) == "refused"
    assert state(0.529, 0.51) == "passed"
    assert state(0.96, None, "efficacy_ratio") == "refused"
    assert state(0.96, 0.95, "efficacy_ratio") == "passed"
    assert state(0.96, 0.99, "efficacy_ratio") == "refused"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"detektion": 0.9}, "no threshold 'detektion'; there are fewest_records"),
        ({"detection": "high"}, "'detection' can't be 'high'"),
        ({"detection": float("nan")}, "can't be nan"),
        ({"detection": -1}, "can't be -1"),
        ({"detection": True}, "can't be True"),
    ],
)
def test_a_threshold_that_is_none_is_refused_by_name(given: dict[str, object], says: str) -> None:
    with pytest.raises(SyntheticError, match=says):
        thresholds(given)


def test_every_limit_is_checked_and_every_measure_has_a_meaning() -> None:
    names = {field.name for field in fields(Thresholds)}
    everything = {name.removesuffix("_warning"): 0.5 for name in names}
    checks = [
        check
        for of_series in (False, True)
        for check in verdict(
            measured(everything, records=2_000, held_out=500, of_series=of_series)
        ).checks
    ]
    assert {check.threshold for check in checks} == names
    assert {check.measure for check in checks} <= MEANINGS.keys()
