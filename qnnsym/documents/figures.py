"""Figures of a run as PNG: what the checks describe in numbers and words, drawn without any global state of plots."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO
from math import ceil
from typing import Any, NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from qnnsym.documents.wording import name_tex, pieces, typeset
from qnnsym.errors import InputError

DPI = 150
# Of axes whose label names nothing but the quantity.
UNITS = {"x": "length", "p": "momentum", "t": "time", "hbar": "action", "W": "1/action"}
# Colours that remain different for colour-blind readers: Okabe and Ito.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D1F")
STYLES, MARKERS = ("-", "--", ":", "-."), ("o", "s", "^", "D", "v", "P")
# Beyond these a legend of every curve, a tick at every point, a panel of every family says nothing any more.
MOST_NAMED, MOST_TICKS, MOST_PANELS = 16, 7, 4
# What is left out around a Wigner function, relative to its largest value.
VISIBLE = 2e-3
_STYLE = {
    "font.family": "STIXGeneral", "mathtext.fontset": "stix", "font.size": 11, "axes.labelsize": 12,
    "axes.titlesize": 11.5, "legend.fontsize": 11, "xtick.labelsize": 10, "ytick.labelsize": 10,
    "axes.formatter.use_mathtext": True, "axes.spines.top": False, "axes.spines.right": False,
    "legend.frameon": False, "figure.facecolor": "white", "savefig.facecolor": "white",
}  # fmt: skip


class Drawing(NamedTuple):
    """A PNG and its size in pixels of the page."""

    png: bytes
    size: tuple[int, int]


def drawn(description: Mapping[str, Any]) -> Drawing:
    """Draw what a check describes.

    Arguments:
        description: "kind" (a key of KINDS), "name", data of the kind, and words: "xlabel", "ylabel", "caption", "alt".

    Raises:
        InputError: for a kind that cannot be drawn, naming those that can.
    """
    kind = description.get("kind")
    if kind not in KINDS:
        raise InputError(
            f"The figure {description.get('name')!r} has the kind {kind!r}; give one of {', '.join(KINDS)}."
        )
    with rc_context(_STYLE):
        figure = Figure(layout="constrained", dpi=DPI)
        KINDS[kind](figure, description)
        buffer = BytesIO()
        # The name of the library would make the same figure another file with every release.
        FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None}, pil_kwargs={"optimize": True})
    width, height = figure.get_size_inches()
    return Drawing(buffer.getvalue(), (round(96 * width), round(96 * height)))


def _wigner(figure: Figure, data: Mapping[str, Any]) -> None:
    """Panels over phase space with one symmetric scale."""
    panels = list(data["panels"])
    x, p = np.asarray(data["x"]), np.asarray(data["p"])
    fields = [np.asarray(w) for _, w in panels]
    rows, columns = _arrangement(len(panels))
    figure.set_size_inches(2.45 * columns + 1.1, 2.5 * rows + 0.55)
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    top = max(float(np.nanmax(np.abs(w))) for w in fields) or 1.0
    half_x, half_p = (x[1] - x[0]) / 2, (p[1] - p[0]) / 2
    extent = (x[0] - half_x, x[-1] + half_x, p[0] - half_p, p[-1] + half_p)
    image = None
    for ax, (title, _), w in zip(axes.flat, panels, fields, strict=False):
        image = ax.imshow(
            w.T, origin="lower", extent=extent, cmap="RdBu_r", vmin=-top, vmax=top, aspect="auto",
            interpolation="bilinear",
        )  # fmt: skip
        ax.set_title(_set(title))
        ax.set_box_aspect(1)
        ax.spines[["top", "right"]].set_visible(True)
    for ax in axes.flat[len(panels) :]:
        ax.set_axis_off()
    seen = np.max([np.abs(w) for w in fields], axis=0) > VISIBLE * top
    axes[0, 0].set_xlim(_range(x, seen.any(axis=1)))
    axes[0, 0].set_ylim(_range(p, seen.any(axis=0)))
    for number, ax in enumerate(axes.flat):
        if number < len(panels) <= number + columns:  # nothing stands below it
            ax.set_xlabel(_with_unit(data.get("xlabel", "x")))
            ax.tick_params(labelbottom=True)
    for ax in axes[:, 0]:
        ax.set_ylabel(_with_unit(data.get("plabel", "p")))
    assert image is not None
    figure.colorbar(image, ax=axes, label=_with_unit("W"), shrink=0.9, aspect=22 * rows, pad=0.02)


def _arrangement(number: int) -> tuple[int, int]:
    columns = number if number <= 3 else 2 if number == 4 else 3
    return ceil(number / columns), columns


def _range(values: np.ndarray, seen: np.ndarray) -> tuple[float, float]:
    """The part of an axis on which something is seen, with a margin."""
    found = values[seen] if seen.any() else values
    margin = 0.08 * (found[-1] - found[0])
    return max(values[0], found[0] - margin), min(values[-1], found[-1] + margin)


def _order(figure: Figure, data: Mapping[str, Any]) -> None:
    """Errors against a small parameter, with lines of the expected slopes through the smallest value."""
    figure.set_size_inches(4.4, 3.5 + 0.22 * len(data["errors"]))
    ax = figure.add_subplot()
    h = np.asarray(data["h"], dtype=float)
    slopes = data.get("slopes", {})
    for number, (label, errors) in enumerate(data["errors"].items()):
        colour, errors = COLOURS[number % len(COLOURS)], np.asarray(errors, dtype=float)
        shown = np.isfinite(errors) & (errors > 0)
        marker, text = MARKERS[number % len(MARKERS)], _set(label)
        if label in slopes and shown.any():
            at = np.flatnonzero(shown)[np.argmin(h[shown])]
            line = np.array([h.min(), h.max()])
            ax.plot(line, errors[at] * (line / h[at]) ** slopes[label], "--", color=colour, lw=1.2)
            text += f" (dashed: slope {slopes[label]:g})"
        ax.plot(h[shown], errors[shown], marker, color=colour, ms=6.5, label=text, zorder=3)
    ax.set_xscale("log")
    if any(len(line.get_ydata()) for line in ax.lines):
        ax.set_yscale("log")
    else:
        ax.text(0.5, 0.5, "no differences", transform=ax.transAxes, ha="center")
    ticks = np.sort(np.unique(h))
    ticks = ticks[:: ceil(len(ticks) / MOST_TICKS)]
    ax.xaxis.set_major_locator(FixedLocator(list(ticks)))
    ax.xaxis.set_major_formatter(FixedFormatter([f"{v:.3g}" for v in ticks]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.grid(True, which="major", color="0.88", lw=0.7)
    ax.set_xlabel(_with_unit(data.get("xlabel", "")))
    ax.set_ylabel(_with_unit(data.get("ylabel", "")))
    figure.legend(loc="outside lower center")


def _curves(figure: Figure, data: Mapping[str, Any]) -> None:
    """Quantities against time; families (y_0, y_1, ...; Delta_0, ...) have a panel each, for their sizes differ."""
    families: dict[str, list[str]] = {}
    for name in data["curves"]:
        families.setdefault(_family(name), []).append(name)
    if len(families) in (1, len(data["curves"])) or len(families) > MOST_PANELS:
        families = {"": list(data["curves"])}
    figure.set_size_inches(6.6, 3.7 if len(families) == 1 else 2.4 * len(families) + 0.5)
    axes = figure.subplots(len(families), 1, squeeze=False, sharex=True)[:, 0]
    labels = data.get("ylabel", "").split(", ")
    if len(labels) != len(axes):
        labels = [data.get("ylabel", "")] * len(axes)
    for ax, label, (family, names) in zip(axes, labels, families.items(), strict=True):
        many = len(names) > MOST_NAMED
        for number, name in enumerate(names):
            ax.plot(
                data["t"], data["curves"][name], color=COLOURS[number % len(COLOURS)],
                ls=STYLES[number // len(COLOURS) % len(STYLES)], lw=0.8 if many else 1.5,
                label=_set(name) if not many else None,
            )  # fmt: skip
        ax.axhline(0, color="0.75", lw=0.8, zorder=0)
        ax.margins(x=0.01)
        ax.ticklabel_format(axis="y", scilimits=(-3, 4))
        ax.set_ylabel(_with_unit(label))
        if many:
            ax.set_title(f"{len(names)} curves" + (f" {_set(family)}" if family else ""))
        elif len(names) > 1:
            ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0)
    axes[-1].set_xlabel(_with_unit(data.get("xlabel", "t")))


def _family(name: str) -> str:
    """The name without its subscript."""
    found = pieces(name)
    return found[0].name if len(found) == 1 and found[0].name and not found[0].sup else name


def _with_unit(label: str) -> str:
    unit = UNITS.get(label.strip())
    return _set(f"{label} ({unit})" if unit else label)


def _set(text: str) -> str:
    """Words and names as matplotlib reads them."""
    return typeset(text, lambda words: words.replace("$", r"\$"), lambda piece: f"${name_tex(piece)}$")


KINDS: dict[str, Callable[[Figure, Mapping[str, Any]], None]] = {
    "wigner": _wigner,
    "order": _order,
    "expectation": _curves,
    "trace": _curves,
}
