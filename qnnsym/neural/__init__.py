"""Neural Hamiltonians: networks, their characteristic equations and the checks that hold for them."""

from importlib import import_module

_EXPORTS = {
    "Network": "network",
    "NeuralHamiltonian": "hamiltonian",
    "QuadraticCost": "hamiltonian",
    "train": "learning",
    "lyapunov_exponents": "chaos",
    "rank_report": "rank",
    "moyal_correction": "moyal",
}


def __getattr__(name: str):
    if name in _EXPORTS:
        return getattr(import_module(f"{__name__}.{_EXPORTS[name]}"), name)
    if name == "limits":
        return import_module(f"{__name__}.limits")
    if name == "__all__":  # `import *` asks for it
        return [n for n in __dir__() if n != "__version__"]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*_EXPORTS, "limits"]
