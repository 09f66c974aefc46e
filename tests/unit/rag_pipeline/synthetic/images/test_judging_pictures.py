"""How near pictures are judged to come to real ones: controls whose answer is known."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import sqrtm

from rag_pipeline.synthetic.errors import ModelFileError, PictureError
from rag_pipeline.synthetic.images.features import FEATURES, FeatureNet, load_features
from rag_pipeline.synthetic.images.pictures import Pictures, digits, pictures_of
from rag_pipeline.synthetic.judging.images import copies, judged_pictures, nearest_ratio
from rag_pipeline.synthetic.judging.likeness import frechet_distance, precision_recall
from rag_pipeline.synthetic.saved import ABOUT, TENSORS, save_generator

from .conftest import tiles


def normal(count: int, width: int, *, middle: float = 0.0, spread: float = 1.0, seed: int = 0):
    return np.random.default_rng(seed).normal(middle, spread, (count, width))


@pytest.fixture(scope="module")
def parts() -> tuple[Pictures, Pictures, Pictures]:
    """Learnt, held out, and others that nobody saw."""
    every = digits()
    order = np.random.default_rng(1).permutation(len(every))
    return every.rows(order[:800]), every.rows(order[800:1200]), every.rows(order[1200:1600])


@pytest.fixture(scope="module")
def net(parts: tuple[Pictures, Pictures, Pictures]) -> FeatureNet:
    return FeatureNet.fit(parts[0], steps=150)


def without_labels(pictures: Pictures) -> Pictures:
    return replace(pictures, labels=None)


def test_the_frechet_distance_is_that_of_its_definition() -> None:
    one, other = normal(300, 6), normal(200, 6, middle=0.4, spread=1.7, seed=1) @ normal(6, 6)
    first, second = np.cov(one.T), np.cov(other.T)
    root = sqrtm(first @ second).real
    expected = ((one.mean(0) - other.mean(0)) ** 2).sum() + np.trace(first + second - 2 * root)
    assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(other, one) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(one, one + 2.0) == pytest.approx(6 * 4.0)


def test_the_frechet_distance_of_features_that_never_change_is_a_number() -> None:
    flat = np.ones((40, 5))
    assert frechet_distance(flat, flat) == 0
    assert frechet_distance(flat, normal(40, 5)) > 0


def test_precision_and_recall_are_those_of_their_definition() -> None:
    real, drawn = normal(90, 3), normal(60, 3, middle=0.7, seed=1)

    def covered(points, by):
        reach = [sorted(np.linalg.norm(by - one, axis=1))[3] for one in by]
        inside = [(np.linalg.norm(by - one, axis=1) <= reach).any() for one in points]
        return np.mean(inside)

    assert precision_recall(real, drawn) == (covered(drawn, real), covered(real, drawn))


def test_precision_and_recall_tell_what_is_wrong() -> None:
    real = normal(400, 4)
    assert precision_recall(real, real) == (1.0, 1.0)
    assert precision_recall(real, real + 100) == (0.0, 0.0)
    precision, recall = precision_recall(real, normal(400, 4, spread=0.1, seed=1))
    assert precision == 1
    assert recall < 0.05
    precision, recall = precision_recall(real, normal(400, 4, spread=4, seed=1))
    assert precision < 0.5
    assert recall > 0.8


@pytest.mark.slow
def test_real_pictures_pass_for_synthetic_ones(parts, net: FeatureNet) -> None:
    learnt, held_out, others = parts
    found = judged_pictures(learnt, held_out, others, net=net)
    assert found.pictures == 400
    assert found.fid_ratio < 1.5
    assert found.synthetic.precision > 0.8
    assert found.synthetic.recall > 0.8
    assert 0.8 < found.nearest < 1.25
    assert found.copies == 0
    assert found.efficacy is not None
    assert found.efficacy > 0.9
    said = json.loads(json.dumps(found.as_json()))
    assert said["features"] == {
        "net": "three convolutions, trained on the real pictures",
        "told": "labels",
        "features": FEATURES,
        "sha256": net.sha256,
    }


def test_copies_and_what_is_nearly_one_are_found(parts, net: FeatureNet) -> None:
    learnt, held_out, others = parts
    planted = pictures_of(np.concatenate([others.pixels[:390], learnt.pixels[:10]]))
    assert copies(learnt, planted) == 10
    assert nearest_ratio(learnt, held_out, planted) > 0.8  # blind to so few
    jitter = np.random.default_rng(0).integers(-6, 7, learnt.pixels[:400].shape)
    shaken = pictures_of((learnt.pixels[:400] + jitter).clip(0, 255))
    found = judged_pictures(without_labels(learnt), held_out, shaken, net=net)
    assert found.copies == 0
    assert found.nearest < 0.4
    assert found.efficacy is None
    assert found.synthetic.precision > 0.8


def test_noise_and_a_picture_drawn_again_and_again_are_found(parts, net: FeatureNet) -> None:
    learnt, held_out, _ = parts
    noise = pictures_of(np.random.default_rng(0).integers(0, 256, (400, 8, 8)))
    found = judged_pictures(learnt, held_out, noise, net=net)
    assert found.synthetic.precision < 0.2
    assert found.fid_ratio > 10
    one = pictures_of(np.repeat(held_out.pixels[:1], 400, axis=0))
    found = judged_pictures(learnt, held_out, one, net=net)
    assert found.synthetic.precision == 1
    assert found.synthetic.recall < 0.05
    black = pictures_of(np.zeros((400, 8, 8)))
    assert judged_pictures(learnt, held_out, black, net=net).synthetic.recall < 0.05


def test_pictures_that_are_the_same_everywhere_give_no_share_of_nothing(net: FeatureNet) -> None:
    some = without_labels(digits().rows(slice(60)))
    found = judged_pictures(some, some, some, net=net)
    assert found.nearest is None
    assert found.copies == found.copies_held_out == 60
    json.dumps(found.as_json(), allow_nan=False)


def test_what_can_not_be_judged_is_said(parts, net: FeatureNet) -> None:
    learnt, held_out, others = parts
    with pytest.raises(PictureError, match="1 of them are too few to judge"):
        judged_pictures(learnt, held_out, others.rows(slice(1)), net=net)
    with pytest.raises(PictureError, match="differ in size"):
        judged_pictures(learnt, held_out, tiles(60, size=(9, 8)), net=net)
    with pytest.raises(PictureError, match="without labels nothing can be told right"):
        net.accuracy(without_labels(others))


def test_a_net_without_labels_learns_how_pictures_were_turned() -> None:
    pictures = pictures_of(tiles(80).pixels)
    found = FeatureNet.fit(pictures, steps=20)
    assert found.told == "turns"
    assert found.features(pictures).shape == (80, FEATURES)
    assert found.sha256 == FeatureNet.fit(pictures, steps=20).sha256
    assert found.sha256 != FeatureNet.fit(pictures, steps=20, seed=1).sha256


def test_a_net_that_is_saved_says_the_same_and_a_damaged_one_is_refused(
    parts, net: FeatureNet, tmp_path: Path
) -> None:
    assert save_generator(net, tmp_path) == net.sha256
    again = load_features(tmp_path)
    assert np.array_equal(again.features(parts[1]), net.features(parts[1]))
    assert again.as_json() == net.as_json()
    about = (tmp_path / ABOUT).read_text()
    (tmp_path / ABOUT).write_text(about.replace("image/features", "image/vae"))
    with pytest.raises(ModelFileError, match="'image/vae' is no feature net"):
        load_features(tmp_path)
    (tmp_path / ABOUT).write_text(about)
    (tmp_path / TENSORS).write_bytes(b"")
    with pytest.raises(ModelFileError, match="is not the file that"):
        load_features(tmp_path)
