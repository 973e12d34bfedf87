"""The page ``docs/rules.md``, from the rules' own text."""

from collections.abc import Iterator
from itertools import groupby

from detray import schema
from detray.audit.catalogue import RULES
from detray.audit.rule import Rule

_INTRODUCTION = """# Audit rules

Every rule of `detray audit`, by family. Severities go by effect: **fatal** (evaluation or training as a whole is
wrong), **error** (this row is certainly wrong or unusable), **warning** (likely harmful), **suspect** (statistical or
model-based), **info**. Thresholds are set under `audit.rules`, rules are switched off with `audit.disable`:

```yaml
audit:
  rules: {tiny-box: {min_side: 4}}
  disable: [no-annotations]
```
"""


def page() -> str:
    """The page as Markdown."""
    return "\n".join([_INTRODUCTION, *_contents(), *(line for rule in _in_order() for line in _section(rule))])


def _in_order() -> list[Rule]:
    families = list(dict.fromkeys(rule.family for rule in RULES))
    return sorted(RULES, key=lambda rule: families.index(rule.family))


def _contents() -> Iterator[str]:
    yield "| family | rules |"
    yield "|---|---|"
    for family, rules in groupby(_in_order(), lambda rule: rule.family):
        yield f"| {family} | {', '.join(f'[{rule.code}](#{rule.code})' for rule in rules)} |"
    yield ""


def _section(rule: Rule) -> Iterator[str]:
    title, _, rest = rule.doc.strip().partition("\n")
    yield f"## {rule.code}"
    yield ""
    yield f"*{rule.family}, {schema.SEVERITIES[rule.severity]}*: {title}"
    yield ""
    for paragraph in rest.strip().split("\n"):
        name, colon, text = paragraph.partition(":")
        starts = colon and name in ("Failure", "Number", "Source")
        if starts and name != "Failure":
            yield ""
        yield f"**{name}:**{text}" if starts else paragraph
    yield ""
    if rule.thresholds:
        yield "| threshold | default | range | meaning |"
        yield "|---|---|---|---|"
        for one in rule.thresholds:
            yield f"| `{one.name}` | {one.default:g} {one.unit} | {one.low:g} to {one.high:g} | {one.description} |"
        yield ""
    yield f"**Fix:** {rule.fix}."
    yield ""
