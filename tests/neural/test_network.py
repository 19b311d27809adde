"""Networks: columns, masks, layers, activations, and the input they refuse."""

import numpy as np
import pytest
import sympy as sp

from qnnsym.equations.functions import logistic, relu, softplus
from qnnsym.errors import InputError
from qnnsym.neural import Network
from qnnsym.neural.network import ARGUMENT, check_mask

u, a, b, v = sp.symbols("u a b v")


def test_columns_are_inputs_bias_neurons():
    net = Network(3, inputs=2)
    assert (net.neurons, net.inputs, net.columns) == (3, 2, 6)
    assert [s.name for s in net.x] == ["x_0", "x_1"]
    assert [s.name for s in net.y] == ["y_0", "y_1", "y_2"]
    assert net.W.shape == (3, 6) and len(list(net.W)) == 18
    assert net.W[1, 5] == sp.Symbol("W_1_5", real=True) == list(net.W)[11]
    assert net.W[-1, -1] == net.W[2, 5]


@pytest.mark.parametrize("at", [(3, 0), (0, 6), (-4, 0)])
def test_weights_beyond_the_network_do_not_exist(at):
    with pytest.raises(InputError, match="is no weight"):
        Network(3, inputs=2).W[at]


def test_layers_see_the_layer_before_and_the_bias():
    """Two inputs, three hidden neurons, one output."""
    net = Network(layers=(2, 3, 1))
    assert (net.neurons, net.inputs) == (4, 2)
    hidden = [1, 1, 1, 0, 0, 0, 0]
    np.testing.assert_array_equal(net.mask, [hidden, hidden, hidden, [0, 0, 1, 1, 1, 1, 0]])


def test_deep_layers_skip_no_layer():
    mask = Network(layers=(1, 2, 2, 1)).mask
    expected = np.zeros((5, 7))
    expected[:, 1] = 1
    expected[0:2, 0] = 1
    expected[2:4, 2:4] = 1
    expected[4, 4:6] = 1
    np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize(
    "given, function",
    [
        ("tanh", sp.tanh(ARGUMENT)),
        ("linear", ARGUMENT),
        ("logistic", logistic(ARGUMENT)),
        ("softplus", softplus(ARGUMENT)),
        ("relu", relu(ARGUMENT)),
        (sp.tanh, sp.tanh(ARGUMENT)),
        (sp.sin(v) + v**2, sp.sin(ARGUMENT) + ARGUMENT**2),
        (a * sp.tanh(b * u), a * sp.tanh(b * ARGUMENT)),
        (0.1 * u, ARGUMENT / 10),
    ],
)
def test_activations_are_functions_of_the_drive(given, function):
    net = Network(2, activation=given)
    assert net.activations == (function,) and net.choice == (0, 0)
    assert not net.activations[0].atoms(sp.Float)


def test_other_symbols_of_an_activation_are_parameters_by_name():
    assert Network(2, activation=b * sp.tanh(a * u)).parameters == (a, b)
    assert Network(2, activation=[a * u, b * u]).parameters == (a, b)


def test_one_activation_per_neuron_is_kept_once_each():
    net = Network(4, activation=["tanh", "relu", "tanh", sp.sin(u)])
    assert net.activations == (sp.tanh(ARGUMENT), relu(ARGUMENT), sp.sin(ARGUMENT))
    assert net.choice == (0, 1, 0, 2)


def test_another_activation_leaves_the_rest():
    mask = np.ones((2, 4))
    mask[0, 0] = 0
    net = Network(2, inputs=1, mask=mask).with_activation("linear")
    assert net.activations == (ARGUMENT,) and (net.neurons, net.inputs) == (2, 1)
    np.testing.assert_array_equal(net.mask, mask)


def test_printed_form_tells_size_activation_and_synapses():
    mask = np.ones((2, 4))
    mask[0, 0] = 0
    text = repr(Network(2, inputs=1, mask=mask))
    assert text == "Network(2 neurons, 1 inputs, f(u) = tanh(u), 7 of 8 synapses)"


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ({}, r"needs a number of neurons: Network\(neurons=5\)"),
        ({"neurons": 0}, "The number of neurons is 0; it has to be an integer of at least 1"),
        ({"neurons": 2.0}, "The number of neurons is 2.0"),
        ({"neurons": True}, "The number of neurons is True"),
        ({"neurons": 2, "inputs": -1}, "The number of inputs is -1; it has to be an integer of at least 0"),
        ({"neurons": 2, "inputs": "3"}, "The number of inputs is '3'"),
        ({"layers": (3,)}, "fewer than two layers"),
        ({"layers": 3}, r"layers=3 names fewer than two layers; give \(inputs, ..., outputs\)"),
        ({"layers": (2, 0)}, "A layer's width is 0"),
        ({"layers": (2, 1), "neurons": 3}, "either by layers=... or by neurons, inputs and mask; drop one"),
        ({"layers": (2, 1), "mask": np.ones((1, 4))}, "either by layers"),
        ({"neurons": 2, "mask": np.ones((2, 2))}, r"The mask has the shape \(2, 2\); it needs \(2, 3\)"),
        ({"neurons": 2, "mask": np.full((2, 3), 0.5)}, "holds values other than 0 and 1; write 1 where"),
        ({"neurons": 2, "mask": np.full((2, 3), np.nan)}, "holds values other than 0 and 1"),
        ({"neurons": 2, "mask": [[1, 0], [1]]}, "is no array of numbers; give rows of numbers of equal length"),
        ({"neurons": 2, "mask": "full"}, "The mask: 'full' is no array of numbers"),
        ({"neurons": 2, "activation": "sigmoid"}, "'sigmoid' is not known; use one of tanh, linear, logistic"),
        ({"neurons": 2, "activation": 3}, "3 is neither a name nor a SymPy expression"),
        ({"neurons": 2, "activation": sp.Integer(3)}, "has the symbols none; write it as a function of u"),
        ({"neurons": 2, "activation": a * v}, "has the symbols a, v; write it as a function of u"),
        ({"neurons": 2, "activation": ["tanh"] * 3}, "3 activations were given for 2 neurons; give one for all, or"),
        ({"neurons": 2, "activation": []}, "0 activations were given for 2 neurons"),
        ({"neurons": 2, "activation": sp.I * u}, "not made of elementary real functions"),
        ({"neurons": 2, "activation": sp.Function("g")(u)}, "not made of elementary real functions"),
        ({"neurons": 2, "activation": sp.Piecewise((u, u > 0), (0, True))}, r"softplus\(b\*u\)/b smooths a kink"),
        ({"neurons": 2, "activation": sp.Abs(u)}, "no second derivative in closed form; smooth its kink"),
        ({"neurons": 2, "activation": sp.Max(u, 0)}, 'smooth its kink .*, or use "relu"'),
        ({"neurons": 2, "activation": sp.sign(u)}, "no second derivative in closed form"),
        ({"neurons": 2, "activation": u * sp.Symbol("y_0", real=True)}, "contains y_0, which names a variable"),
        ({"neurons": 2, "activation": u * sp.Symbol("W_1_0")}, "an activation is a function of u alone, rename"),
        ({"neurons": 2, "activation": sp.cos(sp.Symbol("t")) * u}, "contains t, which names a variable"),
    ],
)
def test_refused_input_is_told_with_what_to_do(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        Network(**arguments)


def test_masks_are_copied_to_floats():
    mask = check_mask([[True, False]], (1, 2), "The mask")
    assert mask.dtype == float and mask.tolist() == [[1.0, 0.0]]
    with pytest.raises(InputError, match="The mask has complex entries"):
        check_mask([[1, 1j]], (1, 2), "The mask")
