"""Pictures that look alike, against all pairs."""

import numpy as np
import pyarrow.compute as pc
from audit_data import dataset

from detray.audit import likeness
from detray.audit.pictures import PictureView

Hashes = np.ndarray


def _found(hashes: Hashes) -> dict[int, int]:
    """By image, the distance of the picture nearest to it."""
    images = [
        {
            "file_name": f"{(7919 * place) % 100_003}.jpg",
            "stats": {"perceptual_hash": value, "content_hash": f"{place}"},
        }
        for place, value in enumerate(hashes.tolist())
    ]
    data = dataset(images=images, pictures=True)
    (shard,), stats = data.shards()
    assert stats is not None
    like = likeness.compare([("one", likeness.prints(PictureView(shard, stats[0])))])
    like = like.filter(pc.equal(like["kind"], likeness.KINDS.index(likeness.NEAR)))
    return dict(zip(like["row"].to_pylist(), like["distance"].to_pylist(), strict=True))


def _with_near_ones(hashes: Hashes, rng: np.random.Generator) -> Hashes:
    """The last quarter are copies of the first with 0 to 3 bits changed."""
    n = len(hashes) // 4
    for place in range(n):
        flipped = [1 << int(bit) for bit in rng.choice(64, place % 4, replace=False)]
        hashes[-n + place] = hashes[place] ^ np.int64(np.uint64(sum(flipped)).view(np.int64))
    return hashes


def test_every_near_pair_is_found() -> None:
    rng = np.random.default_rng(0)
    hashes = _with_near_ones(rng.integers(-(2**63), 2**63, 1200), rng)
    distance = np.bitwise_count((hashes[:, None] ^ hashes).view(np.uint64)).astype(np.int64)
    np.fill_diagonal(distance, 64)
    nearest = distance.min(axis=1)
    assert _found(hashes) == {row: gap for row, gap in enumerate(nearest.tolist()) if gap <= 3}
    assert len(_found(hashes)) >= 600


def test_pictures_with_a_common_sky_are_told_apart() -> None:
    rng = np.random.default_rng(1)
    sky = np.int64(0x5A5A5A5A << 32)
    hashes = _with_near_ones(sky | rng.integers(0, 2**32, 4000), rng)
    found = _found(hashes)
    missed = [row for row in range(3000, 4000) if found.get(row, 64) > row % 4]
    assert len(missed) <= 20
