"""docs/rules.md is what the rules say."""

from pathlib import Path

from detray.docs import rules_page


def test_the_page_is_current() -> None:
    written = (Path(__file__).parents[2] / "docs" / "rules.md").read_text(encoding="utf-8")
    assert written == rules_page(), "run: make docs"
