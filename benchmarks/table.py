"""Rows as an aligned table for a terminal, or as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.measure import Row

HEADINGS = ("", "measured", "quartiles", "bar", "held", "ours", "theirs", "competitor", "error")


def seconds(value: float | None) -> str:
    """A time with a unit in which it reads well."""
    if value is None:
        return ""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if abs(value) >= size:
            return f"{number(value / size)} {unit}"
    return f"{number(value / 1e-9)} ns"


def number(value: float) -> str:
    """Three significant digits, large ones whole."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def quantity(value: float, unit: str) -> str:
    """A number in the row's unit, which times choose for themselves."""
    return seconds(value) if unit == "s" else number(value)


def cells(row: Row) -> tuple[str, ...]:
    """The texts of one row, in the order of HEADINGS."""
    spread = "" if row.spread is None else " - ".join(quantity(v, row.unit) for v in row.spread)
    bar = "" if row.bar is None else f"{row.bar[0]} {quantity(row.bar[1], row.unit)}"
    held = {None: "", True: "yes", False: "NO"}[row.held]
    return (
        row.name, quantity(row.figure, row.unit), spread, bar, held,
        seconds(row.ours), seconds(row.theirs), row.competitor, row.error,
    )  # fmt: skip


def text(groups: Sequence[tuple[str, Sequence[Row]]]) -> str:
    """One aligned table; each group under its title."""
    body = [(title, [cells(r) for r in rows]) for title, rows in groups]
    everything = [HEADINGS, *(c for _, lines in body for c in lines)]
    widths = [max(len(line[n]) for line in everything) for n in range(len(HEADINGS))]

    def aligned(line: tuple[str, ...]) -> str:
        left = {0, 7, 8}
        parts = [t.ljust(w) if n in left else t.rjust(w) for n, (t, w) in enumerate(zip(line, widths, strict=True))]
        return "  ".join(parts).rstrip()

    out = [aligned(HEADINGS)]
    for title, lines in body:
        out += ["", title, *map(aligned, lines)]
    return "\n".join(out)


def markdown(groups: Sequence[tuple[str, Sequence[Row]]]) -> str:
    """One Markdown table per group."""
    out = []
    for title, rows in groups:
        out += [f"### {title}", "", _line(HEADINGS), _line(["---"] * len(HEADINGS))]
        out += [*(_line(cells(r)) for r in rows), ""]
    return "\n".join(out).rstrip()


def _line(texts: Sequence[str]) -> str:
    return "| " + " | ".join(t.replace("|", "\\|") for t in texts) + " |"
