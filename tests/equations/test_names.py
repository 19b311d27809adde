"""Names in generated code: a model's own, unless the kernel's text needs them."""

import ast
import keyword

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnnsym.equations.names import INTERMEDIATE, RESERVED, identifier


@pytest.mark.parametrize("name", ["omega", "mass", "Gamma_plus", "x_0", "Ab12"])
def test_a_free_name_is_kept(name):
    assert identifier(name) == name


@pytest.mark.parametrize(
    "name, expected",
    [
        ("lambda", "lambda_"),
        ("par", "par_"),
        ("logistic", "logistic_"),
        ("u0", "u0_"),
        ("c12", "c12_"),
        ("W_row", "W_row_"),
        ("u0_sum", "u0_sum_"),
        ("z_x", "p_z_x"),
    ],
)
def test_a_name_that_the_text_uses_gets_an_underscore(name, expected):
    assert identifier(name) == expected


def test_a_taken_name_gets_as_many_underscores_as_it_needs():
    assert identifier("m", {"m", "m_"}) == "m__"


@given(
    st.sampled_from([*keyword.kwlist, *sorted(RESERVED), "v3", "z", "z_x", "M_row1"])
    | st.from_regex("[a-z_]{1,4}", fullmatch=True),
    st.sets(st.sampled_from(["a", "a_", "lambda_", "m", "work_", "z", "p_z"])),
)
def test_every_result_is_a_free_name(name, taken):
    found = identifier(name, taken)
    assert found.isidentifier() and not keyword.iskeyword(found)
    assert found not in RESERVED | taken and not INTERMEDIATE.fullmatch(found)
    ast.parse(f"{found} = 1")
