"""A command starts without what it has no use for."""

import json
import subprocess
import sys
from pathlib import Path

HEAVY = ("ray", "tensorflow", "keras", "cv2", "albumentations", "optuna", "pandas", "scipy.optimize", "scipy.stats")
SCRIPT = f"""
import sys
from detray import cli
code = cli.main()
print(*[name for name in {HEAVY} if name in sys.modules], file=sys.stderr)
import pyarrow as pa
frame = pa.table({{"a": [1]}}).to_pandas()
assert pa.Table.from_pandas(frame).num_rows == 1
sys.exit(code)
"""


def test_a_diagnosis_of_plain_files_imports_nothing_heavy(tmp_path: Path) -> None:
    box = {"image_id": 1, "category_id": 1, "bbox": [1, 1, 20, 20]}
    images, classes = [{"id": 1, "file_name": "1.jpg", "width": 64, "height": 64}], [{"id": 1, "name": "ring"}]
    truth = {"images": images, "categories": classes, "annotations": [box | {"id": 1, "area": 400, "iscrowd": 0}]}
    (tmp_path / "gt.json").write_text(json.dumps(truth))
    (tmp_path / "dt.json").write_text(json.dumps([box | {"score": 0.9}]))
    command = [sys.executable, "-c", SCRIPT, "diagnose", "gt.json", "dt.json", "--output", "out"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert run.stderr.splitlines()[-1] == ""
