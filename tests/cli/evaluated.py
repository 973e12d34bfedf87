"""Folders as ``detray evaluate`` leaves them, for tests of what becomes of them."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from detray import cli
from detray.store import Stage

STAGES = ("ingest", "predict", "evaluate")


class Runs:
    """Folders as ``detray evaluate`` leaves them: whole, and cut off before the commit of a stage."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        boxes = [[10 * i, 10, 30, 40] for i in range(6)]
        annotations = [
            {"id": i + 1, "image_id": 1 + i % 3, "category_id": 1 + i % 2, "bbox": box, "area": 1200, "iscrowd": 0}
            for i, box in enumerate(boxes)
        ]
        images = [{"id": i, "file_name": f"{i}.jpg", "width": 100, "height": 100} for i in (1, 2, 3)]
        categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
        detections = [
            {"image_id": 1 + i % 3, "category_id": 1, "bbox": box, "score": 0.9} for i, box in enumerate(boxes)
        ]
        truth = {"images": images, "categories": categories, "annotations": annotations}
        (folder / "gt.json").write_text(json.dumps(truth))
        (folder / "dets.json").write_text(json.dumps(detections))
        assert self.evaluate(folder / "whole") == 0
        self.tables = tables(folder / "whole")
        commit = Stage.commit
        for cut in STAGES:

            def stop(stage: Stage, *arguments: object, cut: str = cut) -> object:
                if stage.name == cut:
                    raise KeyboardInterrupt
                return commit(stage, *arguments)  # type: ignore[arg-type]

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Stage, "commit", stop)
                assert self.evaluate(folder / f"cut-{cut}") == 130

    def evaluate(self, output: Path, *options: str) -> int:
        files = [str(self.folder / name) for name in ("gt.json", "dets.json")]
        return cli.main(["evaluate", *files, "--serial", "--output", str(output), *options])

    def copy(self, name: str, target: Path) -> Path:
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self.folder / name, target)
        return target


def tables(output: Path) -> dict[str, pa.Table]:
    """All tables without the id, which each output folder has for itself."""
    folders = [path for path in sorted(output.glob("*/*")) if path.is_dir() and path.name != "_partial"]
    found = {f"{path.parent.name}/{path.name}": pq.read_table(path, partitioning=None) for path in folders}
    return {name: rows.drop_columns("run_id") for name, rows in found.items()}
