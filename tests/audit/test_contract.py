"""What every rule keeps: its cases pass, and its verdict depends on nothing but the data."""

import re
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import yaml
from audit_data import Dataset, dataset, label_map, pipeline, reach

from detray import schema
from detray.audit import rules
from detray.audit.catalogue import RULES
from detray.audit.rule import ERROR, Rule
from detray.detectors.augmentation.augment import Augmentation

FOLDER = Path(rules.__file__).parent
CASES = Path(__file__).parent / "cases"
BY_CODE = {rule.code: rule for rule in RULES}


def _cases() -> list[Any]:
    return [
        pytest.param(rule, case, id=f"{rule.code}-{case['name'].replace(' ', '_')}")
        for rule in RULES
        for case in yaml.safe_load((CASES / f"{rule.code}.yaml").read_text())
    ]


def _judged(rule: Rule, case: dict[str, Any], cuts: int = 1, shuffle: int | None = None) -> tuple[pa.Table, Dataset]:
    """The rule's findings; ``beside`` are rules that run, too, ``quarantine`` what ingest set aside."""
    described = {key: case[key] for key in ("boxes", "images", "categories", "splits", "pictures") if key in case}
    data = dataset(**described)
    inputs: dict[str, Any] = {}
    if "label_map" in case:
        inputs["label_map"] = label_map(case["label_map"].get("names", {}), case["label_map"].get("problems", ()))
    if "masks" in case:
        inputs["masks"] = case["masks"]
    if "reach" in case:
        inputs["reach"] = reach(**case["reach"])
    if "augmentation" in case:
        inputs |= {"augment": partial(Augmentation, case["augmentation"]), "reach": reach(256, 192)}
    if "pipeline" in case:
        inputs["pipeline"] = pipeline(case["pipeline"], **case.get("stated", {}))
    found = data.audited(
        rule.code,
        *case.get("beside", ()),
        cuts=cuts,
        shuffle=shuffle,
        thresholds={rule.code: case.get("settings", {})},
        quarantine=case.get("quarantine", ()),
        **inputs,
    )
    return found.filter(pc.equal(found["rule"], rule.code)), data


@pytest.mark.parametrize(("rule", "case"), _cases())
def test_case(rule: Rule, case: dict[str, Any]) -> None:
    found, _ = _judged(rule, case)
    assert pc.count_distinct(found["finding_id"]).as_py() == found.num_rows
    rows = found.to_pylist()
    roots = {row["root_cause_id"] for row in rows} - {None}
    single = [row for row in rows if row["finding_id"] not in roots]
    _match(case.get("expect"), single)
    _match(case.get("roots", []), [row for row in rows if row["finding_id"] in roots])
    assert len(single) == case.get("findings", len(case.get("expect", [])))
    assert roots or not any(row["root_cause_id"] for row in rows)


def _match(expected: list[dict[str, Any]] | None, rows: list[dict[str, Any]]) -> None:
    """Every expectation fits a row of its own, and no row is left over."""
    if expected is None:
        return
    left = list(rows)
    for wanted in expected:
        fitting = [row for row in left if all(row[key] == value for key, value in wanted.items())]
        assert fitting, f"{wanted} is not among {left}"
        left.remove(fitting[0])
    assert not left


@pytest.mark.parametrize(("rule", "case"), _cases())
def test_verdict_depends_neither_on_order_nor_on_the_cut(rule: Rule, case: dict[str, Any]) -> None:
    expected, data = _judged(rule, case)
    before = [table.to_pylist() for table in (data.images, data.annotations, data.categories)]
    for cuts, shuffle in ((2, None), (3, 1), (1, 2)):
        found, _ = _judged(rule, case, cuts, shuffle)
        assert found.equals(expected)
    assert [table.to_pylist() for table in (data.images, data.annotations, data.categories)] == before


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_nothing_in_nothing(rule: Rule) -> None:
    data = dataset(images=0, categories={}, pictures=True)
    assert data.shards()[0] == []
    assert data.audited(rule.code).num_rows == 0


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_clean_data_set_has_no_provable_fault(rule: Rule) -> None:
    boxes = [{"image": 1 + number % 40, "box": (number % 30, number // 30, 20, 30)} for number in range(400)]
    data = dataset(images=40, boxes=boxes, pictures=True)
    stated = pipeline((Path(__file__).parents[1] / "pipeline" / "ssd.config").read_text(), label_ids={"cell": 1})
    found = data.audited(rule.code, cuts=2, pipeline=stated)
    assert found.filter(pc.greater_equal(found["severity"], ERROR)).num_rows == 0


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_text_names_failure_number_and_source(rule: Rule) -> None:
    for part in ("Failure:", "Number:", "Source:"):
        assert len(re.findall(rf"^{part} \S", rule.doc, re.MULTILINE)) == 1, part
    assert rule.problem[0].islower()
    assert not rule.problem.endswith(".")
    assert rule.severity in range(len(schema.SEVERITIES))
    for threshold in rule.thresholds:
        assert threshold.low <= threshold.default <= threshold.high
        assert f"`{threshold.name}`" in rule.doc


def test_codes_are_unique_and_have_cases() -> None:
    assert len(BY_CODE) == len(RULES)
    assert {path.stem for path in CASES.glob("*.yaml")} == set(BY_CODE)
    for rule in RULES:
        family = rule.family.replace("class", "class_")  # a package cannot be called as a keyword
        assert (FOLDER / family / f"{rule.code.replace('-', '_')}.py").is_file()
