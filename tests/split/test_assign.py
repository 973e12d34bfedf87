"""Groups are shared out: all of them, by seed, each class and size within tolerance where groups allow."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detray.split.assign import assign

SHARES = (0.7, 0.15, 0.15)


@given(
    seed=st.integers(0, 2**31 - 1),
    groups=st.integers(3, 80),
    labels=st.integers(0, 6),
    shares=st.sampled_from([SHARES, (0.8, 0.2), (0.5, 0.25, 0.25)]),
)
def test_every_group_goes_to_one_part_and_the_same_seed_gives_the_same(
    seed: int, groups: int, labels: int, shares: tuple[float, ...]
) -> None:
    made = np.random.default_rng(seed)
    counts, images = made.poisson(1.0, (groups, labels)), made.integers(1, 5, groups)
    part = assign(counts, images, shares, seed)
    assert set(part) <= set(range(len(shares)))
    assert (part == assign(counts, images, shares, seed)).all()
    got = np.bincount(part, weights=images, minlength=len(shares))
    # as many images as its share, but for one group and what the others leave
    assert np.abs(got - np.array(shares) * images.sum()).max() <= images.max() + 1


def test_seeds_differ() -> None:
    counts, images = np.ones((100, 1), np.int64), np.ones(100, np.int64)
    assert (assign(counts, images, SHARES, 0) != assign(counts, images, SHARES, 1)).any()


@pytest.mark.parametrize("seed", range(5))
def test_classes_are_shared_out_where_groups_allow(seed: int) -> None:
    made = np.random.default_rng(seed)
    held = made.random((600, 8)) < np.array([0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.0])
    counts = held * made.integers(1, 4, held.shape)
    part = assign(counts, np.ones(600, np.int64), SHARES, seed)
    for label, total in enumerate(counts.sum(axis=0)):
        for number, share in enumerate(SHARES):
            got = counts[part == number, label].sum()
            assert abs(got - share * total) <= 3 + 0.03 * total


def test_a_group_larger_than_a_part_goes_where_it_fits() -> None:
    images = np.array([60, *[1] * 40])
    part = assign(np.ones((41, 1), np.int64), images, SHARES, 0)
    assert part[0] == 0
    assert np.bincount(part, weights=images).tolist() == [70, 15, 15]
