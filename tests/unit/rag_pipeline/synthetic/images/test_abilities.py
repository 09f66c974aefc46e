"""What a method for pictures can do beyond drawing them."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from rag_pipeline.synthetic.errors import PictureError, SyntheticError
from rag_pipeline.synthetic.generator import ImageGenerator
from rag_pipeline.synthetic.images import diffusion, gan
from rag_pipeline.synthetic.images.augmenting import changed
from rag_pipeline.synthetic.images.diffusion import Diffusion
from rag_pipeline.synthetic.images.likelihood import Shades
from rag_pipeline.synthetic.images.pictures import Pictures, pictures_of
from rag_pipeline.synthetic.images.vae import Vae
from rag_pipeline.training.checkpoints import Validation

from .conftest import Method, tiles


@pytest.fixture(scope="module")
def denoiser() -> Diffusion:
    return Method("diffusion").fit(tiles(300), steps=120, sampling_steps=8, width=16)


@pytest.fixture(scope="module")
def autoencoder() -> Vae:
    return Method("vae").fit(tiles(300), steps=110, sampling_steps=8)


def right(pictures: Pictures) -> np.ndarray:
    """Which pictures are lighter on the right."""
    left, right = np.split(pictures.pixels.mean(axis=(1, 2)), 2, axis=1)
    return right.mean(axis=1) > left.mean(axis=1)


@pytest.mark.slow
def test_a_label_decides_what_is_drawn(denoiser: Diffusion, autoencoder: Vae) -> None:
    for model in (denoiser, autoencoder):
        assert right(model.sample(40, "right")).mean() > 0.9
        assert right(model.sample(40, "left")).mean() < 0.1


@pytest.mark.slow
def test_guidance_exaggerates_what_a_label_means(denoiser: Diffusion) -> None:
    guided = replace(denoiser, settings=replace(denoiser.settings, guidance=3.0))
    assert right(guided.sample(40, "right")).mean() > 0.9
    assert not np.array_equal(guided.sample(4).pixels, denoiser.sample(4).pixels)
    with pytest.raises(SyntheticError, match="a guidance from 0"):
        diffusion.Settings(guidance=float("nan"))


@pytest.mark.slow
def test_known_pixels_stay_and_the_others_come_to_fit(denoiser: Diffusion) -> None:
    fresh = pictures_of(tiles(40, seed=5).pixels)  # without labels: only the rest can tell
    known = np.zeros((40, 8, 8), bool)
    known[:, :, :4] = True
    filled = denoiser.inpaint(fresh, known, seed=1)
    assert np.array_equal(filled.pixels[:, :, :, :4], fresh.pixels[:, :, :, :4])
    assert not np.array_equal(filled.pixels, fresh.pixels)
    assert (right(filled) == right(fresh)).mean() > 0.9
    assert np.array_equal(denoiser.inpaint(fresh, known, seed=1).pixels, filled.pixels)


def test_all_known_leaves_all_as_it_is_and_masks_have_to_fit(
    fitted: dict[str, ImageGenerator], some_digits: Pictures
) -> None:
    model, some = fitted["diffusion"], some_digits.rows(slice(5))
    assert isinstance(model, Diffusion)
    known = np.random.default_rng(0).random((5, 8, 8)) < 0.5
    filled = model.inpaint(some, known, seed=1)
    assert np.array_equal(filled.pixels[known[:, None]], some.pixels[known[:, None]])
    assert not np.array_equal(filled.pixels, some.pixels)
    assert np.array_equal(model.inpaint(some, known, seed=1).pixels, filled.pixels)
    everything = model.inpaint(some, np.ones_like(known))
    assert np.array_equal(everything.pixels, some.pixels)
    with pytest.raises(PictureError, match="give a truth value for each pixel"):
        model.inpaint(some, known[:, :4])
    with pytest.raises(PictureError, match="9 x 8 in 1 channel, and 8 x 8 in 1 channel was"):
        model.inpaint(tiles(2, size=(8, 9)), np.ones((2, 8, 9), bool))
    assert model.upscale(pictures_of(some.pixels[:, :, ::2, ::2])).shape == (1, 8, 8)
    with pytest.raises(PictureError, match="8 x 8 can't be drawn larger: give such of 4 x 4"):
        model.upscale(some)


@pytest.mark.slow
def test_a_small_picture_is_drawn_larger(denoiser: Diffusion) -> None:
    fresh = tiles(40, seed=6)
    small = pictures_of(fresh.pixels.reshape(40, 4, 2, 4, 2).mean(axis=(2, 4)).round())
    large = denoiser.upscale(small, seed=1)
    assert large.pixels.shape == fresh.pixels.shape
    assert (right(large) == right(fresh)).mean() > 0.8


def test_a_picture_comes_back_through_its_hidden_place(autoencoder: Vae) -> None:
    fresh = tiles(40, seed=7)
    again = autoencoder.reconstruct(fresh)
    assert again.labels is fresh.labels
    assert (right(again) == right(fresh)).all()
    error = np.abs(again.pixels.astype(float) - fresh.pixels).mean()
    mean = fresh.pixels.mean(axis=0, keepdims=True)
    assert error < 0.5 * np.abs(mean - fresh.pixels).mean()


def test_the_way_between_two_pictures_begins_and_ends_with_them(autoencoder: Vae) -> None:
    some = tiles(20, seed=8)
    is_right = right(some)
    first, second = some.rows(np.flatnonzero(is_right)), some.rows(np.flatnonzero(~is_right))
    count = min(len(first), len(second))
    first, second = first.rows(slice(count)), second.rows(slice(count))
    way = autoencoder.interpolate(first, second, 5)
    assert len(way) == 5 * count
    assert np.array_equal(way.pixels[::5], autoencoder.reconstruct(first).pixels)
    ends = way.pixels[4::5].astype(int) - autoencoder.reconstruct(second).pixels
    assert np.abs(ends).max() <= 1
    with pytest.raises(PictureError, match="give as many of both, and 2 steps or more"):
        autoencoder.interpolate(first, second, 1)


def test_variations_differ_and_keep_their_label(autoencoder: Vae) -> None:
    some = tiles(6, seed=9)
    found = autoencoder.vary(some, 3, strength=0.5, seed=1)
    assert some.labels is not None
    assert found.labels is not None
    assert found.labels.tolist() == some.labels.repeat(3).tolist()
    assert (right(found) == right(some).repeat(3)).mean() > 0.8
    assert not np.array_equal(found.pixels[0], found.pixels[1])
    none = autoencoder.vary(some, 1, strength=0.0)
    assert np.array_equal(none.pixels, autoencoder.reconstruct(some).pixels)
    with pytest.raises(PictureError, match="a strength from 0 to 1"):
        autoencoder.vary(some, 1, strength=1.5)


def test_a_picture_of_another_kind_is_stranger(autoencoder: Vae) -> None:
    usual = tiles(40, seed=10)
    odd = pictures_of(usual.pixels.transpose(0, 1, 3, 2))  # the upper or lower half
    scores = autoencoder.score_anomalies(odd), autoencoder.score_anomalies(usual)
    assert scores[0].min() > np.median(scores[1])


def test_all_shades_together_are_certain() -> None:
    shades = np.array([0, 3, 100, 255], np.uint8)
    values = torch.from_numpy(shades.astype(np.float32) / 127.5 - 1)
    for middle, log_scale in ((0.0, -1.0), (-1.0, -3.0), (0.3, 1.0)):
        told = torch.full((4,), middle), torch.full((4,), log_scale)
        shares = torch.exp(-Shades(shades).nats(values, *told))
        assert shares.sum().item() == pytest.approx(1.0, abs=1e-4)


def test_gradients_go_through_changes_that_keep_form_and_range() -> None:
    values = torch.rand(64, 3, 9, 14, requires_grad=True)
    torch.manual_seed(0)
    found = changed(values)
    assert found.shape == values.shape
    assert not torch.equal(found, values)
    found.sum().backward()
    assert values.grad is not None
    assert torch.isfinite(values.grad).all()
    assert (values.grad != 0).float().mean() > 0.5


def test_each_pack_has_one_label_and_each_picture_comes_once() -> None:
    task = gan._task(tiles(70), gan.Settings(width=8, feature_steps=1), gan.Fitting())
    labels = task.learnt.labels.numpy()
    batches = task.batches(np.random.default_rng(0).permutation(70).tolist(), 16)
    rows = [row for batch in batches for row in batch]
    assert max(Counter(rows).values()) == 1
    assert len(rows) >= 70 - 2 * 3
    for pack in np.array(rows).reshape(-1, 4):
        assert len({*labels[pack]}) == 1


def test_a_generator_that_draws_one_picture_counts_as_collapsed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = Method("gan").fit(tiles(60), steps=1)
    with torch.no_grad():
        for weight in model.network.parameters():
            weight.zero_()
    assert len(np.unique(model.sample(20).pixels, axis=0)) == 1
    task = gan._task(tiles(60), gan.Settings(width=8, feature_steps=1), gan.Fitting())
    task.model.load_state_dict(gan.network_of(task.codec, task.settings).state_dict())
    with torch.no_grad():
        for weight in task.model.parameters():
            weight.zero_()
    value = task.validate()
    assert value < -500
    breaches = [Validation(step=step, value=value) for step in range(20)]
    assert task.is_lost(breaches)
    assert not task.is_lost(breaches[:5])
    assert not task.is_lost([*breaches, Validation(step=20, value=-0.1)])


def test_a_pack_has_room_in_every_label() -> None:
    with pytest.raises(SyntheticError, match="pack is 6: give 1 to 5"):
        gan.Settings(pack=6)
