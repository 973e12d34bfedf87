"""The audit finds every planted fault that can be proven, at its row, and nothing where nothing was planted."""

from pathlib import Path

import pyarrow as pa

from detray.demo import verify
from detray.demo.faults import Fault
from detray.flow.executor import InProcess
from detray.settings import convert
from detray.store import Store
from detray.verbs import runner
from detray.verbs.base import Context
from detray.verbs.config import Config


def _findings(root: Path, output: Path, splits: tuple[str, ...]) -> pa.Table:
    values = {
        "dataset": {
            "root": str(root),
            "splits": {
                split: {"annotations": f"annotations/{split}.json", "images": f"images/{split}"} for split in splits
            },
        },
    }
    store = Store(str(output))
    runner.run(Context(convert(values, Config, "test"), store, InProcess()), ["audit"])
    return store.read("findings")


def test_every_provable_fault_is_found_at_its_place(faulty: tuple[Path, list[Fault]], tmp_path: Path) -> None:
    folder, planted = faulty
    provable = [fault for fault in planted if fault.evidence[0].table == "findings"]
    assert len(provable) == 11
    findings = _findings(folder, tmp_path / "out", ("val",))
    checks = verify.verify(provable, {"findings": findings})
    assert [check.fault.name for check in checks if not check.found] == []
    assert verify.unexplained(planted, findings).to_pylist() == []


def test_the_clean_data_set_has_no_provable_fault(drawn: Path, tmp_path: Path) -> None:
    findings = _findings(drawn, tmp_path / "out", ("train", "val", "test"))
    assert max(findings["severity"].to_pylist(), default=0) < verify.PROVEN
