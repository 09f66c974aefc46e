"""What `benchmarks/synthetic.py` tells a rival that learns a table and draws another."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path


def parser(about: str, methods: Sequence[str]) -> argparse.ArgumentParser:
    """To which a rival may add options of its own."""
    found = argparse.ArgumentParser(description=about)
    found.add_argument("method", choices=methods)
    found.add_argument("--learn", type=Path, required=True)
    found.add_argument("--kinds", type=json.loads, required=True, help="sdtype by column")
    found.add_argument("--write", type=Path, required=True)
    found.add_argument("--count", type=int, required=True)
    found.add_argument("--budget", type=float, required=True, help="CPU seconds")
    found.add_argument("--seed", type=int, default=0)
    return found
