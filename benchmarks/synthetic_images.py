"""How near synthetic pictures come to real ones, by each method, beside real pictures themselves.

    python benchmarks/synthetic_images.py --budget 120
    python benchmarks/synthetic_images.py --method image/diffusion --budget 600 --grids OUT
    python benchmarks/synthetic_images.py --mnist t10k-images-idx3-ubyte.gz --method image/diffusion

The digits of scikit-learn, or those of a file of MNIST with its labels beside it, are divided at
random into seven tenths that are learnt and the rest, which all figures are held against; the row
`real` has the learnt pictures in the place of synthetic ones. Figures are of the features of one
net, whose SHA-256 is printed.
"""

import gzip
import time
from pathlib import Path

import click
import numpy as np

from rag_pipeline.synthetic.generator import Fitting
from rag_pipeline.synthetic.images.features import FeatureNet
from rag_pipeline.synthetic.images.pictures import Pictures, digits, grid, pictures_of
from rag_pipeline.synthetic.judging.images import judged_pictures
from rag_pipeline.synthetic.methods import method, methods, settings_of

_IMAGES, _LABELS = 16, 8
"""Bytes before what is in a file of MNIST."""
_SHOWN = 100


@click.command(help=__doc__.replace("\n\n    ", "\n\n\b\n    "))
@click.option("--method", "names", multiple=True, help="All methods unless given.")
@click.option("--budget", default=120.0, show_default=True, help="CPU seconds for each.")
@click.option("--mnist", type=click.Path(path_type=Path, exists=True))
@click.option("--grids", type=click.Path(path_type=Path), help="A folder for pictures of samples.")
@click.option("--seed", default=0, show_default=True)
def main(
    names: tuple[str, ...], budget: float, mnist: Path | None, grids: Path | None, seed: int
) -> None:
    pictures = digits() if mnist is None else mnist_digits(mnist)
    order = np.random.default_rng(seed).permutation(len(pictures))
    learn = len(pictures) * 7 // 10
    learnt, rest = pictures.rows(order[:learn]), pictures.rows(order[learn:])
    net = FeatureNet.fit(learnt, seed=seed)
    print(f"{len(learnt)} learnt, {len(rest)} held out; feature net {net.sha256[:16]}, "
          f"accuracy {net.accuracy(rest):.3f}")  # fmt: skip
    print(f"{'':<16}{'fit CPU s':>10}{'steps':>7}{'MiB':>6}{'draw ms':>9}{'FID':>8}{'ratio':>7}"
          f"{'precision':>11}{'recall':>8}{'efficacy':>10}{'nearest':>9}{'copies':>8}")  # fmt: skip
    report("real", "", learnt, rest, learnt, net, seed)
    for name in names or methods("image"):
        began = time.process_time()
        model, trained = method(name).fit(  # type: ignore[attr-defined]
            learnt, settings_of(name, {}), Fitting(seed=seed, budget_s=budget)
        )
        fitted = time.process_time()
        drawn = model.sample(len(learnt), seed=seed)
        draw_ms = 1_000 * (time.process_time() - fitted) / len(learnt)
        size = sum(array.nbytes for array in model.arrays().values()) / 2**20
        cost = f"{fitted - began:>10.0f}{len(trained.losses):>7}{size:>6.1f}{draw_ms:>9.1f}"
        report(name, cost, learnt, rest, drawn, net, seed)
        if grids is not None:
            grids.mkdir(parents=True, exist_ok=True)
            sheet = grid(drawn.rows(slice(_SHOWN)), scale=4 if mnist is None else 2)
            (grids / f"{name.replace('/', '-')}.png").write_bytes(sheet)


def mnist_digits(images: Path) -> Pictures:
    labels = Path(str(images).replace("images-idx3", "labels-idx1"))
    pixels, told = (np.frombuffer(gzip.decompress(file.read_bytes()), np.uint8) for file in
                    (images, labels))  # fmt: skip
    return pictures_of(pixels[_IMAGES:].reshape(-1, 28, 28), told[_LABELS:].tolist())


def report(
    name: str,
    cost: str,
    learnt: Pictures,
    rest: Pictures,
    drawn: Pictures,
    net: FeatureNet,
    seed: int,
) -> None:
    found = judged_pictures(learnt, rest, drawn, net=net, seed=seed)
    near = found.synthetic
    print(
        f"{name:<16}{cost:>32}{near.fid:>8.1f}{found.fid_ratio or 0:>7.2f}{near.precision:>11.3f}"
        f"{near.recall:>8.3f}{found.efficacy or 0:>10.3f}{found.nearest or 0:>9.2f}"
        f"{found.copies:>8}",
        flush=True,
    )


if __name__ == "__main__":
    main()
