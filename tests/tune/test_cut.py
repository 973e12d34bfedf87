"""The cut of val: pictures alike stay together, and every class is shared out."""

import numpy as np
import pytest

from detray import schema
from detray.audit.alike import grouped, shared_out
from detray.flow.data import MemoryData
from detray.tables import Shard
from detray.tune.cut import cut

PICTURES = {1: "clip_01_001.png", 2: "a.png", 3: "clip_01_002.png", 4: "b.png", 5: "c.png", 6: "d.png"}
HASHES = {1: 0xFF, 2: 0xF0F0F0F0, 3: 0xFF00, 4: 0xF0F0F0F1, 5: 0x0F0F0F0F0F, 6: 0xAAAAAAAA}


def data(*, is_audited: bool) -> MemoryData:
    images = [
        {"split": "val", "image_id": number, "file_name": name, "image_row": number}
        for number, name in PICTURES.items()
    ]
    boxes = [
        {"split": "val", "image_id": image, "category_id": 1 + (number % 2), "is_crowd": False, "is_difficult": False}
        | {"annotation_id": number, "annotation_row": number}
        for number, image in enumerate([*PICTURES] * 2)
    ]
    shard = Shard(
        "val",
        schema.from_rows("images", images, run="r"),
        schema.from_rows("annotations", boxes, run="r"),
        schema.empty("categories"),
    )
    stats = [
        {"split": "val", "image_id": number, "content_hash": "same" if number in (5, 6) else str(number)}
        | {"perceptual_hash": value, "file_name": PICTURES[number], "is_decoded": True}
        for number, value in HASHES.items()
    ]
    tables = {"image_stats": schema.from_rows("image_stats", stats, run="r")}
    return MemoryData([shard], tables, {"audit": {}} if is_audited else {})


def sides(*, is_audited: bool) -> tuple[set[int], set[int], str]:
    whole = data(is_audited=is_audited)
    search, proof, by = cut(whole, whole.shards(["val"]))
    assert sorted([*search.tolist(), *proof.tolist()]) == list(PICTURES)
    return set(search.tolist()), set(proof.tolist()), by


def test_frames_of_one_clip_stay_together() -> None:
    search, proof, by = sides(is_audited=False)
    assert by == "names"
    assert any({1, 3} <= side for side in (search, proof))
    assert len(search) == len(proof) == 3


def test_pictures_that_look_alike_stay_together() -> None:
    search, proof, by = sides(is_audited=True)
    assert by == "what they look like and names"
    for pair in ({1, 3}, {2, 4}, {5, 6}):
        assert any(pair <= side for side in (search, proof)), pair


def test_groups_are_what_links_reach() -> None:
    found = grouped(5, np.array([[0, 2], [2, 4]]))
    assert found[0] == found[2] == found[4]
    assert len(set(found.tolist())) == 3


@pytest.mark.parametrize("seed", range(5))
def test_each_class_is_shared_out_evenly(seed: int) -> None:
    random = np.random.default_rng(seed)
    counts = random.poisson([0.05, 0.5, 5.0], (400, 3))
    is_proof = shared_out(counts, np.ones(400, np.int64), 2) == 1
    share = counts[is_proof].sum(axis=0) / counts.sum(axis=0)
    assert (np.abs(share - 0.5) < [0.1, 0.05, 0.05]).all()
    assert abs(is_proof.mean() - 0.5) < 0.15
