"""A data card as Markdown."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

_WARNING = (
    "Some of these records were drawn by a generator. They are no observations of anybody or"
    " anything: each has `_origin` = `synthetic` and names its generator. Leave them out wherever"
    " real records are asked for, and out of every test of what was trained on them."
)
_PRIVACY = frozenset(
    {
        "exact_copies",
        "near_copies",
        "closer_to_train",
        "membership",
        "singled_out",
        "distance_ratio",
        "nearest_ratio",
    }
)
_ROLES: Mapping[str | None, str] = {
    None: "",
    "series": ", names the series",
    "time": ", orders each series",
}
Json = Mapping[str, Any]


def as_markdown(card: Json) -> str:
    """What `DataCard.as_json` says, for people."""
    parts = [
        f"# {_cell(card['name'])}",
        *_summary(card),
        *_columns(card),
        *_loads(card),
        *_drawings(card),
        *_slices(card),
    ]
    return "\n\n".join(parts) + "\n"


def _summary(card: Json) -> Iterator[str]:
    count = card["records"]
    yield (
        f"`{card['file']}`, written {card['made_at']} by {card['made_by']}, holds"
        f" {count['real']:,} real and {count['synthetic']:,} synthetic records (SHA-256"
        f" `{card['sha256']}`)."
    )
    if "series" in card:
        of = card["series"]
        yield (
            f"They make {of['real']:,} real and {of['synthetic']:,} synthetic series; those of each"
            " stand together, in order."
        )
    if "defused" in card:
        yield (
            f"In {card['defused']:,} cells an apostrophe stands before a text that a spreadsheet"
            " would run as a formula; it is not part of the text."
        )
    if count["synthetic"]:
        yield _WARNING
    yield _table(("tag", "says"), card["tags"].items())
    if card["about"]:
        yield _table(("about", ""), card["about"].items())


def _columns(card: Json) -> Iterator[str]:
    yield "## Columns"
    origins = [origin for origin, count in card["records"].items() if count]
    rows = [
        (
            column["name"],
            column["kind"] + (", key" if column.get("is_key") else _ROLES[column.get("role")]),
            *(_share(card["missing"].get(column["name"], {}).get(one, 0)) for one in origins),
        )
        for column in card["columns"]
    ]
    yield _table(("column", "kind", *(f"missing, {one}" for one in origins)), rows)
    if card["constraints"]:
        declared = "\n".join(f"- {_cell(one)}" for one in card["constraints"])
        yield f"Every record is declared to fulfil:\n\n{declared}"


def _loads(card: Json) -> Iterator[str]:
    loads = [batch for batch in card["batches"] if batch["origin"] == "real"]
    if loads:
        yield "## Where real records are from"
        names = ("batch_id", "records", "source", "dataset", "created_at")
        yield _table(names, ([batch.get(name) for name in names] for batch in loads))


def _drawings(card: Json) -> Iterator[str]:
    for batch in card["batches"]:
        if batch["origin"] == "real":
            continue
        yield f"## Synthetic batch {batch['batch_id']}"
        said = {
            "records": batch["records"],
            "generator": batch["generator_id"],
            "model": batch.get("model"),
            "SHA-256 of its weights": batch["weights_sha256"],
            "learnt from": batch.get("learnt_from"),
            "SHA-256 of that": batch["source_sha256"],
            "seed": batch["seed"],
            "conditions": batch.get("conditions", "none"),
            "sampling": batch.get("sampling", ""),
            "verdict": batch["verdict"],
            "drawn": batch["created_at"],
        }
        yield _table(("", ""), said.items())
        yield from _measures(batch, "Quality", lambda name: name not in _PRIVACY)
        yield from _measures(batch, "Privacy", lambda name: name in _PRIVACY)


def _measures(batch: Json, title: str, belongs: Callable[[str], bool]) -> Iterator[str]:
    judgement = batch.get("report", {}).get("judgement", {})
    found = judgement.get("measures", {}) if isinstance(judgement, Mapping) else {}
    rows = [(name, value) for name, value in found.items() if belongs(name)]
    if rows:
        yield f"### {title}"
        limits = batch.get("thresholds", {})
        yield _table(
            ("measure", "value", "threshold"),
            ((name, value, limits.get(name, "")) for name, value in rows),
        )


def _slices(card: Json) -> Iterator[str]:
    if not card["slices"]:
        return
    yield "## By slice"
    yield f"Of {card['slices_measured_on']:,} records of each origin at most, drawn at random."
    if card["records"]["synthetic"]:
        yield (
            "Where shares differ, a group is drawn too often or too seldom; where shape or trend"
            " are lower than elsewhere, it is drawn less well."
        )
    names = list(dict.fromkeys(name for one in card["slices"] for name in one))
    yield _table(names, ([one.get(name) for name in names] for one in card["slices"]))


def _table(names: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _share(share: float) -> str:
    return f"{share:.1%}" if share else ""


def _cell(value: object) -> str:
    """A value that stays within its cell, and is read as no markup."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return "; ".join(f"{_cell(name)} {_cell(one)}" for name, one in value.items() if one != {})
    said = f"{value:.4g}" if isinstance(value, float) else str(value)
    said = " ".join(said.split())
    return "".join(f"\\{sign}" if sign in "|<>`*_[]\\" else sign for sign in said)
