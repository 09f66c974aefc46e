"""SDV's side of `benchmarks/synthetic.py`: learns a table and draws another, in its own Python.

    python sdv_tables.py ctgan --learn real.csv --write drawn.csv --count 20000 --budget 120 \\
        --kinds '{"age": "numerical", "sex": "categorical"}'

`pip install sdv`; its licence is BSL 1.1, so nothing of ours depends on it. CTGAN and TVAE learn as
many epochs as fit into the budget of CPU seconds, judged by as many as take a quarter of it: what
comes before the first takes longer than many, and not always as long.
The last line on stdout is one JSON document: CPU seconds of learning and of drawing, and epochs.
"""

import json
import random
import time
import warnings
from typing import Any

import numpy as np
import pandas as pd
import torch
from sdv.metadata import Metadata
from sdv.single_table import CTGANSynthesizer, GaussianCopulaSynthesizer, TVAESynthesizer
from table_arguments import parser

NETWORKS = {"ctgan": CTGANSynthesizer, "tvae": TVAESynthesizer}
TABLE = "table"
DRAWN_AT_ONCE = 100_000
SOME = 10
"""Epochs, by which the time of one is judged first."""


def main() -> None:
    arguments = parser(__doc__, ["copula", *NETWORKS])
    arguments.add_argument("--where", nargs=2, help="column and value: time to draw 1,000 of them")
    given = arguments.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    real = pd.read_csv(given.learn)
    model, epochs, took = learnt(given.method, real, given.kinds, given.budget, given.seed)
    began = time.process_time()
    drawn = model.sample(num_rows=given.count)[TABLE]
    sample_s = time.process_time() - began
    drawn.to_csv(given.write, index=False)
    found = {"fit_s": took, "sample_s": sample_s, "epochs": epochs}
    if given.where:
        found["rejection_s"] = rejection_s(model, *given.where)
    print(json.dumps(found))


def learnt(
    method: str, real: pd.DataFrame, kinds: dict[str, str], budget_s: float, seed: int
) -> tuple[Any, int, float]:
    """The synthesizer, its epochs, and the CPU seconds that they took."""
    metadata = Metadata.load_from_dict(
        {"tables": {TABLE: {"columns": {n: {"sdtype": kind} for n, kind in kinds.items()}}}}
    )
    if method == "copula":
        seeded(seed)
        began = time.process_time()
        model = GaussianCopulaSynthesizer(metadata)
        model.fit({TABLE: real})
        return model, 0, time.process_time() - began
    one, epochs = epochs_s(method, metadata, real, 1, seed)[1], SOME
    while (took := epochs_s(method, metadata, real, epochs, seed)[1]) < max(2 * one, budget_s / 4):
        epochs *= 3
    epochs = max(1, int((budget_s - one) / (took - one) * (epochs - 1)) + 1)
    model, took = epochs_s(method, metadata, real, epochs, seed)
    return model, epochs, took


def epochs_s(
    method: str, metadata: Metadata, real: pd.DataFrame, epochs: int, seed: int
) -> tuple[Any, float]:
    seeded(seed)
    began = time.process_time()
    model = NETWORKS[method](metadata, epochs=epochs, enable_gpu=False)
    model.fit({TABLE: real})
    return model, time.process_time() - began


def seeded(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)  # what SDV draws from
    torch.manual_seed(seed)


def rejection_s(model: Any, column: str, value: str, wanted: int = 1_000) -> float | None:
    """CPU seconds to draw so many records of that value by drawing and leaving out, judged by the
    first hundred thousand; None where not one is among them."""
    began = time.process_time()
    drawn = model.sample(num_rows=DRAWN_AT_ONCE)[TABLE]
    found = int((drawn[column].astype(str) == value).sum())
    return (time.process_time() - began) * wanted / found if found else None


if __name__ == "__main__":
    main()
