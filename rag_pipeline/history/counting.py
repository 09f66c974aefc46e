"""What is to be counted, as it is said by name."""

from typing import Unpack, cast

from rag_pipeline.history.matching import Matching, filter_of
from storage.errors import InvalidRecordError
from storage.prompts.listing import period
from storage.prompts.statistics import ATTRIBUTES, By, Counted
from storage.records import Principal


def counted_as(
    principal: Principal, by: By, *, limit: int = 100, **wanted: Unpack[Matching]
) -> Counted:
    """The statistics that are asked for, of what a principal may read.

    Raises `FilterError`, `InvalidRecordError`.
    """
    if limit < 1:
        raise InvalidRecordError(f"a limit of {limit} is out of range; use 1 or more")
    begins, ends = period(wanted.get("since"), wanted.get("until"))
    having = {name: value for name in ATTRIBUTES if (value := wanted.get(name)) is not None}
    told_otherwise = (*ATTRIBUTES, "since", "until")
    rest = cast(Matching, {key: one for key, one in wanted.items() if key not in told_otherwise})
    return Counted(
        principal=principal,
        by=by,
        having=having,
        since=begins,
        before=ends,
        where=filter_of(rest),
        limit=limit,
    )
