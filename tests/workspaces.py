"""Small derivation files and a way to call the command line in this process."""

from __future__ import annotations

from pathlib import Path

QUARTIC = '''"""A packet in a quartic well, for a short time."""
from qnnsym import Model
from qnnsym.phase_space import GaussianState, PhaseSpace, limits

space = PhaseSpace("x", "p")
(x,), (p,) = space.x, space.p
m, g = space.parameters(m=1, g=1)
model = Model(
    name="{name}",
    hamiltonian=p**2 / (2 * m) + g * x**4 / {divisor},
    space=space,
    hbar=0.5,
    state=GaussianState(a=0.7, x0=0.5),
    times=(0, 0.4, 3),
    observe=[x],
    checks=[limits.conserved({checked})],
)
'''

NETWORK = '''"""Two linear neurons."""
import numpy as np
from qnnsym import Model
from qnnsym.neural import Network, NeuralHamiltonian, QuadraticCost, limits

H = NeuralHamiltonian(Network(2, activation="linear"), relaxation=1.0, inertia=2.0, cost=QuadraticCost(1.0))
model = Model(
    name="{name}",
    hamiltonian=H,
    state=dict(y=[0.5, 0.2], costate=[0.1, 0], weights=np.full((2, 3), 0.2), momenta=np.zeros((2, 3))),
    times=(0, 0.5, 3),
    checks=[limits.conserved()],
)
'''


def write_quartic(folder: Path, name: str = "well", divisor: int = 4, checked: str = "") -> Path:
    """A phase-space derivation in a workspace."""
    return _write(folder, name, QUARTIC.format(name=name, divisor=divisor, checked=checked))


def write_network(folder: Path, name: str = "pair") -> Path:
    """A neural derivation in a workspace."""
    return _write(folder, name, NETWORK.format(name=name))


def _write(folder: Path, name: str, text: str) -> Path:
    path = folder / "derivations" / f"{name}.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def files_below(folder: Path) -> set[str]:
    """Every file that a command wrote, except what can be made again."""
    found = (p.relative_to(folder) for p in folder.rglob("*") if p.is_file())
    return {p.as_posix() for p in found if p.parts[0] != ".qnnsym"}
