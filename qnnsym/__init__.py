"""qnnsym derives, generates, solves, verifies and reports: phase space, neural Hamiltonians, open systems."""

from importlib import import_module

__version__ = "0.1.0"

_EXPORTS = {
    "Model": "derivation.model",
    "Derivation": "derivation.step",
    "Problem": "solvers.problem",
    "Solution": "solvers.solution",
    "Check": "checks.check",
    "load": "pipeline",
    "derive": "pipeline",
    "generate": "pipeline",
    "run": "pipeline",
    "verify": "pipeline",
    "report": "pipeline",
}


def __getattr__(name: str):
    if name in _EXPORTS:
        return getattr(import_module(f"qnnsym.{_EXPORTS[name]}"), name)
    if name == "__all__":  # `import *` asks for it
        return [n for n in __dir__() if n != "__version__"]
    raise AttributeError(f"module 'qnnsym' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*_EXPORTS, "__version__"]
