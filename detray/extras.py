"""What a plain ``pip install detray`` leaves out, and which extra of ``pyproject.toml`` brings it."""

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.util import find_spec

from detray.errors import UsageError

EXTRAS = {
    "tensorflow": ("TensorFlow", "train"),
    "keras": ("Keras", "train"),
    "albumentations": ("Albumentations", "train"),
    "ai_edge_litert": ("LiteRT", "train"),
    "optuna": ("Optuna", "tune"),
    "ray": ("Ray", "ray"),
    "duckdb": ("DuckDB", "sql"),
}
"""By the name that is imported: what it is called, and its extra."""

NETWORK = ("tensorflow", "keras")
TRAINING = (*NETWORK, "albumentations")
SEARCH = ("optuna",)


@cache
def is_installed(module: str) -> bool:
    """Whether ``module`` can be imported, which is not tried: that takes seconds. A folder of its name is none."""
    try:
        spec = find_spec(module)
    except (ImportError, ValueError):  # a finder refuses it, or it stands as None among the modules
        return False
    return spec is not None and spec.origin is not None


def lacking(modules: Iterable[str]) -> list[str]:
    """Those that are not installed."""
    return [module for module in dict.fromkeys(modules) if not is_installed(module)]


def install(modules: Iterable[str]) -> str:
    """The command that installs them."""
    return f"pip install 'detray[{','.join(dict.fromkeys(EXTRAS[module][1] for module in modules))}]'"


def require(wanted: Mapping[str, Iterable[str]]) -> None:
    """Refuse what cannot run here.

    Args:
        wanted: by who wants them, names of modules.

    Raises:
        UsageError: naming who lacks what, and the command that installs it.
    """
    lack = {who: missing for who, modules in wanted.items() if (missing := lacking(modules))}
    if lack:
        modules = list(dict.fromkeys(module for missing in lack.values() for module in missing))
        need, are = "needs" if len(lack) == 1 else "need", "is" if len(modules) == 1 else "are"
        names = _listed([EXTRAS[module][0] for module in modules])
        raise UsageError(f"{_listed(list(lack))} {need} {names}, which {are} not installed: {install(modules)}")


def _listed(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]
