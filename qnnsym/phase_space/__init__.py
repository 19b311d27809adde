"""Phase space: Wigner functions, the Moyal calculus, the equation of motion and its classical limit.

A space gives the symbols (`PhaseSpace`); polynomials and functions of them are elements of one differential
ring (`ring`), on which the star product and the Moyal bracket act; `moyal_equation` turns a Hamiltonian into
the table of terms from which printing, limits and kernels are made; the states give the Wigner functions to
start from.
"""

from importlib import import_module

_EXPORTS = {
    "PhaseSpace": "space",
    "weyl_symbol": "weyl",
    "weyl_quantize": "weyl.quantize",
    "ladder_operators": "weyl.operators",
    "kinetic_operator": "weyl.position_mass",
    "star": "moyal",
    "moyal_bracket": "moyal",
    "moyal_equation": "equation",
    "star_integral": "integral_form",
    "bracket_integral": "integral_form",
    "evolution_integrals": "integral_form",
    "series_verdict": "integral_form",
    "SeriesWarning": "integral_form",
    "ordered_symbol": "weyl.orderings",
    "ordered_quantize": "weyl.orderings",
    "ordered_expansion": "weyl.orderings",
    "quasiprobability": "weyl.orderings",
    "trace": "weyl.integrals",
    "trace_product": "weyl.integrals",
    "expectation": "weyl.integrals",
    "marginal": "weyl.integrals",
    "marginals": "weyl.integrals",
    "madelung": "polar_form",
    "wigner_function": "wavefunctions",
    "GaussianState": "states",
    "CoherentState": "states",
    "SqueezedState": "states",
    "CatState": "states",
    "CatMixture": "states",
    "ThermalState": "states",
    "FockState": "states",
    "Mixture": "states",
    "evolve_wigner": "numerics",
    "complete_integral": "hamilton_jacobi",
    "classical_limit": "classical",
    "taylor_expectations": "classical.taylor",
    "correction_time": "classical.dynamics",
    "break_time": "classical.breaking",
}
_SUBMODULES = ("limits", "observables")


def __getattr__(name: str):
    if name in _EXPORTS:
        return getattr(import_module(f"{__name__}.{_EXPORTS[name]}"), name)
    if name in _SUBMODULES:
        return import_module(f"{__name__}.{name}")
    if name == "__all__":  # `import *` asks for it
        return [n for n in __dir__() if n != "__version__"]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*_EXPORTS, *_SUBMODULES]
