"""Paths with wildcards, matched as text: what a pattern covers does not have to be there."""

import re
from dataclasses import dataclass
from functools import cached_property

_WILDCARDS = re.compile(r"[*?\[]")
_PARTS = re.compile(r"\*\*/|\*\*|\*|\?|\[!?\]?[^\]]*\]|.", re.DOTALL)


@dataclass(frozen=True)
class Pattern:
    """A path in POSIX form in which `*` and `?` stay in one folder and `**` goes through all."""

    path: str

    @property
    def has_wildcards(self) -> bool:
        return bool(_WILDCARDS.search(self.path))

    @property
    def root(self) -> str:
        """The folder that holds all that can match; without wildcards the path itself."""
        if (found := _WILDCARDS.search(self.path)) is None:
            return self.path
        folder = self.path[: found.start()].rpartition("/")[0]
        return folder or ("/" if self.path.startswith("/") else "")

    def matches(self, path: str) -> bool:
        """Whether `path` is one that is meant; without wildcards: it or what is below it."""
        if not self.has_wildcards:
            return path == self.path or path.startswith(f"{self.path.rstrip('/')}/")
        return self._expression.fullmatch(path) is not None

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        return re.compile("".join(map(_expression, _PARTS.findall(self.path))), re.DOTALL)


def _expression(part: str) -> str:
    match part:
        case "**/":
            return "(?:.*/)?"
        case "**":
            return ".*"
        case "*":
            return "[^/]*"
        case "?":
            return "[^/]"
    if part.startswith("[") and len(part) > 1:
        negated = part.startswith("[!")
        letters = part[2:-1] if negated else part[1:-1]
        escaped = letters.replace("\\", r"\\").replace("[", r"\[").replace("]", r"\]")
        return f"(?!/)[{'^' if negated else ''}{escaped.removeprefix('^')}]"
    return re.escape(part)
