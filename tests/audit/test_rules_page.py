"""docs/rules.md is what the rules say."""

from pathlib import Path

from detray.audit.docs import page


def test_the_page_is_current() -> None:
    written = (Path(__file__).parents[2] / "docs" / "rules.md").read_text(encoding="utf-8")
    assert written == page(), "run: python -m detray.audit.docs docs/rules.md"
