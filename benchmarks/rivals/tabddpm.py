"""TabDDPM's side of `benchmarks/synthetic.py`: learns a table and draws another, in its own Python.

    python tabddpm.py tabddpm --learn real.csv --write drawn.csv --count 20000 --budget 120 \\
        --kinds '{"age": "numerical", "sex": "categorical"}'

The diffusion is synthcity's port of the original (Kotelnikov et al., ICML 2023): Gaussian for
numbers, which come through a quantile transform, multinomial for names, with its network of three
layers of 256, AdamW, a rate that falls to nothing, and a moving average of the weights. synthcity
wants some forty packages, none of which its diffusion needs: `pip install --no-deps
synthcity==0.2.12` beside torch, pandas, scikit-learn and loguru will do; of the package only that
one module is imported. A number that is missing is told by a name of its own. It learns until the
budget of CPU seconds is used up.
The last line on stdout is one JSON document: CPU seconds of learning and of drawing, and steps.
"""

import importlib.util
import json
import sys
import time
import warnings
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.preprocessing import QuantileTransformer
from table_arguments import parser
from torch import nn

RATE, DECAY, BATCH, TIMES, AVERAGE = 2e-3, 1e-4, 1024, 1000, 0.999
WIDTH, DEPTH = 256, 3
MISSING = " is missing"
MODEL = ".plugins.core.models.tabular_ddpm"


def main() -> None:
    given = parser(__doc__, ["tabddpm"]).parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.manual_seed(given.seed)
    real = pd.read_csv(given.learn)
    coding = Coding(real, given.kinds, given.seed)
    began = time.process_time()
    diffusion, steps = learnt(coding, given.budget)
    fit_s, began = time.process_time() - began, time.process_time()
    drawn = diffusion.sample_all(given.count).numpy()
    sample_s = time.process_time() - began
    coding.table(drawn)[real.columns].to_csv(given.write, index=False)
    print(json.dumps({"fit_s": fit_s, "sample_s": sample_s, "steps": steps}))


class Coding:
    """Numbers by their quantiles, then names by their places."""

    def __init__(self, real: pd.DataFrame, kinds: dict[str, str], seed: int) -> None:
        self.numbers = [name for name in real if kinds[name] == "numerical"]
        self.whole = {n for n in self.numbers if (real[n].dropna() % 1 == 0).all()}
        names = real.drop(columns=self.numbers).fillna("").astype(str)
        for name in self.numbers:
            if real[name].isna().any():
                names[name + MISSING] = real[name].isna().astype(str)
        self.names = {name: sorted(names[name].unique()) for name in names}
        self.quantiles = QuantileTransformer(
            output_distribution="normal", n_quantiles=min(1000, len(real)), random_state=seed
        )
        filled = real[self.numbers].fillna(real[self.numbers].median())
        places = [
            names[name].map({one: at for at, one in enumerate(known)})
            for name, known in self.names.items()
        ]
        self.coded = np.column_stack([self.quantiles.fit_transform(filled), *places])

    def table(self, coded: np.ndarray) -> pd.DataFrame:
        many = len(self.numbers)
        found = pd.DataFrame(
            self.quantiles.inverse_transform(coded[:, :many]), columns=self.numbers
        )
        for name in self.whole:
            found[name] = found[name].round()
        for at, (name, known) in enumerate(self.names.items()):
            said = pd.Series(np.array(known, object)[coded[:, many + at].astype(int)])
            if name.endswith(MISSING):
                found.loc[said == "True", name.removesuffix(MISSING)] = np.nan
            else:
                found[name] = said.replace("", np.nan)
        return found


def learnt(coding: Coding, budget_s: float) -> tuple[Any, int]:
    """The diffusion with averaged weights, and after how many steps."""
    began = time.process_time()
    diffusion = diffusions().GaussianMultinomialDiffusion(
        model_type="mlp",
        model_params=None,
        num_categorical_features=[len(known) for known in coding.names.values()],
        num_numerical_features=len(coding.numbers),
        num_timesteps=TIMES,
        scheduler="cosine",
    )
    coded = torch.tensor(coding.coded, dtype=torch.float32)
    averaged = deepcopy(diffusion.denoise_fn)
    optimizer = torch.optim.AdamW(diffusion.parameters(), lr=RATE, weight_decay=DECAY)
    steps = 0
    while (used := (time.process_time() - began) / budget_s) < 1:
        optimizer.param_groups[0]["lr"] = RATE * (1 - used)
        optimizer.zero_grad()
        batch = coded[torch.randint(len(coded), (min(BATCH, len(coded)),))]
        sum(diffusion.mixed_loss(batch)).backward()
        optimizer.step()
        with torch.no_grad():
            for mean, one in zip(
                averaged.parameters(), diffusion.denoise_fn.parameters(), strict=True
            ):
                mean.lerp_(one, 1 - AVERAGE)
        steps += 1
    diffusion.denoise_fn = averaged
    return diffusion.eval(), steps


def diffusions() -> ModuleType:
    """The module of synthcity, without the packages around it."""
    root = importlib.util.find_spec("synthcity")
    assert root is not None
    assert root.origin is not None
    path = Path(root.origin).parent
    for name in ("", ".plugins", ".plugins.core", ".plugins.core.models", MODEL):
        package = ModuleType("synthcity" + name)
        package.__path__ = [str(path.joinpath(*name.split(".")[1:]))]
        sys.modules["synthcity" + name] = package
    factory = ModuleType("synthcity.plugins.core.models.factory")
    factory.get_nonlin = lambda _: nn.SiLU()  # type: ignore[attr-defined]
    factory.get_model = lambda _, given: network(given)  # type: ignore[attr-defined]
    sys.modules[factory.__name__] = factory
    return importlib.import_module(f"synthcity{MODEL}.gaussian_multinomial_diffsuion")


def network(given: dict[str, int]) -> nn.Module:
    widths = [given["n_units_in"], *[WIDTH] * DEPTH]
    layers: list[nn.Module] = []
    for read, write in pairwise(widths):
        layers += [nn.Linear(read, write), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(WIDTH, given["n_units_out"]))


if __name__ == "__main__":
    main()
