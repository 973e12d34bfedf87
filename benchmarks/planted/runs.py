"""Trainings, kept by what they were made from, and the runs of the shipped commands on them."""

import contextlib
import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from detray import cli
from detray.settings import to_yaml
from detray.store import Store
from planted.data import SPLITS, Data
from planted.plant import PICTURES, Case

Json = dict[str, Any]


class NotTrainedError(Exception):
    """The model is not in the cache, and no training was asked for."""


@dataclass(frozen=True)
class Result:
    """What a run gave: ``ap`` and ``ap50`` by class name, and the rows of ``diagnoses`` by class, first cause first."""

    ap: dict[str, float]
    ap50: dict[str, float]
    causes: dict[str, list[Json]]


@dataclass(frozen=True)
class Bench:
    """Where trainings are kept and runs are made.

    ``cache`` holds ``models``, each a folder with its training labels, its configuration and the model, and the
    changed pictures; ``results`` a folder for each run. ``trains``: models that are not there are trained.
    """

    cache: Path
    results: Path
    trains: bool = True

    def clean(self, data: Data, seed: int) -> Case:
        """The data as they are, and the settings of the training on them."""
        return Case(dict(data.documents), dict(data.detector), {"epochs": data.epochs, "seed": seed}, {})

    def model(self, data: Data, case: Case, name: str) -> Path:
        """The folder of the model that ``case`` gives, trained now unless it is there; ``name`` for who looks at it."""
        made = {"data": data.name, "labels": case.documents["train"], "detector": case.detector, "train": case.train}
        key = hashlib.blake2b(json.dumps(made, sort_keys=True).encode(), digest_size=4).hexdigest()
        found = [path for path in (self.cache / "models").glob(f"*-{key}") if (path / "model").is_dir()]
        if found:
            return found[0] / "model"
        if not self.trains:
            raise NotTrainedError
        folder = self.cache / "models" / f"{_file_name(name)}-{key}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        config = self.config(data, case, folder, ("train",)) | {"name": name}
        (folder / "config.yaml").write_text(to_yaml(config))
        command("train", folder / "config.yaml", folder / "out")
        shutil.copytree(folder / "out" / "train" / "model", folder / "part")
        (folder / "part").rename(folder / "model")
        shutil.rmtree(folder / "out")
        return folder / "model"

    def run(self, data: Data, case: Case, name: str, model: Path, suspects: list[str]) -> Result:
        """Audit, predict, evaluate and diagnose; detections that are there are used again, diagnoses never."""
        folder = self.results / _file_name(name)
        folder.mkdir(parents=True, exist_ok=True)
        config = self.config(data, case, folder, SPLITS)
        config["detector"] = config["detector"] | {"path": str(model)}
        config |= {"name": name, "evaluate": {"bootstrap": 0}, "diagnose": {"classes": suspects}}
        place, out = folder / "config.yaml", folder / "out"
        place.write_text(to_yaml(config))
        command("audit", place, out)
        command("diagnose", place, out, "--force")
        return _read(Store(str(out)))

    def config(self, data: Data, case: Case, folder: Path, splits: tuple[str, ...]) -> Json:
        """The configuration of a run, whose annotations are written to ``folder``."""
        stated = {}
        for split in splits:
            labels = folder / f"{split}.json"
            write_if_new(labels, json.dumps(case.documents[split]))
            stated[split] = {"format": "coco", "annotations": str(labels), "images": str(data.pictures[split])}
        if "val" in stated and case.picture:
            stated["val"]["images"] = str(self._changed(data, case.picture))
        settings = {"train": case.train} | ({"predict": case.predict} if case.predict else {})
        return {"dataset": {"root": "/", "splits": stated}, "detector": case.detector, **settings}

    def _changed(self, data: Data, how: str) -> Path:
        """The folder of val's pictures after a change."""
        folder = self.cache / "pictures" / f"{data.name}-{how}"
        if not folder.is_dir():
            part = folder.with_suffix(".part")
            part.mkdir(parents=True, exist_ok=True)
            for image in data.documents["val"]["images"]:
                pixels = cv2.imread(str(data.pictures["val"] / image["file_name"]))
                cv2.imwrite(str(part / image["file_name"]), PICTURES[how](pixels), [cv2.IMWRITE_JPEG_QUALITY, 95])
            part.rename(folder)
        return folder


def command(verb: str, config: Path, out: Path, *more: str) -> None:
    """A command as a person types it, in this process, so that TensorFlow starts once."""
    log = out.parent / f"{verb}.log"
    with log.open("w", 1) as stream, contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
        code = cli.main([verb, "--serial", "--config", str(config), "--output", str(out), *more])
    if code:
        raise SystemExit(f"detray {verb} --config {config}: {log.read_text()[-500:]}")


def _read(store: Store) -> Result:
    rows = [row for row in store.read("class_metrics").to_pylist() if row["area_range"] == "all"]
    rows = [row for row in rows if row["split"] == "val" and row["ap"] is not None]
    causes: dict[str, list[Json]] = {}
    for row in sorted(store.read("diagnoses").to_pylist(), key=lambda row: row["rank"]):
        if row["split"] == "val":
            causes.setdefault(row["category_name"], []).append(row)
    return Result(
        {row["category_name"]: row["ap"] for row in rows}, {row["category_name"]: row["ap50"] for row in rows}, causes
    )


def write_if_new(path: Path, text: str) -> None:
    """Leave a file alone that says this already: a stage that read it stays current."""
    if not path.is_file() or path.read_text() != text:
        path.write_text(text)


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name.replace("%", "")).strip("-")
