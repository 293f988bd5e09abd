"""What each technique does to slices, batches, rates and ends; the catalogue names all of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from neurotriage_training import CLASS_WEIGHTS, recipe
from neurotriage_training.compare import rows, techniques
from neurotriage_training.compare.backbones import BACKBONES
from neurotriage_training.compare.feed import Feed
from neurotriage_training.compare.learner import Budget, Learner, Machine
from neurotriage_training.compare.rows import ROWS, STUDY
from neurotriage_training.compare.schedules import Cycle, Plateau
from neurotriage_training.compare.slices import framed, whole
from neurotriage_training.compare.techniques import Technique

PLAIN = Technique(augment=())


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def disc(side: int = 192) -> np.ndarray:
    """A head off the middle, with a bright spot, wide-cropped."""
    y, x = np.mgrid[0:side, 0:side]
    head = ((x - 96) / 70) ** 2 + ((y - 96) / 74) ** 2 < 1
    spot = (x - 130) ** 2 + (y - 70) ** 2 < 100
    return (head * 100 + spot * 120).astype(np.uint8)


def test_without_augmentation_training_sees_what_serving_does() -> None:
    """Within resampling: training's pictures come from a cache, serving's from the slice."""
    slice_ = np.pad(disc()[20:175, 24:170], 20)
    from neurotriage_training import data

    crop, _ = data.training_crop(slice_, recipe.Recipe())
    seen = techniques.prepared(crop[None], 64, PLAIN, generator())[0, 0].numpy()
    served, _ = recipe.apply(slice_, recipe.Recipe(), 64)
    assert np.abs(seen - served).mean() < 0.03
    full = techniques.prepared(disc()[None], 64, replace(PLAIN, frame="whole"), generator())[0, 0].numpy()
    assert np.abs(full - whole(disc(), 64)).mean() < 0.03


def test_each_augmentation_does_its_own() -> None:
    pictures = np.stack([disc()] * 40)
    plain = techniques.prepared(pictures, 48, PLAIN, generator())
    flipped = techniques.prepared(pictures, 48, replace(PLAIN, augment=("flip",)), generator())
    is_flipped = [torch.allclose(one, two.flip(-1), atol=1e-3) for one, two in zip(flipped, plain)]
    is_plain = [torch.allclose(one, two, atol=1e-3) for one, two in zip(flipped, plain)]
    assert 8 < sum(is_flipped) < 32 and sum(is_flipped) + sum(is_plain) == 40
    turned = techniques.geometry(replace(PLAIN, augment=("rotation",)), 400, generator())
    angles = torch.rad2deg(torch.atan2(turned[:, 1, 0], turned[:, 0, 0]))
    assert 60 < float(angles.max()) <= 72.1 and -72.1 <= float(angles.min()) < -60
    contrasted = techniques.contrast(torch.from_numpy(np.stack([framed([disc()], "whole", 48)[0]] * 200)), generator())
    spread = contrasted.std((1, 2, 3)) / contrasted.mean((1, 2, 3))
    assert float(spread.max()) > 1.1 * float(spread.min())


@pytest.mark.parametrize(
    ("balance", "counts"),
    [("weights", [50, 30, 5, 15]), ("none", [50, 30, 5, 15]), ("undersample", [5] * 4), ("oversample", [50] * 4)],
)
def test_balance(balance: str, counts: list[int]) -> None:
    labels = np.repeat([0, 1, 2, 3], [50, 30, 5, 15])
    rows_of = techniques.order(labels, balance, 1, 0)
    assert np.bincount(labels[rows_of], minlength=4).tolist() == counts
    if balance != "undersample":
        assert set(rows_of) == set(range(100))
    assert rows_of.tolist() != techniques.order(labels, balance, 1, 1).tolist()
    assert replace(PLAIN, balance=balance).class_weights == (CLASS_WEIGHTS if balance == "weights" else (1.0,) * 4)


def test_an_epoch_shows_every_slice_once() -> None:
    pictures = np.zeros((24, 192, 192), np.uint8)
    labels = np.arange(24) % 4
    feed = Feed(pictures, list(range(24)), labels, replace(PLAIN, batch=8), 32, seed=1)
    seen = np.concatenate([feed._chosen(step) for step in range(feed.steps)])
    assert feed.steps == 3 and sorted(seen) == list(range(24))
    assert torch.equal(feed.at(5)[1], feed.at(5)[1]) and not torch.equal(feed.at(0)[1], feed.at(1)[1])


def test_the_cycle_rises_and_falls() -> None:
    rates = [Cycle(1e-3, 200).rate(step) for step in range(200)]
    top = int(np.argmax(rates))
    assert top == 16 and rates[top] == pytest.approx(1e-3) and rates[-1] < 1e-6
    assert rates == sorted(rates[:top]) + sorted(rates[top:], reverse=True)


def test_the_plateau_halves_after_two_and_stops_after_five() -> None:
    plateau = Plateau(1e-3)
    assert plateau.told(1.0) and not plateau.told(1.1) and plateau.rate(0) == 1e-3
    plateau.told(1.1)
    assert plateau.rate(0) == 5e-4 and not plateau.stopped
    again = Plateau(1.0)
    again.resume(plateau.state())
    for _ in range(2):
        assert not again.told(1.2)
    assert again.rate(0) == 2.5e-4 and not again.stopped
    again.told(1.2)
    assert again.stopped
    low = Plateau(1.5e-5)
    for _ in range(3):
        low.told(1.0)
    assert low.rate(0) == 1e-5


def test_the_best_weights_are_restored(tmp_path: Path) -> None:
    """The validation loss says that the second look was best; training ends early and goes back to it."""
    technique = replace(PLAIN, schedule="plateau", batch=4)
    feed = Feed(np.zeros((8, 192, 192), np.uint8), list(range(8)), np.arange(8) % 4, technique, 16, 1)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(256, 4))
    losses, seen = iter([3.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]), []

    def look(network: torch.nn.Module) -> float:
        seen.append(network[1].bias.detach().clone())
        return next(losses)

    learner = Learner(net, feed, {}, tmp_path, 1e-2, Machine(bf16=False), look)
    outcome = learner.train(Budget(steps=100))
    assert outcome.ended == "early" and len(seen) == 7 and outcome.steps == 7 * feed.steps
    assert torch.equal(net[1].bias, seen[1]) and not torch.equal(seen[1], seen[-1])


def test_a_diverged_network_ends(tmp_path: Path) -> None:
    feed = Feed(np.full((8, 192, 192), 255, np.uint8), list(range(8)), np.arange(8) % 4, replace(PLAIN, batch=4), 16, 1)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(256, 4))
    with torch.no_grad():
        net[1].weight.fill_(float("inf"))
    outcome = Learner(net, feed, {}, tmp_path, 1e-2, Machine(bf16=False)).train(Budget(steps=10))
    assert outcome.ended == "diverged" and outcome.steps == 1


def test_a_wrong_setting_is_refused() -> None:
    for wrong in ({"frame": "round"}, {"augment": ("flop",)}, {"augment": ("model", "flip")}, {"balance": "x"}):
        with pytest.raises(ValueError):
            Technique(**wrong)
    with pytest.raises(ValueError, match="head crops"):
        Technique(frame="whole", stand_ins=True)


def test_the_catalogue_has_every_backbone_and_technique() -> None:
    names = [row.name for row in ROWS]
    assert len(names) == len(set(names)) and set(BACKBONES) < set(names)
    used = [row.technique for row in ROWS]
    for name, values in (
        ("frame", techniques.FRAMES),
        ("balance", techniques.BALANCES),
        ("head", ("usual", "linear", "flatten")),
        ("schedule", techniques.SCHEDULES),
        ("scale", ("centred", "rescaled", "raw")),
        ("stand_ins", (False, True)),
    ):
        assert {getattr(one, name) for one in used} == set(values), name
    assert {one.augment for one in used} >= {(), ("flip",), ("rotation",), ("contrast",), ("model",)}
    base = next(row for row in ROWS if row.name == "study-resnet50")
    assert base.reported == 0.9052 and base.technique == STUDY and STUDY.head == "flatten" and STUDY.dropout == 0.5


def test_every_ablation_differs_from_the_reference_in_one_thing() -> None:
    reference = next(row for row in ROWS if row.name == rows.REFERENCE).technique
    together = {("head", "dropout"), ("schedule", "rate"), ("augment", "stand_ins")}
    for row in ROWS:
        if row.group == "technique" and row.backbone == rows.REFERENCE:
            changed = [k for k, v in row.told()["technique"].items() if v != getattr(reference, k)]
            assert len(changed) == 1 or tuple(sorted(changed)) in {tuple(sorted(t)) for t in together}, row.name


def test_runs_go_seed_by_seed() -> None:
    all_of = rows.runs(ROWS)
    assert len(all_of) == len(ROWS) * 6 and len({run.key for run in all_of}) == len(all_of)
    assert [run.seed for run in all_of] == sorted(run.seed for run in all_of)
    with pytest.raises(ValueError, match="no row is called nothing"):
        rows.named(["nothing"])
