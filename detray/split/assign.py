"""Groups of images shared out over parts of given sizes, each class and box size as evenly as groups allow."""

from collections.abc import Sequence

import numpy as np

from detray.arrays import Floats, Ints


def assign(counts: Ints, images: Ints, shares: Sequence[float], seed: int) -> Ints:
    """The part of each group.

    Iterative stratification (Sechidis et al., On the Stratification of Multi-Label Data, ECML 2011), of groups in the
    place of single examples: the rarest label first, of its groups those of most images first, each to the part that
    lacks most of the label, then most images. What is equal is decided by chance: by how much of the label they hold,
    the largest part would get its boxes in few images and the others theirs in many.

    Args:
        counts: boxes of each label, ``[g, l]``; a label is a class and a size.
        images: of each group, ``[g]``.
        shares: of the parts, which add up to 1, ``[p]``.
        seed: of the chance.

    Returns:
        The place of its part, ``[g]``.
    """
    chance = np.random.default_rng(seed)
    order = chance.permutation(len(images))
    part = np.full(len(images), -1)
    holds = np.concatenate([counts.astype(float), images[:, None].astype(float)], axis=1)
    lack = np.array(shares)[:, None] * holds.sum(axis=0)
    for label in [*np.argsort(holds[:, :-1].sum(axis=0), kind="stable").tolist(), holds.shape[1] - 1]:
        waiting = order[(part[order] < 0) & (holds[order, label] > 0)]
        for group in waiting[np.argsort(-images[waiting], kind="stable")].tolist():
            part[group] = _neediest(lack, label, holds[group, -1])
            lack[part[group]] -= holds[group]
    return part


def _neediest(lack: Floats, label: int, images: float) -> int:
    """The part that lacks most of a label, of those that have room for the images where there are any."""
    room = np.flatnonzero(lack[:, -1] >= images / 2)
    among = room if len(room) else np.arange(len(lack))
    return int(among[np.lexsort((lack[among, -1], lack[among, label]))[-1]])
