"""Hamilton's equations at index level: neither their derivation nor the kernels' text depends on the network's size."""

from __future__ import annotations

from sympy.core.cache import clear_cache

from benchmarks.measure import Row, interleaved
from benchmarks.networks import hamiltonian, network
from qnnsym.codegen.build import KERNELS, Source, render
from qnnsym.neural import Network

TITLE = "Hamilton's equations of a network"
SIZES = (5, 50, 1000)
TURNS = 7


def derived(net: Network) -> Source:
    """From the Hamiltonian to the text of the kernels, right-hand side and its derivative.

    SymPy's memory is emptied first, so that no size profits from the one before it.
    """
    clear_cache()
    eqs = hamiltonian(net).characteristic_equations()
    return render("network", "neural", {"rhs": eqs.equations, "rhs_jvp": eqs.tangent}, "bench")


def rows() -> list[Row]:
    """Times at three sizes in turn; the ratio of the slowest size to the fastest one."""
    networks = {n: network(n) for n in SIZES}
    times = interleaved({str(n): lambda net=net: derived(net) for n, net in networks.items()}, TURNS)
    medians = {n: times.median(str(n)) for n in SIZES}
    texts = {derived(net).files[KERNELS] for net in networks.values()}
    slow, fast = max(medians, key=medians.__getitem__), min(medians, key=medians.__getitem__)
    ratio, spread = times.ratio(str(slow), str(fast))
    table = [Row(f"derivation and text, N = {n}", seconds, None, "s") for n, seconds in medians.items()]
    listed = ", ".join(map(str, SIZES))
    return [
        *table,
        Row(f"slowest size over fastest, N = {listed}", ratio, ("<=", 1.2), "", medians[slow], medians[fast],
            f"N = {fast} against N = {slow}", spread),
        Row("different texts among these sizes", len(texts), ("=", 1)),
    ]  # fmt: skip
