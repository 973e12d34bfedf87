"""A number that evidence is compared with, and where its value comes from."""

SUITE = "chosen on the tuning seeds of the planted-cause suite, reported on others (benchmarks/diagnose.py)"

REASONED = "set by reasoning, held to made cases in tests, looked at on trained models (benchmarks/trained.py)"


class Criterion(float):
    """A number with the source of its value, for the page of causes."""

    source: str

    def __new__(cls, value: float, source: str) -> "Criterion":
        """``value`` and why it is that."""
        made = super().__new__(cls, value)
        made.source = source
        return made
