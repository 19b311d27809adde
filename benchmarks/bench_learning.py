"""Epochs of learning against the same Runge-Kutta steps and costates written by hand in PyTorch (extra `bench`)."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np

from benchmarks.measure import Row, folder, interleaved
from qnnsym.neural import Network, QuadraticCost, train

TITLE = "Learning, float64, one thread"
NEURONS, INPUTS, PATTERNS = 100, 2, 64
RELAXATION, INERTIA, DURATION, DECAY = 1.0, 1e4, 4.0, 0.05
# So many epochs that deriving the equations, which `train` does once, hardly counts.
EPOCHS, STEPS, TURNS, BAR = 49, 20, 5, 1.0

NODES = (0.0, 0.5, 0.5, 1.0)
WEIGHTS = (1 / 6, 1 / 3, 1 / 3, 1 / 6)


class ByHand:
    """The epoch scheme in PyTorch without automatic differentiation: RK4, its discrete adjoint, arrays in place.

    What the backward sweep needs of the forward one is kept, so that a stage there takes two products and no tanh.

    Arguments:
        inputs: (patterns, l).  targets: (patterns, N).  weights: (N, l + 1 + N), the first ones.
    """

    def __init__(self, inputs: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> None:
        import torch

        self.torch, self.first, self.targets = torch, torch.from_numpy(weights), torch.from_numpy(targets)
        shape = (STEPS, 4, PATTERNS)
        self.z = torch.ones((*shape, INPUTS + 1 + NEURONS), dtype=torch.float64)
        self.z[..., :INPUTS] = torch.from_numpy(inputs)
        self.slope = torch.empty((*shape, NEURONS), dtype=torch.float64)  # f'(u)/lambda
        self.rates = torch.empty((4, PATTERNS, NEURONS), dtype=torch.float64)
        self.adjoints = torch.empty_like(self.rates)

    def forward(self, weights: Any) -> float:
        """Fill z and slope; the integral of the cost by the method's quadrature."""
        torch, h = self.torch, DURATION / STEPS
        y, total = torch.zeros((PATTERNS, NEURONS), dtype=torch.float64), 0.0
        for step in range(STEPS):
            for i, (node, weight) in enumerate(zip(NODES, WEIGHTS, strict=True)):
                z, f, rate = self.z[step, i], self.slope[step, i], self.rates[i]
                here = z[:, INPUTS + 1 :]
                if i:
                    torch.add(y, self.rates[i - 1], alpha=node * h, out=here)
                else:
                    here.copy_(y)
                torch.mm(z, weights.T, out=f)
                f.tanh_()
                torch.sub(f, here, out=rate)
                rate.div_(RELAXATION)
                f.mul_(f).neg_().add_(1.0).div_(RELAXATION)
                gap = here - self.targets
                total += weight * h / 2 * float(torch.dot(gap.view(-1), gap.view(-1)))
            for weight, rate in zip(WEIGHTS, self.rates, strict=True):
                y.add_(rate, alpha=weight * h)
        return total + DURATION * DECAY / 2 * float((weights * weights).sum())

    def backward(self, weights: Any) -> tuple[Any, Any]:
        """(M at the end, DeltaW), both from l_i = h b_i Delta + h sum_j a_ji g_j and g_i = F_y^T l_i + h b_i E_y."""
        torch, h = self.torch, DURATION / STEPS
        recurrent = weights[:, INPUTS + 1 :]
        costate = torch.zeros((PATTERNS, NEURONS), dtype=torch.float64)
        momenta, change = torch.zeros_like(weights), torch.zeros_like(weights)
        for step in range(STEPS - 1, -1, -1):
            for i in range(3, -1, -1):
                z, share = self.z[step, i], WEIGHTS[i] * h
                adjoint = costate * share
                if i < 3:
                    adjoint.add_(self.adjoints[i + 1], alpha=NODES[i + 1] * h)
                local, g = self.slope[step, i] * adjoint, self.adjoints[i]
                torch.mm(local, recurrent, out=g)
                g.add_(adjoint, alpha=-1 / RELAXATION)
                g.add_(z[:, INPUTS + 1 :], alpha=share).sub_(self.targets, alpha=share)
                force = torch.mm(local.T, z).add_(weights, alpha=share * DECAY)
                momenta.sub_(force)
                change.sub_(force, alpha=(DURATION - (step + NODES[i]) * h) / INERTIA)
            for g in self.adjoints:
                costate.add_(g)
        return momenta, change

    def train(self) -> tuple[np.ndarray, np.ndarray]:
        """(weights, costs) of all epochs, as `train` gives them."""
        weights, costs = [self.first], []
        for n in range(EPOCHS + 1):
            costs.append(self.forward(weights[-1]))
            _, change = self.backward(weights[-1])
            if n < EPOCHS:
                weights.append(weights[-1] + change)
        return self.torch.stack(weights).numpy(), np.array(costs)


def rows() -> list[Row]:
    """Nothing where PyTorch is not installed."""
    if importlib.util.find_spec("torch") is None:
        print("torch is not installed, so learning is measured against nothing; `pip install 'qnnsym[bench]'` has it.")
        return []
    import torch

    draw = np.random.default_rng(7)
    net = Network(neurons=NEURONS, inputs=INPUTS, activation="tanh")
    inputs, targets = draw.normal(size=(PATTERNS, INPUTS)), draw.uniform(-0.5, 0.5, (PATTERNS, NEURONS))
    weights = draw.normal(size=(NEURONS, INPUTS + 1 + NEURONS)) / np.sqrt(NEURONS)

    def ours() -> Any:
        return train(
            net, (inputs, targets), epochs=EPOCHS, start="reset", weights0=weights, relaxation=RELAXATION,
            inertia=INERTIA, duration=DURATION, cost=QuadraticCost(1.0, decay=DECAY), method="rk4", steps=STEPS,
            progress=False,
        )  # fmt: skip

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with folder(), torch.inference_mode():
            rival = ByHand(inputs, targets, weights)
            found, (expected, costs) = ours(), rival.train()
            moved = np.abs(expected[-1] - expected[0]).max()
            gaps = np.abs(found.weights - expected).max() / moved, np.abs(found.costs / costs - 1).max()
            times = interleaved({"ours": ours, "torch": rival.train}, TURNS, EPOCHS + 1)
    finally:
        torch.set_num_threads(threads)
    ratio, spread = times.ratio("torch", "ours")
    name = f"N = {NEURONS}, {PATTERNS} patterns: one epoch of train, {STEPS} steps of RK4 and their adjoint"
    said = f"{gaps[0]:.1e} of the weights' change, costs {gaps[1]:.1e} between both"
    return [
        Row(name, ratio, (">=", BAR), "", times.median("ours"), times.median("torch"),
            "the same steps in PyTorch, by hand", spread, said)
    ]  # fmt: skip
