"""detray: why is this class at zero? Audit, evaluation, diagnosis and tuning of object detectors.

As a library: ``detray.audit(...)``, ``detray.evaluate(...)`` and ``detray.diagnose(...)`` return Arrow tables, see
`detray.library`, and `detray.ClassTableCallback` evaluates each epoch of a Keras model. The packages of the first names
are callable for that; nothing is imported before it is used.
"""

import importlib
import sys
from types import ModuleType
from typing import Any

__version__ = "0.1.0"

_CALLED = ("audit", "evaluate", "diagnose")


class _Called(ModuleType):
    """A package that is called as the function of its name in `detray.library`."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        library = importlib.import_module("detray.library")
        return getattr(library, self.__name__.rpartition(".")[2])(*arguments, **options)


class _Package(ModuleType):
    """This package: the import of a subpackage sets it here, whoever imports it first."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _CALLED and type(value) is ModuleType:
            value.__class__ = _Called
        super().__setattr__(name, value)


def __getattr__(name: str) -> Any:
    if name in _CALLED:
        return importlib.import_module(f"{__name__}.{name}")
    if name == "ClassTableCallback":
        return importlib.import_module(f"{__name__}.callback").ClassTableCallback
    raise AttributeError(f"module {__name__} has no attribute {name}")


sys.modules[__name__].__class__ = _Package
