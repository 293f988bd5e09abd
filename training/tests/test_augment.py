"""What augmentation may and may not do."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neurotriage_training import augment, data, recipe

STILL = augment.Strength(0, (1, 1), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
N, MARGIN = 12, recipe.Recipe().margin


def crops() -> torch.Tensor:
    random = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (N, data.CACHE_SIZE, data.CACHE_SIZE), generator=random, dtype=torch.uint8)


def run(strength: augment.Strength, seed: int, size: int = 64) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    theta = augment.geometry(N, MARGIN, strength, random)
    return augment.augment(crops(), size, theta, strength, random)


@pytest.mark.parametrize("size", [48, 64, 160])
def test_stays_in_range_and_shape(size: int) -> None:
    x = run(augment.Strength(), 1, size)
    assert x.shape == (N, 1, size, size) and x.dtype == torch.float32
    assert torch.isfinite(x).all() and float(x.min()) >= 0 and float(x.max()) <= 1


def test_same_seed_same_batch() -> None:
    assert torch.equal(run(augment.Strength(), 5), run(augment.Strength(), 5))
    assert not torch.equal(run(augment.Strength(), 5), run(augment.Strength(), 6))


def test_without_strength_only_flip_and_gain_remain() -> None:
    """The wide crop, shown still, is the recipe's crop, but for flips and brightness."""
    y, x = np.mgrid[0:256, 0:256]
    head = np.where(((x - 120) / 80) ** 2 + ((y - 130) / 100) ** 2 < 1, 60 + x / 3 + y / 5, 0).astype(np.float32)
    wide, _ = data.training_crop(head, recipe.Recipe())
    exact, _ = recipe.apply(head, recipe.Recipe(), 128)
    random = torch.Generator().manual_seed(0)
    theta = augment.geometry(8, MARGIN, STILL, random)
    made = augment.sample(torch.from_numpy(wide)[None, None].float().repeat(8, 1, 1, 1) / 255, theta, 128)[:, 0].numpy()
    for picture in made:
        assert min(np.abs(picture - exact).mean(), np.abs(picture[:, ::-1] - exact).mean()) < 0.01


def test_cells_follow_the_box() -> None:
    """The cells named are where the augmented picture is bright, whatever the geometry."""
    pixels = torch.zeros(N, data.CACHE_SIZE, data.CACHE_SIZE, dtype=torch.uint8)
    boxes = torch.full((N, 4), float("nan"))
    for i in range(N - 2):
        x, y, side = (round(v / 192 * data.CACHE_SIZE) for v in (40 + 9 * i, 120 - 7 * i, 30))
        pixels[i, y : y + side, x : x + side] = 255
        boxes[i] = torch.tensor([x, y, x + side, y + side])
    random = torch.Generator().manual_seed(9)
    theta = augment.geometry(N, MARGIN, augment.Strength(), random)
    bright = augment.sample(pixels.unsqueeze(1).float() / 255, theta, 128)
    share = torch.nn.functional.avg_pool2d(bright, 16)[:, 0]
    cells = augment.cells(boxes, theta, 8)
    assert not cells[N - 2 :].any()
    assert cells[: N - 2].flatten(1).any(1).all()
    assert float(share[cells].mean()) > 0.25 and float(share[~cells].max()) < 0.5


def test_noise_is_rician() -> None:
    """Magnitude noise never goes below zero, and lifts what was black."""
    x = torch.zeros(200, 1, 8, 8)
    noisy = augment.noise(x, augment.Strength(noise=1.0), torch.Generator().manual_seed(0))
    assert float(noisy.min()) >= 0 and float(noisy.mean()) > 0
