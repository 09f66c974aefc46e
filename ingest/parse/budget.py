"""What reading one file may still take, counted over all that is inside it."""

from dataclasses import dataclass

from ingest.errors import RefusedError
from ingest.settings import ParseSettings

_MEGABYTE = 1024 * 1024
_RATIO_FROM = 16 * _MEGABYTE
"""Bytes that any file may unpack to: short texts shrink to nothing in honest archives too."""


class ExhaustedError(RefusedError):
    """Nothing more may be read of the file that raised it: what came before stays."""


@dataclass
class Budget:
    """Counts down; every method raises where the file asks for more than is left."""

    limits: ParseSettings
    members: int
    unpacked: int
    characters: int
    has_more: bool = True
    """Whether any further file may be read."""

    @classmethod
    def of(cls, file_size: int, limits: ParseSettings) -> "Budget":
        """For a file of `file_size` bytes."""
        by_ratio = max(_RATIO_FROM, file_size * limits.max_ratio)
        return cls(
            limits=limits,
            members=limits.max_members,
            unpacked=min(limits.max_expanded_mb * _MEGABYTE, by_ratio),
            characters=limits.max_text_chars,
        )

    def take_member(self, depth: int) -> None:
        """One more file, `depth` files in. Raises RefusedError."""
        if depth > self.limits.max_depth:
            raise RefusedError(f"it lies more than {self.limits.max_depth} files deep: unpack it")
        if self.members <= 0:
            self.has_more = False
            raise RefusedError(
                f"there are more than {self.limits.max_members:,} files in it: "
                "this one and those after it are left out"
            )
        self.members -= 1

    def check_unpacked(self, size: int) -> None:
        """Whether a file that says it has `size` bytes has room. Raises RefusedError if not."""
        if size > self.unpacked:
            raise RefusedError(self._too_large())

    def take_unpacked(self, size: int) -> None:
        """`size` bytes that were unpacked. Raises ExhaustedError."""
        if size > self.unpacked:
            self.unpacked = 0
            raise ExhaustedError(self._too_large())
        self.unpacked -= size

    def take_characters(self, count: int) -> None:
        """A text of `count` characters. Raises RefusedError."""
        if count > self.characters:
            raise RefusedError(
                f"the text would be over {self.limits.max_text_chars:,} characters: split the file"
            )
        self.characters -= count

    def _too_large(self) -> str:
        return (
            f"with it, what is inside the file would be over {self.limits.max_expanded_mb:,} MB, "
            f"or {self.limits.max_ratio} times the file's own size: it may be a bomb"
        )
