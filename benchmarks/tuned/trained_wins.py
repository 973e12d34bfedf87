"""``wins --real``: proofs in which candidate and baseline are the same configuration on other seeds.

Some networks are trained, each on a seed of its own, and each proof draws eight of them, four a side: proofs share
networks, so their count of wins spreads more than that of as many independent ones.
"""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from planted.data import drawn
from planted.runs import Bench, command

from detray.arrays import Flags
from detray.detectors.data import load
from detray.detectors.settings import DetectorSettings, TrainSettings
from detray.detectors.training.loop import detections, train
from detray.evaluate.scores import ImageGroups, Scores, class_scores
from detray.evaluate.settings import EvaluateSettings
from detray.evaluate.shard.inputs import read_scene
from detray.settings import convert, to_yaml
from detray.store import Store
from detray.tables import Shard, class_names, own_classes
from detray.tune.proof import GROUPS, Proof, Runs, prove
from tuned.search import smaller
from tuned.wins import MAX_DROP

SEEDS = 4


@dataclass(frozen=True)
class Made:
    """Where, on how many pictures (and half as many to judge on), and by how many processes networks are trained."""

    work: Path
    pictures: int
    processes: int


def report(proofs: int, networks: int, epochs: int, made: Made, tell: Callable[[str], None]) -> None:
    """How many of the proofs are wins, by the class that is the focus."""
    names, found = _scores(networks, epochs, made, tell)
    aps = np.array([one.ap.mean(axis=1) for one in found])
    tell(f"{networks} networks, {epochs} epochs, {made.pictures} pictures")
    tell(f"| focus | AP | its deviation over seeds | wins of {proofs} | gains but for the guard |")
    tell("|---|---|---|---|---|")
    for place, name in enumerate(names):
        proven = [_proof(found, number, np.arange(len(names)) == place) for number in range(proofs)]
        wins, gains = sum(one.is_win for one in proven), sum(bool(one.focus.low[0] > 0) for one in proven)
        ap, spread = aps[:, place].mean(), aps[:, place].std(ddof=1)
        tell(f"| {name} | {ap:.3f} | {spread:.3f} | {wins} | {gains} |")


def _proof(found: list[Scores], number: int, focus: Flags) -> Proof:
    """One that compares some of the networks with others."""
    chosen = np.random.default_rng(number).permutation(len(found))[: 2 * SEEDS]
    sides = [_runs([found[place] for place in half]) for half in (chosen[:SEEDS], chosen[SEEDS:])]
    return prove(sides[0], sides[1], focus, MAX_DROP)


def _runs(scores: list[Scores]) -> Runs:
    return Runs(
        np.stack([one.ap.mean(axis=1) for one in scores]),
        np.stack([one.ap[:, 0] for one in scores]),
        np.stack([one.left_out for one in scores]),
    )


def _scores(networks: int, epochs: int, made: Made, tell: Callable[[str], None]) -> tuple[list[str], list[Scores]]:
    """The classes, and how each network detects them."""
    data = drawn(made.work / "drawn")
    bench = Bench(made.work, made.work)
    config = bench.config(data, smaller(bench.clean(data, 0), made.pictures), made.work, ("train", "val"))
    (made.work / "real.yaml").write_text(to_yaml(config))
    command("ingest", made.work / "real.yaml", made.work / "real")
    found = []
    with ProcessPoolExecutor(made.processes, get_context("spawn")) as pool:
        for seed, scores in enumerate(pool.map(partial(_score, made, data.detector, epochs), range(networks))):
            tell(f"seed {seed}: AP {scores.ap.mean():.3f}")
            found.append(scores)
    store = Store(str(made.work / "real"))
    classes = class_names(own_classes(store.read_shard(store.shards(["train"])[0]).categories))
    return [classes[number] for number in sorted(classes)], found


def _score(made: Made, stated: dict[str, Any], epochs: int, seed: int) -> Scores:
    """How the network of a seed detects on val; kept there, so that what was cut off goes on."""
    kept = made.work / f"{made.pictures}-pictures-{epochs}-epochs-seed-{seed}.npz"
    if kept.is_file():
        with np.load(kept) as arrays:
            return Scores(arrays["ap"], arrays["left_out"])
    store = Store(str(made.work / "real"))
    detector = convert(stated, DetectorSettings, "benchmark")
    shards = {split: [store.read_shard(key) for key in store.shards([split])] for split in ("train", "val")}
    classes = class_names(own_classes(shards["train"][0].categories))
    learnt, seen = (load(shards[split], detector, classes, run="benchmark") for split in ("train", "val"))
    settings = TrainSettings(epochs=epochs, seed=seed, keep="last")
    model = train(learnt, None, detector, settings, classes).model
    truth = read_scene(_joined(shards["val"]), EvaluateSettings()).gt
    groups = ImageGroups(np.unique(seen.image_ids), GROUPS)
    scores = class_scores(truth, detections(model, seen), sorted(classes), groups)
    np.savez(kept, ap=scores.ap, left_out=scores.left_out)
    return scores


def _joined(shards: list[Shard]) -> Shard:
    first = shards[0]
    tables = {name: pa.concat_tables([getattr(one, name) for one in shards]) for name in ("images", "annotations")}
    return Shard(first.split, tables["images"], tables["annotations"], first.categories)
