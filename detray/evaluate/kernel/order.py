"""Stable sorting by several keys, by way of NumPy's vectorised unstable sort.

``np.lexsort`` and ``kind="stable"`` do not use the processor's vector sort, and ``np.argsort`` is
slower than ``np.sort`` on integers: packing the position into the low bits of the key makes one such
sort stable and tells the order.
"""

import numpy as np
from numpy.typing import NDArray

from detray.arrays import Flags, Floats, Ints


def stable_argsort(codes: NDArray[np.integer]) -> Ints:
    """The stable ascending order of integers ``[n]``."""
    n = len(codes)
    if n < 2:
        return np.arange(n)
    bits = (n - 1).bit_length()
    low = int(codes.min())
    if (int(codes.max()) - low).bit_length() + bits > 62:
        return np.argsort(codes, kind="stable")
    packed = (codes.astype(np.int64) - low) << bits
    packed |= np.arange(n)
    packed.sort()
    packed &= (1 << bits) - 1
    return packed


def falling(scores: Floats, codes: Ints | None = None) -> Ints:
    """The stable order of finite ``scores`` ``[n]`` from high to low, within rising ``codes`` where given."""
    n = len(scores)
    if n < 2:
        return np.arange(n)
    # the bits of floats, seen as integers, rise with them (below 0, all but the sign turned round)
    key = (scores + 0.0).view(np.int64)  # -0 becomes 0
    key ^= (key >> 63) & np.int64((1 << 63) - 1)
    packed = (key.max() - key).view(np.uint64)
    low, code_bits = 0, 0
    if codes is not None:
        low = int(codes.min())
        code_bits = (int(codes.max()) - low).bit_length()
    place_bits, score_bits = (n - 1).bit_length(), int(packed.max()).bit_length()
    room = 63 - place_bits - code_bits
    if room < 1:
        order = falling(scores)
        return order if codes is None else order[stable_argsort(codes[order])]
    packed >>= np.uint64(max(score_bits - room, 0))
    packed = packed.view(np.int64)
    if codes is not None:
        packed |= (codes - low) << min(score_bits, room)
    packed <<= place_bits
    packed |= np.arange(n)
    packed.sort()
    order = packed & ((1 << place_bits) - 1)
    if score_bits > room:
        packed >>= place_bits
        new = packed[1:] != packed[:-1]
        same = np.flatnonzero(~new)
        wrong = same[scores[order[same]] < scores[order[same + 1]]]
        if len(wrong):
            _mend(order, new, wrong, -scores)
    return order


def _mend(order: Ints, new: Flags, wrong: Ints, *keys: NDArray) -> None:
    """Sort those runs of ``order`` in which places are ``wrong`` stably by ``keys``, the last one first.

    ``new`` ``[n - 1]`` tells whether a run begins at each place but the first.
    """
    run = np.concatenate([[0], np.cumsum(new)])
    mixed = np.zeros(int(run[-1]) + 1, np.bool_)
    mixed[run[wrong]] = True
    places = np.flatnonzero(mixed[run])
    rows = order[places]
    order[places] = rows[np.lexsort((rows, *(key[rows] for key in keys), run[places]))]


def pair_codes(first: Ints, second: Ints, *others: tuple[Ints, Ints]) -> list[Ints]:
    """One non-negative integer for each pair ``(first[i], second[i])``, in the order of the pairs.

    ``others`` are further pairs of arrays coded in the same way, so that equal pairs have equal
    codes across all of them. Returns the codes of each.
    """
    pairs = [(first, second), *others]
    a, low_a, span_a = _offsets([pair[0] for pair in pairs])
    b, low_b, span_b = _offsets([pair[1] for pair in pairs])
    if span_a * span_b < 1 << 62:
        return [(x - low_a) * span_b + (y - low_b) for x, y in zip(a, b, strict=True)]
    codes = np.unique(np.concatenate(a), return_inverse=True)[1], np.unique(np.concatenate(b), return_inverse=True)[1]
    joined = codes[0] * (int(codes[1].max()) + 1) + codes[1]
    return np.split(joined, np.cumsum([len(x) for x in a])[:-1])


def places(known: Ints, values: Ints) -> Ints:
    """Where each of ``values`` stands in ``known``, which rises and holds them all."""
    if not len(known) or (span := int(known[-1]) - int(known[0]) + 1) > 4 * (len(known) + len(values)):
        return np.searchsorted(known, values)
    table = np.empty(span, np.int64)
    table[known - known[0]] = np.arange(len(known))
    return table[values - known[0]]


def find(known: Ints, values: Ints) -> Ints:
    """Where each of ``values`` stands in ``known``, which rises; -1: nowhere."""
    if not len(known):
        return np.full(len(values), -1)
    place = np.minimum(np.searchsorted(known, values), len(known) - 1)
    return np.where(known[place] == values, place, -1)


def runs(known: Ints, values: Ints) -> tuple[Ints, Ints]:
    """Where the run of each of ``values`` starts in ``known``, which rises, and its length, 0 where there is none."""
    if not len(known) or (span := int(known[-1]) - int(known[0]) + 1) > 4 * (len(known) + len(values)):
        first = np.searchsorted(known, values)
        return first, np.searchsorted(known, values, side="right") - first
    starts = np.searchsorted(known, known[0] + np.arange(span + 1))
    inside = (values >= known[0]) & (values <= known[-1])
    place = np.where(inside, values - known[0], 0)
    return starts[place], np.where(inside, starts[place + 1] - starts[place], 0)


def _offsets(arrays: list[Ints]) -> tuple[list[Ints], int, int]:
    filled = [array for array in arrays if len(array)]
    if not filled:
        return arrays, 0, 1
    low = min(int(array.min()) for array in filled)
    return arrays, low, max(int(array.max()) for array in filled) - low + 1


def ranked_order(code: Ints, score: Floats, image: Ints, rank: Ints) -> Ints:
    """The order by ``code``, falling score, image and rank, in which pycocotools accumulates."""
    order = falling(score, code)
    codes, scores = code[order], score[order]
    new = (codes[1:] != codes[:-1]) | (scores[1:] != scores[:-1])
    same = np.flatnonzero(~new)
    one, other = order[same], order[same + 1]
    wrong = same[(image[one] > image[other]) | ((image[one] == image[other]) & (rank[one] > rank[other]))]
    if len(wrong):
        _mend(order, new, wrong, rank, image)
    return order


def count(values: Ints) -> tuple[Ints, Ints]:
    """The distinct ``values``, rising, and how often each occurs."""
    if not len(values):
        return values, values
    low = int(values.min())
    if int(values.max()) - low > 4 * len(values):
        return np.unique(values, return_counts=True)
    n = np.bincount(values - low)
    found = np.flatnonzero(n)
    return found + low, n[found]
