"""A picture that is not there: which file of the folder may be meant."""

from pathlib import Path

import pytest

from detray import cli
from detray.audit.nearby import Nearby
from detray.store import Store


@pytest.mark.parametrize(
    ("named", "source", "there", "said"),
    [
        ("a.jpg", None, "a.png", "of another suffix: a.png"),
        ("a", None, "a.jpg", "of another suffix: a.jpg"),
        ("a.1", None, "a.1.jpg", "of another suffix: a.1.jpg"),
        ("a.jpg", None, "A.JPG", "in another case: A.JPG"),
        ("train/a.jpg", None, "a.jpg", "under the last part of its path: a.jpg"),
        ("C:\\pictures\\a.jpg", None, "a.jpg", "under the last part of its path: a.jpg"),
        ("old.jpg", "xml/pic_7.xml", "pic_7.jpg", "called as its XML file is: pic_7.jpg"),
        ("old.jpg", "gt.json", "gt.jpg", None),
        ("a.jpg", None, "a.xml", None),
        ("a.jpg", None, "b.jpg", None),
    ],
)
def test_what_may_be_meant(named: str, source: str | None, there: str, said: str | None, tmp_path: Path) -> None:
    (tmp_path / there).write_bytes(b"")
    found = Nearby().find(str(tmp_path / named), named, source)
    assert found == (None if said is None else f"no file of that name, but one {said}")


def test_nothing_is_looked_for_elsewhere() -> None:
    assert Nearby().find("s3://bucket/a.jpg", "a.jpg", None) is None
    assert Nearby().find("/there/is/no/such/a.jpg", "a.jpg", None) is None


def test_one_finding_says_what_would_match_and_for_how_many(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for k in range(12):
        (tmp_path / f"{k}.png").write_bytes(b"no picture, but there")
        (tmp_path / f"{k}.xml").write_text(
            f"<annotation><filename>{k}.jpg</filename><size><width>90</width><height>80</height></size>"
            "<object><name>cell</name><bndbox><xmin>5</xmin><ymin>5</ymin><xmax>30</xmax><ymax>40</ymax></bndbox></object>"
            "</annotation>"
        )
    arguments = [str(tmp_path), "--images", str(tmp_path), "--serial", "--output", str(tmp_path / "out")]
    assert cli.main(["audit", *arguments]) == 0
    rows = [row for row in Store(str(tmp_path / "out")).read("findings").to_pylist() if row["rule"] == "missing-image"]
    [root] = [row for row in rows if row["scope"] == "split"]
    assert root["count"] == 12
    assert root["observed"] == "no file of that name, but one of another suffix"
    assert {row["root_cause_id"] for row in rows if row["scope"] == "image"} == {root["finding_id"]}
    assert "(no file of that name, but one of another suffix: 3.png)" in "".join(row["message"] for row in rows)
    assert (
        "error: 12 images in split val: its picture is not there (no file of that name, but one of another suffix)"
        in (capsys.readouterr().out)
    )
