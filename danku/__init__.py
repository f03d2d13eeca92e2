"""danku: trustless machine-learning competitions from the terminal."""

__version__ = "0.1.0"
