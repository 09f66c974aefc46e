"""The parts of a page that shows a judgement of tables."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from rag_pipeline.synthetic.judging.drawing import HEAT, bars, gauge, heat, steps
from rag_pipeline.synthetic.judging.meanings import called, meaning

_MOST_PLOTS = 60
"""Columns with a plot, those with the worst shapes."""
_MOST_IN_HEAT = 30
_WORST_PAIRS = 12
_PRIVACY = (
    "exact_copies", "near_copies", "closer_to_train", "membership", "singled_out",
    "distance_ratio", "nearest_ratio", "copied_spans",
)  # fmt: skip

Json = Mapping[str, Any]


def number(value: float | int | None) -> str:
    """Four digits that matter; a dash for what could not be measured."""
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def percent(value: float | None) -> str:
    """With one digit behind the point."""
    return "–" if value is None else f"{value:.1%}"


def section(title: str, *inside: str, kind: str = "", note: str = "") -> str:
    """A part with a heading; the heading names it."""
    name = "".join(letter if letter.isalnum() else "-" for letter in title.lower())
    said = f'<p class="note">{note}</p>' if note else ""
    return (
        f'<section class="{kind}" aria-labelledby="{name}"><h2 id="{name}">{escape(title)}</h2>'
        f"{said}{''.join(inside)}</section>"
    )


def rows(caption: str, heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table; the first cell of a row names it, and heads that end in # are of numbers. Cells are
    HTML already."""
    kinds = [' class="number"' if head.endswith("#") else "" for head in heads]
    top = "".join(
        f'<th scope="col"{kind}>{escape(head.rstrip("#"))}</th>'
        for head, kind in zip(heads, kinds, strict=True)
    )
    body = "".join(f"<tr>{_cells(line, kinds)}</tr>" for line in lines)
    # A table that is too wide for a phone is scrolled, by keys as well.
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(caption)}"><table>'
        f"<caption>{escape(caption)}</caption><thead><tr>{top}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def _cells(line: Sequence[str], kinds: Sequence[str]) -> str:
    first, *rest = line
    others = (f"<td{kind}>{cell}</td>" for cell, kind in zip(rest, kinds[1:], strict=True))
    return f'<th scope="row">{first}</th>{"".join(others)}'


def said_of(check: Json) -> str:
    """A check that does not hold, in a sentence."""
    beyond = "below" if check["is_least"] else "above"
    limit = f"{beyond} the limit of {number(check['limit'])}"
    return f"{called(check['measure'])}: {number(check['value'])} is {limit}"


def checks(caption: str, found: Sequence[Json]) -> str:
    """Measures beside their limits."""
    lines = [
        (
            f'{escape(_named(one))}<span class="says">{meaning(one["measure"])}</span>',
            _outcome(one),
            number(one["value"]),
            f"{'at least' if one['is_least'] else 'at most'} {number(one['limit'])}",
            _gauge(one),
        )
        for one in found
    ]
    heads = ("Measure", "Outcome", "Value#", "Limit#", "Against the limit")
    return rows(caption, heads, lines)


def _named(one: Json) -> str:
    return called(one["measure"]) + (", for a warning" if one["warns"] else "")


def _gauge(one: Json) -> str:
    if one["value"] is None or one["limit"] is None:
        return "–"
    label = f"{number(one['value'])} of a limit of {number(one['limit'])}"
    return gauge(one["value"], one["limit"], is_least=one["is_least"], label=label)


def _outcome(one: Json) -> str:
    kind, said = ("holds", "✓ holds") if one["holds"] else ("breaks", "✗ breaks it")
    if not one["holds"] and one["warns"]:
        kind, said = "warns", "! look at it"
    return f'<span class="outcome {kind}">{said}</span>'


def is_of_privacy(check: Json) -> bool:
    """Whether it says that records come too near."""
    return check["measure"] in _PRIVACY


def columns(judgement: Json) -> str:
    """A plot for each column, and all of them as a table."""
    found = judgement["columns"]
    worst = {one["name"] for one in sorted(found, key=lambda one: one["shape"])[:_MOST_PLOTS]}
    plots = "".join(plot(one) for one in found if one["name"] in worst)
    key = (
        '<ul class="key"><li class="real">real, filled</li>'
        '<li class="synthetic">synthetic, line or dark bar</li></ul>'
    )
    lines = [
        (
            escape(one["name"]),
            number(one["shape"]),
            number(one["shape_held_out"]),
            number(one["trend"]),
            number(one["trend_held_out"]),
        )
        for one in found
    ]
    heads = ("Column", "Shape#", "Held-out#", "Trends#", "Held-out#")
    table = rows("Each column by itself, and with all others; 1 is the best", heads, lines)
    left = len(found) - len(worst)
    note = f"Plots of the {_MOST_PLOTS} columns that differ most." if left else ""
    return section("Columns", key, f'<div class="columns">{plots}</div>', table, note=note)


def plot(one: Json) -> str:
    """A histogram with its name, its shape, and where the two sides are most apart."""
    shown = one["histogram"]
    names, real, synthetic = shown["names"], shown["real"], shown["synthetic"]
    said = _difference(names, real, synthetic)
    label = f"{one['name']}: {said}"
    if shown["edges"] is None:
        picture = bars(names, real, synthetic, label)
    else:
        ends = (shown["edges"][0], shown["edges"][-1])
        picture = steps(names, real, synthetic, ends, label)
    return (
        f"<figure><figcaption><strong>{escape(one['name'])}</strong> shape {number(one['shape'])};"
        f" {escape(said)}</figcaption>{picture}</figure>"
    )


def _difference(names: Sequence[str], real: Sequence[float], synthetic: Sequence[float]) -> str:
    """Where they differ most, in words."""
    if not names:
        return "no values"
    at = max(range(len(names)), key=lambda place: abs(real[place] - synthetic[place]))
    return (
        f"most apart at {names[at]}: {percent(real[at])} real, {percent(synthetic[at])} synthetic"
    )


def pairs(judgement: Json) -> str:
    """The pairs that differ most, as a grid and as a table."""
    found = judgement["pairs"]
    if not found:
        return ""
    names = list(dict.fromkeys(name for one in found for name in one["columns"]))
    order = [one["name"] for one in judgement["columns"] if one["name"] in names]
    kept = order if len(order) <= _MOST_IN_HEAT else names[:_MOST_IN_HEAT]
    values = {tuple(one["columns"]): one["trend"] for one in found}
    label = f"Trends of {len(kept)} columns with each other; the table lists the worst pairs"
    lines = [
        (
            escape(" and ".join(one["columns"])),
            number(one["trend"]),
            number(one["trend_held_out"]),
        )
        for one in found[:_WORST_PAIRS]
    ]
    heads = ("Columns", "Trend#", "Held-out#")
    note = (
        "How two columns go together: the stronger the colour, the less as in the real records,"
        f" from an error below {HEAT[0]} to one above {HEAT[-1]}."
    )
    return section(
        "Pairs of columns",
        f"<figure>{heat(kept, values, label)}</figure>",
        rows("The pairs that differ most; 1 is the best", heads, lines),
        note=note,
    )


def likeness(judgement: Json) -> str:
    """Detection, efficacy, diversity, beside held-out records."""
    ours, real = judgement["synthetic"], judgement["floor"]
    lines = [
        (said, number(ours[name]), number(real[name]))
        for name, said in (
            ("detection", "Detection: .5 is not told from real, 1 is always told"),
            ("validity", "Valid records"),
            ("unseen", "Records with unseen values"),
        )
    ]
    lines += [
        (said, number(ours["coverage"][name]), number(real["coverage"][name]))
        for name, said in (
            ("names", "Frequent values that are there"),
            ("entropy", "Entropy of values, by the real one"),
            ("unique", "Different records, by the real share"),
            ("precision", "Precision: synthetic among the real ones"),
            ("recall", "Recall: real among the synthetic ones"),
            ("density", "Density"),
            ("coverage", "Coverage of neighbourhoods"),
        )
    ]
    heads = ("Measure", "Synthetic#", "Held-out#")
    table = rows("Beside held-out real records in their place", heads, lines)
    return section("Detection, efficacy and diversity", _efficacy(judgement["efficacy"]), table)


def _efficacy(found: Json | None) -> str:
    if found is None:
        return "<p>No target was named, so that nothing was told from the records.</p>"
    measure = "R²" if found["measure"] == "r2" else "area under the curve"
    return (
        f"<p><strong>{escape(found['target'])}</strong> of held-out records, told by trees:"
        f" {measure} <strong>{number(found['learnt_from_synthetic'])}</strong> learnt from"
        f" synthetic records, {number(found['learnt_from_real'])} learnt from real ones.</p>"
    )


def slices(judgement: Json) -> str:
    """The same by parts of the records."""
    found = judgement["slices"]
    if not found:
        return ""
    lines = [
        (
            f"{escape(one['column'])}: {escape(one['value'])}",
            number(one["real"]),
            percent(one["real_share"]),
            percent(one["synthetic_share"]),
            number(one["shape"]),
            number(one["trend"]),
            number(one["learnt_from_synthetic"]),
            number(one["learnt_from_real"]),
        )
        for one in found
    ]
    heads = (
        "Part", "Real records#", "Real#", "Synthetic#", "Shape#", "Trend#",
        "Told by synthetic#", "Told by real#",
    )  # fmt: skip
    note = (
        "Where shares differ, a group is over- or under-represented; where its shapes, trends or"
        " what is told of it fall behind, synthetic records do it less justice. A dash: too few"
        " records."
    )
    return section("By parts of the records", rows("Parts", heads, lines), note=note)
