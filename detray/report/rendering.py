"""Templates to pages: everything escaped, and a content security policy that lets only the page's own assets run."""

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from detray.report import text

_FOLDER = Path(__file__).parent / "templates"


def page(template: str, style: str, script: str, *, images: str = "data:", **content: Any) -> bytes:
    """A page as UTF-8 HTML.

    All text is escaped, and the content security policy lets nothing run or load but the page's own style and script,
    by their hashes, and pictures.

    Args:
        template: its name.
        style: the style sheet, whose text the template puts into the page.
        script: the script, likewise.
        images: where pictures may come from, as the policy has it.
        content: the template's values.
    """
    texts = {name: (_FOLDER / file).read_text("utf-8") for name, file in (("style", style), ("script", script))}
    policy = "; ".join(
        (
            "default-src 'none'",
            f"img-src {images}",
            f"style-src '{_hash(texts['style'])}'",
            f"script-src '{_hash(texts['script'])}'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    # the two assets are files of this package, no data
    assets = {name: Markup(asset) for name, asset in texts.items()}  # noqa: S704
    return _environment().get_template(template).render(content | assets, policy=policy).encode("utf-8")


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=text.visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= text.FILTERS
    return environment


def _hash(content: str) -> str:
    """A source expression of CSP level 2 that allows exactly this inline content."""
    digest = hashlib.sha256(content.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
