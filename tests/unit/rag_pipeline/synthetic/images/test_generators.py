"""What all methods for pictures have in common."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rag_pipeline.synthetic.errors import ModelFileError, PictureError, SyntheticError
from rag_pipeline.synthetic.generator import Fitting, ImageGenerator
from rag_pipeline.synthetic.images import diffusion, gan, vae
from rag_pipeline.synthetic.images.coding import PictureCodec
from rag_pipeline.synthetic.images.learning import BLOCK, course, examples, fitting_width
from rag_pipeline.synthetic.images.pictures import Pictures, pictures_of
from rag_pipeline.synthetic.methods import method as method_of
from rag_pipeline.synthetic.methods import methods
from rag_pipeline.synthetic.saved import ABOUT, TENSORS, load_generator, save_generator
from rag_pipeline.training.checkpoints import CheckpointFile
from rag_pipeline.training.progress import Progress

from .conftest import MODULES, SMALL, Method, tiles

MOST_BYTES = 8 * 2**20

IN_ANOTHER_PROCESS = """
import hashlib, sys, torch
from pathlib import Path
from rag_pipeline.synthetic.saved import load_generator
torch.set_num_threads(2)
for folder in sys.argv[1:]:
    drawn = load_generator(Path(folder)).sample(20, seed=5)
    print(hashlib.sha256(drawn.pixels.tobytes() + "".join(drawn.labels).encode()).hexdigest())
"""


def same(one: Pictures, other: Pictures) -> bool:
    assert one.labels is not None
    assert other.labels is not None
    return np.array_equal(one.pixels, other.pixels) and [*one.labels] == [*other.labels]


def weights(model: ImageGenerator) -> dict[str, Any]:
    return dict(model.arrays())


def test_all_methods_can_be_named() -> None:
    assert {*methods("image")} == {f"image/{name}" for name in SMALL}
    assert [method_of(name).method for name in methods("image")] == [*methods("image")]


def test_the_same_seed_gives_the_same_weights_and_another_one_does_not(method: Method) -> None:
    pictures = tiles(60)
    first, second, other = (method.fit(pictures, steps=3, seed=seed) for seed in (1, 1, 2))
    ours, theirs, others = weights(first), weights(second), weights(other)
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
    assert not all(np.array_equal(ours[name], others[name]) for name in ours)


def test_the_same_seed_draws_the_same_and_another_one_does_not(
    method: Method, fitted: dict[str, ImageGenerator]
) -> None:
    model = fitted[method.name]
    assert same(model.sample(BLOCK + 3, seed=3), model.sample(BLOCK + 3, seed=3))
    assert not same(model.sample(5, seed=3), model.sample(5, seed=4))
    drawn = model.sample(BLOCK + 3, seed=3).pixels
    assert not np.array_equal(drawn[:3], drawn[BLOCK:])
    assert len(model.sample(0)) == 0


def test_what_is_loaded_draws_the_same_in_another_process(
    fitted: dict[str, ImageGenerator], tmp_path: Path
) -> None:
    for name, model in fitted.items():
        save_generator(model, tmp_path / name)
        again = load_generator(tmp_path / name)
        assert same(again.sample(20, seed=5), model.sample(20, seed=5))  # type: ignore[attr-defined]
        assert sum(file.stat().st_size for file in (tmp_path / name).iterdir()) < MOST_BYTES
    done = subprocess.run(
        [sys.executable, "-c", IN_ANOTHER_PROCESS, *(str(tmp_path / name) for name in fitted)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    expected = []
    for model in fitted.values():
        drawn = model.sample(20, seed=5)
        assert drawn.labels is not None
        said = drawn.pixels.tobytes() + "".join(drawn.labels).encode()
        expected.append(hashlib.sha256(said).hexdigest())
    assert done.stdout.split() == expected


@pytest.mark.parametrize(("channels", "side"), [(1, 8), (1, 28), (3, 32), (3, 64)])
def test_default_sizes_stay_below_eight_mebibytes(channels: int, side: int) -> None:
    codec = PictureCodec.learnt(tiles(60, channels=channels, size=(side, side)))
    width = fitting_width((side, side))
    for network in (
        diffusion.network_of(codec, diffusion.Settings(width=width)),
        vae.Network(codec, vae.Settings(width=width)),
        gan.network_of(codec, gan.Settings(width=width)),
    ):
        assert sum(weight.nbytes for weight in network.state_dict().values()) < MOST_BYTES


def test_larger_pictures_come_in_smaller_batches_and_more_of_them_take_more_steps() -> None:
    usual = course(vae.Settings(), tiles(1_250), steps=100, batch_size=128)
    assert (usual.steps, usual.batch_size) == (100, 128)
    larger = course(vae.Settings(), tiles(60, size=(64, 64)), steps=100, batch_size=128)
    assert (larger.steps, larger.batch_size) == (50, 32)
    asked = course(vae.Settings(steps=7, batch_size=9), tiles(60), steps=100, batch_size=128)
    assert (asked.steps, asked.batch_size) == (7, 9)
    wide, narrow = fitting_width((8, 8)), fitting_width((64, 64))
    assert wide > narrow


def test_no_more_is_held_back_than_is_looked_at_together() -> None:
    pictures = tiles(6_000, size=(4, 4))
    learnt, held_back = examples(PictureCodec.learnt(pictures), pictures, 0)
    assert len(held_back) == BLOCK
    assert len(learnt) == 6_000 - BLOCK


def test_the_settings_that_were_chosen_are_kept(fitted: dict[str, ImageGenerator]) -> None:
    for name, model in fitted.items():
        assert None not in {
            model.about()["settings"][key] for key in ("width", "steps", "batch_size")
        }
        assert model.about()["settings"]["steps"] == SMALL[name]["steps"]


def test_damaged_and_foreign_files_are_refused(
    method: Method, fitted: dict[str, ImageGenerator], tmp_path: Path
) -> None:
    save_generator(fitted[method.name], tmp_path)
    whole = (tmp_path / TENSORS).read_bytes()
    (tmp_path / TENSORS).write_bytes(whole[:-1])
    with pytest.raises(ModelFileError, match="is not the file that"):
        load_generator(tmp_path)
    (tmp_path / TENSORS).write_bytes(whole)
    about = json.loads((tmp_path / ABOUT).read_text())
    others = {f"image/{name}" for name in SMALL} - {about["method"]}
    pictures = about["pictures"]
    for change in (
        {"settings": {**about["settings"], "width": 16}},
        {"settings": {**about["settings"], "width": None}},
        {"settings": {**about["settings"], "beyond": 1}},
        {"pictures": {**pictures, "labels": ["a", "b"], "counts": [1, 1]}},
        {"pictures": {**pictures, "labels": ["a"]}},
        {"pictures": {**pictures, "shades": [0]}},
        {"pictures": {**pictures, "shape": [8, 8]}},
        {"pictures": None},
        *({"method": other} for other in others),
        {"method": "table/autoregressive"},
    ):
        (tmp_path / ABOUT).write_text(json.dumps({**about, **change}))
        with pytest.raises(ModelFileError, match="does not fit together"):
            load_generator(tmp_path)


def test_one_label_alone_can_be_asked_for(
    method: Method, fitted: dict[str, ImageGenerator]
) -> None:
    drawn = fitted[method.name].sample(4, "7")
    assert drawn.labels is not None
    assert [*drawn.labels] == ["7"] * 4
    with pytest.raises(SyntheticError, match="the label 'x' was not learnt: there are '0', '1'"):
        fitted[method.name].sample(1, "x")


def test_pictures_need_no_labels_nor_square_sides_nor_grey(method: Method) -> None:
    coloured = pictures_of(tiles(60, channels=3, size=(9, 14)).pixels)
    model = method.fit(coloured, steps=2)
    drawn = model.sample(3)
    assert drawn.pixels.shape == (3, 3, 9, 14)
    assert drawn.labels is None
    with pytest.raises(SyntheticError, match="the label 'left' was not learnt: there are none"):
        model.sample(1, "left")


def test_what_nothing_can_be_learnt_from_is_said(method: Method) -> None:
    for pictures, said in (
        (tiles(1), "1 of them are too few"),
        (pictures_of(np.zeros((60, 8, 8))), "all pixels are 0"),
        (pictures_of(tiles(60).pixels, ["odd", *["left"] * 59]), "'odd' has 1 pictures"),
    ):
        with pytest.raises(PictureError, match=said):
            method.fit(pictures)


def test_a_training_that_is_broken_off_ends_with_the_same_weights(
    method: Method, tmp_path: Path
) -> None:
    pictures, module = tiles(60), MODULES[method.name]
    cls = getattr(module, method.name.capitalize())
    settings = module.Settings(**{**SMALL[method.name], "steps": 8})

    def stop(progress: Progress) -> None:
        if progress.step == 5 and progress.loss is not None:
            raise KeyboardInterrupt

    file = CheckpointFile(path=tmp_path / "half.safetensors", fingerprint="x", every_s=0)
    with pytest.raises(KeyboardInterrupt):
        cls.fit(pictures, settings, Fitting(checkpoints=file, observe=stop))
    seen: list[int] = []
    resumed, _ = cls.fit(
        pictures,
        settings,
        Fitting(checkpoints=file, observe=lambda progress: seen.append(progress.step)),
    )
    through, _ = cls.fit(pictures, settings, Fitting())
    assert seen[0] in (4, 5)
    ours, theirs = weights(resumed), weights(through)
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
