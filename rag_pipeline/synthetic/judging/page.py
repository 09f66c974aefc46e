"""A report as one HTML page that needs nothing else: no script, no network, no other file.

Pictures are SVG within the page and say in words what they show. What comes from data is escaped,
and a policy in the page forbids scripts and requests, whatever a column is called.
"""

from collections.abc import Mapping
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from rag_pipeline.synthetic.judging.drawing import curve
from rag_pipeline.synthetic.judging.page_parts import (
    Json,
    checks,
    columns,
    is_of_privacy,
    likeness,
    number,
    pairs,
    percent,
    rows,
    said_of,
    section,
    slices,
)
from rag_pipeline.synthetic.judging.page_series import series

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_STATES: Mapping[str, tuple[str, str]] = {
    "passed": ("✓ Passed", "All limits hold: the records may be stored, tagged as synthetic."),
    "refused": ("✗ Refused", "Limits are broken: the records are kept out of the database."),
    "unreviewed": ("? Unreviewed", "Too few records to say whether they are good."),
}


def page(report: Mapping[str, Any]) -> str:
    """The page of a report as `report_of` gives it, or of one without its optional parts."""
    facts = report.get("provenance") or report.get("sampling") or {}
    title = _title(facts)
    judgement, verdict = report["judgement"], report["verdict"]
    parts = [
        _verdict(verdict),
        _at_a_glance(judgement),
        _quality(verdict),
        series(judgement),
        *_of_tables(judgement),
        _privacy(judgement, verdict),
        _training(report.get("training")),
        _pictures(report.get("pictures")),
        _texts(report.get("texts")),
        _provenance(facts, judgement),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_style()}</style></head><body>"
        f"<header><h1>{escape(title)}</h1><p>How near synthetic records come to the real ones, and"
        " whether too near. Held-out records, which were not learnt from, are the measure of"
        f" both.</p></header><main>{''.join(parts)}</main>"
        "<footer><p>Synthetic records are nobody's: keep them tagged as such.</p></footer>"
        "</body></html>"
    )


@cache
def _style() -> str:
    return Path(__file__).with_suffix(".css").read_text("utf-8")


def _title(facts: Json) -> str:
    of = facts.get("set") or facts.get("data") or facts.get("generator") or facts.get("method")
    return f"Synthetic data: {of}" if of else "Synthetic data"


def _verdict(verdict: Json) -> str:
    said, means = _STATES[verdict["state"]]
    broken = [check for check in verdict["checks"] if not check["holds"]]
    refusing = [one for one in broken if not one["warns"]]
    refused = {one["measure"] for one in refusing}
    reasons = _list("It is so because", refusing)
    warnings = _list("To look at", [one for one in broken if one["measure"] not in refused])
    return section(said, f"<p>{means}</p>", reasons, warnings, kind=f"verdict {verdict['state']}")


def _list(title: str, found: list[Json]) -> str:
    if not found:
        return ""
    lines = "".join(f"<li>{escape(said_of(one))}</li>" for one in found)
    return f"<div><h3>{title}</h3><ul>{lines}</ul></div>"


def _at_a_glance(judgement: Json) -> str:
    if "synthetic" not in judgement:
        return ""
    ours, real = judgement["synthetic"], judgement["floor"]
    efficacy = judgement["efficacy"] or {}
    privacy = judgement["privacy"]
    if "series" in judgement:
        of_kind = ("Dynamics", number(ours["dynamics"]), f"held-out {number(real['dynamics'])}")
    else:
        of_kind = ("Efficacy, by real", number(efficacy.get("ratio")), "1 is as good as real")
    figures = [
        ("Quality", number(ours["score"]), f"held-out {number(real['score'])}"),
        ("Shapes of columns", number(ours["shape"]), f"held-out {number(real['shape'])}"),
        ("Trends of pairs", number(ours["trend"]), f"held-out {number(real['trend'])}"),
        ("Detection", number(ours["detection"]), f"held-out {number(real['detection'])}"),
        of_kind,
        ("Closer to training", percent(privacy.get("closer_to_train")), "50 % by nature"),
        ("Membership attack", number(privacy.get("membership")), ".5 tells nothing"),
        ("Exact copies", percent(privacy.get("exact_copies_share")),
         f"held-out {percent(privacy.get('exact_copies_share_held_out'))}"),
    ]  # fmt: skip
    tiles = "".join(
        f'<div><dt>{name}</dt><dd>{value}</dd><dd class="floor">{beside}</dd></div>'
        for name, value, beside in figures
    )
    return section("At a glance", f'<dl class="figures">{tiles}</dl>')


def _of_tables(judgement: Json) -> list[str]:
    if "columns" not in judgement:
        return []
    return [columns(judgement), pairs(judgement), likeness(judgement), slices(judgement)]


def _quality(verdict: Json) -> str:
    found = [one for one in verdict["checks"] if not is_of_privacy(one)]
    return section("Quality", checks("Measures of quality and their limits", found))


def _privacy(judgement: Json, verdict: Json) -> str:
    found = [one for one in verdict["checks"] if is_of_privacy(one)]
    if not found:
        return ""
    probes = judgement.get("privacy", {}).get("probes")
    looked = f" Distances were looked at for {number(probes)} of each side." if probes else ""
    note = (
        "No figure is enough alone: copies are seen by their number, shaken copies by their"
        " distance. Limits are widened to what chance makes of few records. Only a fit with"
        f" differential privacy proves anything.{looked}"
    )
    return section("Privacy", checks("Measures of privacy and their limits", found), note=note)


def _training(found: Json | None) -> str:
    if not found or not found["losses"]:
        return ""
    losses, steps = found["losses"], max(found["steps"], 1)
    validations = [
        (step / steps, value) for step, value in found["validations"] if value is not None
    ]
    kept = [loss for loss in losses if loss is not None]
    said = f"loss from {number(kept[0])} to {number(kept[-1])} in {steps} steps"
    measured = [value for _, value in validations]
    if measured:
        said += f"; {found['measure']}, held back, {number(max(measured))} at best"
    label = f"Training: {said}"
    return section(
        "Training",
        '<ul class="key"><li class="loss">loss</li><li class="validation">'
        f"{escape(found['measure'])}, held back</li></ul>",
        f"<figure>{curve(kept, validations, label)}<figcaption>{escape(said)}; each in its own"
        " scale.</figcaption></figure>",
    )


def _pictures(found: Json | None) -> str:
    if not found:
        return ""
    shows = escape(found["shows"] or "A sheet of synthetic pictures")
    sheet = found["grid"]
    grid = (
        f'<figure><img alt="{shows}" src="data:image/png;base64,{escape(sheet)}">'
        f"<figcaption>{shows}</figcaption></figure>"
        if sheet
        else ""
    )
    lines = [(escape(name), _value(value)) for name, value in _flat(found["judgement"])]
    return section("Pictures", grid, rows("Figures of pictures", ("Measure", "Value#"), lines))


def _texts(found: Json | None) -> str:
    if not found:
        return ""
    lines = [(escape(name.replace("_", " ")), _value(value)) for name, value in _flat(found)]
    return section("Texts", rows("Figures of texts", ("Measure", "Value#"), lines))


def _provenance(facts: Json, judgement: Json) -> str:
    counts = {f"{name} records": value for name, value in _flat(judgement.get("records", {}))}
    seed = {"seed of the judgement": judgement["seed"]} if "seed" in judgement else {}
    said = "".join(
        f"<dt>{escape(str(name).replace('_', ' '))}</dt><dd>{_value(value)}</dd>"
        for name, value in {**dict(_flat(facts)), **counts, **seed}.items()
    )
    return section("Where it is from", f'<dl class="facts">{said}</dl>')


def _flat(found: Json, above: str = "") -> list[tuple[str, Any]]:
    """What lies within others, under both names."""
    lines: list[tuple[str, Any]] = []
    for name, value in found.items():
        lines += _flat(value, f"{above}{name} ") if isinstance(value, Mapping) else [
            (f"{above}{name}", value)
        ]  # fmt: skip
    return lines


def _value(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number(value)
    return "–" if value is None else escape(str(value))
