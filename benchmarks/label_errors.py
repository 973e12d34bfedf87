"""Label errors that were planted before the training are found: precision and speed, beside ObjectLab and hotcoco.

``python benchmarks/label_errors.py [BCCD] [--cache FOLDER] [--objectlab PYTHON] [--hotcoco PYTHON]``

Of the labels of the split train a tenth each is left out, moved and relabelled, and as many boxes of nothing are added.
``detray clean`` with ``clean.folds: 4`` trains four detectors on these labels and predicts each fold by the one that
has not seen it: trainings are niced, and kept in the cache. All three rank these detections. The first figure is the
precision at as many suspects as were planted, the second the average precision. Where an interpreter is not given, or
lacks the package, its line is left out. ``--regain`` trains on the labels as they are, with faults, and cleaned, and
evaluates all three on true labels. ``--drawn`` and BCCD say which data sets. ``--weights mobilenet_v2.weights.h5`` (of
``benchmarks/pretrained.py``): all are trained on MobileNetV2 with these, and not the small network from scratch.
"""

import argparse
import json
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import pyarrow as pa
from noisy_labels.data import KINDS, Noise, judge_by_folds, plant, train_and_evaluate
from planted.data import Data, blood_cells, drawn

from detray.boxes import pairwise_iou
from detray.diagnose.evidence.unlabelled import LIKELY
from detray.diagnose.label_errors import label_errors
from detray.diagnose.observation.image_set import read_image_set
from detray.diagnose.observation.observe import observe
from detray.store import Store

SIDES = ("x", "y", "width", "height")
Suspects = Mapping[str, list[tuple[Any, float]]]
"""By kind: the row of a label, or (image, class, box) of one that is missing, and a score."""


def ours(tables: Mapping[str, pa.Table], names: Mapping[int, str]) -> tuple[float, list[dict[str, Any]]]:
    """Seconds from tables to suspects, and the suspects."""
    start = process_time()
    scene = read_image_set(tables["images"], tables["annotations"], tables["predictions"])
    seen = observe(scene, np.array(sorted(names)))
    found = label_errors(seen.boxes, seen.detections, seen.counts, names, run="x", split="train", model="m")
    return process_time() - start, found.to_pylist()


def suspects_of(rows: Iterable[Mapping[str, Any]]) -> Suspects:
    """Rows of the table label_errors by kind; ids of annotations are their rows, from 1 on."""
    found: dict[str, list[tuple[Any, float]]] = {kind: [] for kind in KINDS}
    for row in rows:
        what: Any = (row["annotation_id"] or 0) - 1
        if row["kind"] == "missing":
            box = [row[f"suggested_{side}"] for side in SIDES]
            what = (row["image_id"], row["suggested_category_id"], box)
        found[row["kind"]].append((what, row["score"]))
    return found


def peer(name: str, python: str | None, noise: Noise, results: list[dict[str, Any]]) -> tuple[float, Suspects] | None:
    """The same by another tool; None, and a line, where it is not there."""
    if python is None:
        print(f"{name}: left out, no interpreter is given")
        return None
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder, "given.json"), Path(folder, "found.json")
        given.write_text(json.dumps({"document": noise.document, "results": results}))
        script = Path(__file__).with_name("noisy_labels") / "peers.py"
        ended = subprocess.run([python, script, name, given, found], capture_output=True, text=True)
        if ended.returncode:
            print(f"{name}: left out, {ended.stderr.strip().splitlines()[-1:]}")
            return None
        answer = json.loads(found.read_text())
    suspects = answer["suspects"]
    suspects["missing"] = [
        ((results[row]["image_id"], results[row]["category_id"], results[row]["bbox"]), score)
        for row, score in suspects.get("missing", [])
    ]
    return answer["seconds"], suspects


def is_right(suspects: Suspects, kind: str, noise: Noise) -> tuple[np.ndarray, int]:
    """Whether each suspect of a kind, from the highest score down, is a planted one; how many were planted."""
    ordered = sorted(suspects.get(kind, []), key=lambda pair: -pair[1])
    if kind != "missing":
        return np.array([noise.kind[row] == kind for row, _ in ordered], bool), noise.kind.count(kind)
    left: dict[tuple[int, int], list[list[float]]] = {}
    for label in noise.missing:
        left.setdefault((label["image_id"], label["category_id"]), []).append(label["bbox"])
    right = []
    for (image, category, box), _ in ordered:
        there = left.get((image, category), [])
        iou = pairwise_iou(np.array([box]), np.array(there).reshape(-1, 4))[0]
        right.append(bool(len(there)) and float(iou.max()) >= 0.5)
        if right[-1]:
            there.pop(int(iou.argmax()))
    return np.array(right, bool), len(noise.missing)


def figures(right: np.ndarray, planted: int) -> tuple[float, float]:
    """Precision at the number planted, and average precision."""
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    return float(right[:planted].sum()) / planted, float(precision[right].sum()) / planted


def regained(data: Data, noise: Noise, cleaned: Store, cache: Path, seed: int) -> None:
    """Print the AP of detectors that were trained on true, faulty and cleaned labels, and the share regained."""
    after = json.loads(Path(cleaned.path("clean", "train.json")).read_text())
    edits = Counter(row["action"] for row in cleaned.read("edits", columns=["action"]).to_pylist())
    trained = {"true": data.documents["train"], "faulty": noise.document, "cleaned": after}
    found: dict[str, tuple[float, float]] = {}
    for name, document in trained.items():
        folder = cache / f"{data.name}-{name}-{seed}"
        own = {"train": document, "val": data.documents["val"]}
        metrics = train_and_evaluate(data, own, folder, seed).read("class_metrics")
        rows = [row for row in metrics.to_pylist() if row["area_range"] == "all" and row["ap"] is not None]
        found[name] = (float(np.mean([row["ap"] for row in rows])), float(np.mean([row["ap50"] for row in rows])))
        print(f"{data.name}, trained on {name} labels: mAP {found[name][0]:.3f}, AP50 {found[name][1]:.3f}")
    for place, word in enumerate(("mAP", "AP50")):
        true, faulty, again = (found[name][place] for name in trained)
        print(f"{word}: faults took {true - faulty:.3f}, {(again - faulty) / (true - faulty):.2f} of it is regained")
    print(f"edits: {dict(edits)}")


def report(data: Data, cache: Path, seed: int, peers: Mapping[str, str | None], *, regain: bool) -> None:
    """Print the figures of a data set."""
    names = {one["id"]: one["name"] for one in data.documents["train"]["categories"]}
    noise = plant(data.documents["train"], seed)
    cleaned = judge_by_folds(data, noise.document, cache / f"{data.name}-folds-{seed}", seed)
    tables = {name: cleaned.read(name) for name in ("images", "annotations")}
    tables["predictions"] = cleaned.read("predictions", "folds")
    found = tables["predictions"].to_pylist()
    results = [
        {name: row[name] for name in ("image_id", "category_id", "score")} | {"bbox": [row[side] for side in SIDES]}
        for row in found
    ]
    ours(tables, names)
    seconds, rows = ours(tables, names)
    said = {"detray": (seconds, suspects_of(rows))}
    for name, python in peers.items():
        answer = peer(name, python, noise, results)
        said |= {} if answer is None else {name: answer}
    n_boxes = len(noise.kind) + len(results)
    print(f"\n| {data.name}, {n_boxes:,} boxes | {' | '.join(KINDS)} | boxes a CPU second |")
    print(f"|---|{'---|' * (len(KINDS) + 1)}")
    for name, (seconds, suspects) in said.items():
        cells = [
            "{:.2f} / {:.2f}".format(*figures(*is_right(suspects, kind, noise))) if kind in suspects else "-"
            for kind in KINDS
        ]
        print(f"| {name} | {' | '.join(cells)} | {n_boxes / seconds:,.0f} |")
    likely = [row for row in rows if row["score"] >= LIKELY]
    for kind in KINDS:
        own = suspects_of(row for row in likely if row["kind"] == kind)
        right, _ = is_right(own, kind, noise)
        n = 0 if kind == "missing" else sum(noise.kind[row] not in ("", kind) for row, _ in own[kind])
        print(f"likelier wrong than right, {kind}: {len(right)}, of which {int(right.sum())} are, {n} wrong otherwise")
    if regain:
        regained(data, noise, cleaned, cache, seed)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("bccd", nargs="?", type=Path, help="folder of BCCD")
    arguments.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir(), "label_errors"))
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--objectlab", help="an interpreter that has cleanlab")
    arguments.add_argument("--hotcoco", help="an interpreter that has hotcoco")
    arguments.add_argument("--regain", action="store_true")
    arguments.add_argument("--drawn", action="store_true", help="the built-in pictures too")
    arguments.add_argument("--weights", type=Path, help="of MobileNetV2")
    options = arguments.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    peers = {"objectlab": options.objectlab, "hotcoco": options.hotcoco}
    chosen = [drawn(options.cache / "drawn")] if options.drawn or options.bccd is None else []
    chosen += [blood_cells(options.bccd)] if options.bccd is not None else []
    for data in chosen:
        if options.weights is not None:
            backbone = {"backbone": "mobilenet_v2", "weights": str(options.weights.resolve())}
            data = replace(data, name=f"{data.name}-mobilenet", detector=data.detector | backbone)
        report(data, options.cache, options.seed, peers, regain=options.regain)


if __name__ == "__main__":
    main()
