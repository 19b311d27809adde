"""Checks of delayed readings: each passes on the shipped models, and fails when what it looks at is wrong."""

from pathlib import Path

import numpy as np
import pytest

from qnnsym.checks.check import Context, failed, run_checks
from qnnsym.neural import limits, numerics
from qnnsym.neural.limits.variational import first_variation, on_points, solved
from qnnsym.neural.numerics import kernels_of
from qnnsym.pipeline import load

DERIVATIONS = Path(__file__).parents[3] / "derivations"


@pytest.fixture(scope="module")
def causal():
    return context("delayed_network")


@pytest.fixture(scope="module")
def variational():
    return context("variational_network")


def context(name):
    model = load(str(DERIVATIONS / f"{name}.py"))
    eqs = numerics.equations_of(model)
    return Context(model, None, kernels_of(eqs))


class Broken(dict):
    """Kernels whose rates are changed afterwards (interpreted, as the driver does not take them)."""

    def __init__(self, kernels, change):
        super().__init__({name: self.wrapped(kernels[name], change) for name in ("rhs", "rhs_jvp")})

    @staticmethod
    def wrapped(kernel, change):
        def call(t, state, ext, par, dims, work, out):
            kernel(t, state, ext, par, dims, work, out)
            change(out)

        return call


def test_names_of_all_checks_are_found():
    for name in ("stacked", "method_of_steps", "not_symplectic", "stationary", "unrolled"):
        assert getattr(limits, name)().name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = limits.nothing


CAUSAL = ["telescoping", "jumps", "energy_change", "not_stationary", "fixed_weights", "stacked"]


@pytest.mark.parametrize("name", CAUSAL)
def test_the_causal_model_passes(causal, name):
    rows = run_checks([getattr(limits, name)()], causal)
    assert rows and not failed(rows), rows
    assert all(row.source for row in rows)


@pytest.mark.parametrize("name", ["stacked", "stationary", "boundary", "stack_energy", "weights_at_rest"])
def test_the_variational_model_passes(variational, name):
    rows = run_checks([getattr(limits, name)()], variational)
    assert rows and not failed(rows), rows


@pytest.mark.parametrize("at", [0, 2, 5, -1])
def test_a_wrong_kernel_is_not_that_of_the_stack(causal, at):
    def change(out):
        out[at] += 1e-9

    rows = run_checks([limits.stacked()], Context(causal.model, None, Broken(causal.kernels, change)))
    assert len(failed(rows)) >= 3


@pytest.mark.parametrize("part", [slice(0, 2), slice(2, 4), slice(4, 12), slice(12, 20)])
def test_an_action_is_not_stationary_where_any_equation_is_wrong(variational, part):
    stack, found = solved(variational)
    tau, weights, states, slopes = on_points(stack, found)
    assert first_variation(stack, tau, weights, states, slopes) < 1e-12
    other, wrong = states.copy(), slopes.copy()
    other[..., part] *= 1 + 1e-4
    wrong[..., part] *= 1 + 1e-4
    assert first_variation(stack, tau, weights, other, wrong) > 1e-7


def test_checks_say_whom_they_do_not_concern(causal, variational):
    for name in ("telescoping", "jumps", "not_symplectic", "short_delay", "method_of_steps", "steps_order"):
        assert getattr(limits, name)().applies(variational.model)
    for name in ("stationary", "boundary", "stack_energy", "sign_of_learning"):
        assert getattr(limits, name)().applies(causal.model)


def test_the_symplectic_defect_is_measured(causal):
    rows = run_checks([limits.not_symplectic()], causal)
    assert not failed(rows) and rows[0].found > 0.1 and rows[1].found < 1e-9


def test_models_of_delayed_readings_refuse_slips(causal):
    from qnnsym.errors import InputError

    with pytest.raises(InputError, match="epochs of delayed_network are not known"):
        numerics.solve_model(causal.model.changed(options={"epochs": 3}), causal.kernels)
    for state, sentence in (({"y": [0, 0]}, "give dict"), ({**causal.model.state, "v": 1}, "has v; its parts are")):
        with pytest.raises(InputError, match=sentence):
            numerics.solve_model(causal.model.changed(state=state), causal.kernels)
    assert np.isfinite(numerics.solve_model(causal.model, causal.kernels).states).all()
