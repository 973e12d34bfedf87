"""Fragments of the configuration that a remedy asks tune or clean to run."""

from typing import Any


def tune(case_name: str, **space: list[Any]) -> dict[str, Any]:
    """Search these train settings for the class."""
    return {"tune": {"focus": [case_name], "space": space}}


def clean(*actions: str, min_score: float = 0.9) -> dict[str, Any]:
    """Let clean make these kinds of edits."""
    return {"clean": {"actions": list(actions), "min_score": min_score}}
