"""`--set` on neural models: what it changes, what it leaves, and what it refuses."""

import numpy as np
import pytest
import sympy as sp

from qnnsym import Model
from qnnsym.equations.functions import softplus
from qnnsym.errors import InputError
from qnnsym.neural import Network, NeuralHamiltonian, QuadraticCost
from qnnsym.neural.network import ARGUMENT
from qnnsym.neural.numerics import Data
from qnnsym.neural.settings import changed

TAU = sp.Symbol("tau")


@pytest.fixture
def model():
    h = NeuralHamiltonian(Network(2, 1), TAU, 2.0, QuadraticCost(decay=0.1), values={"tau": 1.0})
    return Model("network", h, times=(0, 1, 3), options={"rtol": 1e-8})


def numbers(model):
    return Data(model.hamiltonian.characteristic_equations(), model.values).par[: len(model.hamiltonian.scalars)]


def test_parameters_are_set_by_the_users_names(model):
    new = changed(model, {"tau": "1/4", "omega": "3", "mu": "0.5"})
    np.testing.assert_array_equal(numbers(new), [0.25, 3.0, 0.5])
    np.testing.assert_array_equal(numbers(model), [1.0, 2.0, 0.1])


def test_numbers_that_were_set_outlast_those_that_the_model_adds(model):
    """Values of the model are put on a copy of the Hamiltonian, which has to keep what was set."""
    new = changed(model.changed(values={"tau": 7.0}), {"mu": "0.5"})
    np.testing.assert_array_equal(numbers(new), [7.0, 2.0, 0.5])


@pytest.mark.parametrize("text", ["oo", "inf"])
def test_an_infinite_inertia_can_be_set(model, text):
    assert numbers(changed(model, {"omega": text}))[1] == float("inf")


@pytest.mark.parametrize(
    "text, function",
    [
        ("linear", ARGUMENT),
        ("softplus", softplus(ARGUMENT)),
        ("u/(1 + u**2)", ARGUMENT / (1 + ARGUMENT**2)),
        ("0.1*sin(u)", sp.sin(ARGUMENT) / 10),
    ],
)
def test_the_activation_is_a_name_or_an_expression(model, text, function):
    new = changed(model, {"activation": text, "mu": "0.2"})
    assert new.hamiltonian.network.activations == (function,)
    np.testing.assert_array_equal(numbers(new), [1.0, 2.0, 0.2])


def test_times_options_and_reading_are_set(model):
    new = changed(model, {"times": "0, 2.5, 11", "rtol": "1e-6", "method": "rk4", "step": "0.01", "reading": "frozen"})
    assert new.times == (0.0, 2.5, 11) and isinstance(new.times[2], int)
    assert new.options == {"rtol": 1e-6, "method": "rk4", "step": 0.01}
    assert new.reading == "frozen" and model.reading == "canonical"


def test_settings_are_remembered_for_the_folder_of_the_results(model):
    assert changed(model, {"mu": "0.2"}).overrides == {"mu": "0.2"}


@pytest.mark.parametrize(
    "assignments, sentence",
    [
        ({"lambda": "1"}, r"lambda cannot be set, it is not known\..*This model has tau, omega, mu, activation, times"),
        ({"omga": "1"}, "omga cannot be set, it is not known. Did you mean omega"),
        ({"H": "p**2"}, "H cannot be set, the Hamiltonian of a network is structured: edit its file"),
        ({"tau": "fast"}, "fast"),
        ({"tau": "1, 2"}, "tau=1, 2 is not a number; give one"),
        ({"tau": "sqrt(-1)"}, "is not a number|not"),
        ({"tau": "-1"}, r"The parameter tau is -1.0; give a positive number"),
        ({"mu": "inf"}, "The parameter mu is inf; give a finite number"),
        ({"times": "0, 1"}, r"times=0, 1 is not \(start, stop, number\); write it with numbers only"),
        ({"times": "0, 1, 2.5"}, "is not .start, stop, number."),
        ({"rtol": "small"}, "small"),
        ({"activation": "sigmoid"}, "sigmoid"),
        ({"activation": "__import__('os')"}, "."),
    ],
)
def test_what_cannot_be_set_is_told_with_what_can(model, assignments, sentence):
    with pytest.raises(InputError, match=sentence):
        changed(model, assignments)
