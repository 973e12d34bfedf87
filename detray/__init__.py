"""detray: why is this class at zero? Audit, evaluation, diagnosis and tuning of object detectors."""

__version__ = "0.1.0"
