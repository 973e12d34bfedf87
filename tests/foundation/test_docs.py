"""The generated pages are those that the code gives now."""

from pathlib import Path

import pytest

from detray import docs, schema
from detray.verbs.config import Config

FOLDER = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("name", docs.PAGES)
def test_the_page_is_current(name: str) -> None:
    assert (FOLDER / name).read_text("utf-8") == docs.PAGES[name](), "run `make docs`"


def test_every_table_and_every_section_stands_in_its_page() -> None:
    assert all(f"## {name}\n" in docs.tables_page() for name in schema.TABLES)
    page = docs.configuration_page()
    assert all(f"`{name}" in page for name in Config.__struct_fields__)


def test_links_between_pages_lead_somewhere() -> None:
    import re

    root = FOLDER.parent
    for page in [root / "README.md", root / "CONTRIBUTING.md", *FOLDER.rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
