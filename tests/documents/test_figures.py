"""Figures: PNG of a sensible size for every kind, whatever the numbers are."""

import sys
from io import BytesIO

import matplotlib
import numpy as np
import pytest
from PIL import Image

from qnnsym.documents.figures import DPI, KINDS, drawn
from qnnsym.errors import InputError
from tests.documents.sample import figures

SMALLEST, LARGEST = 300, 1000


def _pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(png)).convert("RGB")).astype(int)


@pytest.mark.parametrize("description", figures(), ids=lambda d: d["kind"])
def test_every_kind_is_drawn(description):
    png, (wide, high) = drawn(description)
    image = _pixels(png)
    assert image.shape[:2] == pytest.approx((high * DPI / 96, wide * DPI / 96), abs=2)
    assert SMALLEST < wide < LARGEST and 200 < high < LARGEST
    assert len(png) < 250_000
    assert image.min() < 60 and np.mean(image == 255) > 0.3


def test_the_sample_has_all_kinds():
    assert {d["kind"] for d in figures()} == set(KINDS)


def test_the_scale_of_wigner_functions_is_symmetric():
    (first, *_) = figures()
    up, down = (_pixels(drawn({**first, "panels": [("", sign * first["panels"][0][1])]}).png) for sign in (1, -1))
    # The middle of the panel is as red for W as it is blue for -W.
    colours = [image[image.shape[0] // 2 - 30 : image.shape[0] // 2, 150:250].reshape(-1, 3) for image in (up, down)]
    assert colours[0][:, 0].mean() > colours[0][:, 2].mean()
    assert colours[1][:, 0].mean() < colours[1][:, 2].mean()


@pytest.mark.parametrize("number", [1, 2, 4, 5, 7])
def test_panels_are_arranged(number):
    (first, *_) = figures()
    assert drawn({**first, "panels": first["panels"][:1] * number}).size[0] < LARGEST


def test_numbers_without_a_logarithm_are_left_out():
    errors = {"zero": np.zeros(4), "holes": np.array([np.nan, 1e-3, 0.0, 1e-5])}
    assert drawn({**figures()[1], "errors": errors}).png
    assert drawn({**figures()[1], "errors": {"zero": np.zeros(4)}, "slopes": {"zero": 2.0}}).png


def test_a_field_of_zeros_and_a_hundred_curves_are_drawn():
    (first, _, curves, _) = figures()
    assert drawn({**first, "panels": [("nothing", np.zeros((24, 24)))]}).png
    many = {f"y_{k}": curves["t"] * k for k in range(100)}
    assert drawn({**curves, "curves": many}).size[1] < LARGEST


def test_words_with_signs_of_mathematics_in_them_are_drawn():
    assert drawn({**figures()[2], "ylabel": "cost in $ of {x} & y_0^2 \\n"}).png


def test_an_unknown_kind_is_refused():
    with pytest.raises(InputError, match=r"'pie'; give one of wigner, order"):
        drawn({"kind": "pie", "name": "f"})


def test_figures_are_repeatable_and_leave_no_state():
    before = dict(matplotlib.rcParams)
    assert drawn(figures()[1]).png == drawn(figures()[1]).png
    assert dict(matplotlib.rcParams) == before
    assert not any("pyplot" in name for name in vars(sys.modules["qnnsym.documents.figures"]))
