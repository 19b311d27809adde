"""Results on disk: the page, its figures and its data, all written or none; and pages written again from them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from qnnsym.checks.check import read_checks, write_checks
from qnnsym.documents.assemble import assembled
from qnnsym.documents.document import Document, Equation
from qnnsym.documents.figures import Drawing, drawn
from qnnsym.documents.html import IndexEntry, html_index, html_page
from qnnsym.documents.markdown import markdown_page
from qnnsym.documents.plain import plain_text
from qnnsym.documents.record import RECORD, FigureRecord, Record
from qnnsym.documents.tex import tex_page
from qnnsym.errors import InputError, StorageError
from qnnsym.storage import atomic_path, atomic_write, disk_errors, locked

CHECKS, INDEX = "checks.json", "index.html"
FORMS: dict[str, Callable[[Document], str]] = {"html": html_page, "md": markdown_page, "tex": tex_page}


def write_results(outcome: Any, figures: Sequence[Mapping[str, Any]], folder: str | Path, *, command: str) -> Path:
    """Write everything a run leaves: NAME.nc, the page, PNG figures, checks.json and page.json.

    All files are written under temporary names first and take their own together at the end, so that an error leaves
    the results of an earlier run as they are. Figures of an earlier run that this one does not have are removed, pages
    in other forms that lie there are renewed.

    Arguments:
        outcome: of the run: name, model, derivation, solution, checks, notes, kernel, signature.
        figures: descriptions as the checks give them.
        folder: where to write; made if need be, other files in it stay.
        command: what repeats the run.

    Returns:
        The path of the HTML page.

    Raises:
        StorageError: when the disk refuses.
    """
    folder = Path(folder)
    checks = list(outcome.checks)
    drawings, notes = _drawn(figures)
    records = [
        FigureRecord.of(file, d.drawing.png, d.drawing.size, d.caption, d.alt, d.check) for file, d in drawings.items()
    ]
    pictures = {file: d.drawing.png for file, d in drawings.items()}
    record = Record.of(outcome, checks, records, command, notes)
    document = assembled(outcome.model, outcome.derivation, record, checks, pictures)
    page = folder / f"{record.name}.html"
    with locked(folder), disk_errors(folder):
        earlier = _earlier_figures(folder)
        forms = [f for f in FORMS if f == "html" or (folder / f"{record.name}.{f}").is_file()]
        texts = {f"{record.name}.{form}": FORMS[form](document) for form in forms}
        contents = {**texts, RECORD: record.to_json(), **pictures}
        with ExitStack() as stack:
            # The first to be entered is the last to take its name: a page never shows what is not there yet.
            for name, content in contents.items():
                temporary = stack.enter_context(atomic_path(folder / name))
                temporary.write_bytes(content.encode() if isinstance(content, str) else content)
            write_checks(stack.enter_context(atomic_path(folder / CHECKS)), checks)
            rows = [check.to_json() for check in checks]
            outcome.solution.save(stack.enter_context(atomic_path(folder / f"{record.name}.nc")), checks=rows)
        for name in earlier - set(pictures):
            (folder / name).unlink(missing_ok=True)
    return page


def rewrite_page(model: Any, derivation: Any, folder: str | Path, form: str, *, command: str) -> Path:
    """Write the page of a run again, from the folder of its results and the derivation as it is now.

    Arguments:
        model, derivation: as they are now.
        folder: of the results.
        form: "html", "md" or "tex".
        command: what repeats the run, should its results be damaged.

    Returns:
        The path of the page.

    Raises:
        InputError: for another form. StorageError: when the results cannot be read or the page not be written.
    """
    if form not in FORMS:
        raise InputError(f"The form {form!r} is unknown; give one of {', '.join(FORMS)}.")
    folder = Path(folder)
    with disk_errors(folder, "read"):
        record = _record(folder, command)
        if record.name != model.name:  # it names the page, and a damaged one could name any place
            raise StorageError(f"{folder / RECORD} is the record of {record.name!r}; {_again(command)}.")
        checks = read_checks(folder / CHECKS)
        missing = [figure.file for figure in record.figures if not (folder / figure.file).is_file()]
        if missing:
            raise StorageError(f"Cannot read {folder / missing[0]}: it is missing; {_again(command)}.")
        pictures = {figure.file: (folder / figure.file).read_bytes() for figure in record.figures}
        for figure in record.figures:
            if not figure.matches(pictures[figure.file]):
                raise StorageError(f"{folder / figure.file} is not the figure of this run; {_again(command)}.")
    document = assembled(model, derivation, record, checks, pictures)
    return atomic_write(folder / f"{record.name}.{form}", FORMS[form](document))


def write_index(outcomes: Sequence[Any]) -> Path:
    """Write the page of all models beside their folders, with a search over names, titles and equations.

    Arguments:
        outcomes: runs whose results were written; models that lie beside them from earlier runs are listed as well.

    Returns:
        The path of the page.

    Raises:
        InputError: when there are no outcomes, or none was written. StorageError: when the disk refuses.
    """
    folders = [Path(o.folder).resolve() for o in outcomes if o.folder is not None]
    if not folders:
        raise InputError("There are no results to list; write them first.")
    root = Path(os.path.commonpath([folder.parent for folder in folders]))
    with disk_errors(root, "read"):
        beside = [path.parent for path in root.glob(f"*/{RECORD}")]
    found = {}
    for folder in sorted({*folders, *beside}):
        try:
            found[folder] = _record(folder)
        except StorageError:
            if folder in folders:
                raise
    entries = [_entry(record, folder, root) for folder, record in found.items()]
    return atomic_write(root / INDEX, html_index(sorted(entries, key=lambda entry: (entry.name, entry.link))))


@dataclass(frozen=True)
class _Pictured:
    """A drawing with its words."""

    drawing: Drawing
    caption: str
    alt: str
    check: str


def _drawn(figures: Sequence[Mapping[str, Any]]) -> tuple[dict[str, _Pictured], list[str]]:
    """{file: drawing} and what could not be drawn: a run is not lost for a figure."""
    found: dict[str, _Pictured] = {}
    notes = []
    for description in figures:
        try:
            drawing = drawn(description)
        except InputError as error:
            notes.append(str(error))
            continue
        stem = re.sub(r"[^A-Za-z0-9_]+", "_", str(description.get("name", "figure"))) or "figure"
        names = (f"{stem}{n}.png" for n in ["", *range(2, len(figures) + 2)])
        file = next(name for name in names if name not in found)
        caption = str(description.get("caption", ""))
        found[file] = _Pictured(
            drawing, caption, str(description.get("alt") or caption), str(description.get("check", ""))
        )
    return found, notes


def _record(folder: Path, command: str = "") -> Record:
    """The record of a folder; JSON of another shape, or nested without end, is damage as well."""
    try:
        return Record.read(folder, command)
    except (AttributeError, RecursionError) as error:
        raise StorageError(f"{folder / RECORD} cannot be read as the record of a run; {_again(command)}.") from error


def _again(command: str) -> str:
    return f"`{command}` writes it anew" if command else "run the model again"


def _earlier_figures(folder: Path) -> set[str]:
    """The figures of the run whose record lies in the folder, if there is one."""
    try:
        return {figure.file for figure in _record(folder).figures}
    except StorageError:
        return set()


def _entry(record: Record, folder: Path, root: Path) -> IndexEntry:
    title, tex = next(iter(record.equations.items()), ("", ""))
    equation = Equation(1, title, tex) if tex else None
    formulas = [text for formula in record.equations.values() for text in (formula, plain_text(formula))]
    words = " ".join([record.name, record.title, *record.equations, *formulas]).lower()
    link = quote((folder / f"{record.name}.html").relative_to(root).as_posix())
    return IndexEntry(record.name, record.title, link, words, record.counts, equation)
