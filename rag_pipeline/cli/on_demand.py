"""Commands that are imported when they are asked for: nobody waits for those of others."""

from collections import UserDict
from importlib import import_module

import click


class OnDemand(UserDict[str, click.Command | str]):
    """The commands of a group by name; or where each is, as `module:attribute` beside this."""

    def __getitem__(self, name: str) -> click.Command:
        found = self.data[name]
        if isinstance(found, str):
            module, _, attribute = found.partition(":")
            found = getattr(import_module(f"{__package__}.{module}"), attribute)
            assert isinstance(found, click.Command)
            self.data[name] = found
        return found
