"""One document in three forms: everything is there, numbered the same, and nothing of it is taken for markup."""

import re
import shutil
import subprocess
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser

import pytest

from qnnsym.documents.figures import drawn
from qnnsym.documents.formulas import lines
from qnnsym.documents.html import IndexEntry, html_index, html_page
from qnnsym.documents.markdown import markdown_page
from qnnsym.documents.pages import FORMS
from qnnsym.documents.tex import tex_page
from tests.documents.sample import CHECKS, FIRST, LONG, NASTY, document, figures

VOID = {"meta", "img", "br", "input", "link", "hr"}


class _Page(HTMLParser):
    """Checks that every element is closed, and keeps what matters of a page."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open, self.attributes, self.text = [], [], ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.attributes.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.attributes.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script", "annotation"):
            self.text += data

    def all(self, name):
        return [attrs[name] for _, attrs in self.attributes if name in attrs]


@pytest.fixture(scope="module")
def html():
    return html_page(document(drawn(figures()[1]).png))


@pytest.fixture(scope="module")
def page(html):
    return _Page(html)


def test_the_html_page_asks_for_nothing(html, page):
    assert all(value.startswith("data:") for value in page.all("src"))
    assert all(value.startswith("#") for value in page.all("href"))
    outside = re.findall(r"https?://[^\s<\"]+", html)
    assert set(outside) == {"https://example.org/1"}
    assert all(url.startswith("data:") for url in re.findall(r"url\(([^)]*)\)", html))
    assert "default-src 'none'" in html and "@import" not in html


def test_the_html_page_is_small_and_has_its_font(html):
    assert len(html) < 500_000
    assert "data:font/woff2;base64,d09GM" in html


def test_equations_are_numbered_once_and_shown_in_lines(html, page):
    ids = page.all("id")
    assert len(ids) == len(set(ids))
    assert [i for i in ids if i.startswith("eq-")] == ["eq-1", "eq-2", "eq-3"]
    # The first and the last formula are shown twice, each in one line; three more stand in tables.
    assert len(re.findall(r'<div class="line[" ]', html)) == len(lines(LONG)) + 4 + 3
    assert html.count("<math") == html.count("<annotation")
    assert [c for c in page.all("data-copy") if c == LONG] == [LONG]


def test_links_within_the_page_arrive(page):
    assert {href[1:] for href in page.all("href")} <= set(page.all("id"))


def test_every_check_and_its_detail_is_on_the_html_page(page):
    for check in CHECKS:
        assert check.verdict in page.text
        assert check.source in page.text
    for words in ("order in ħ of |W − Wcl|", "1.98", "3 × 10−13", "5 % <br>", "first $5, then {6}", "#1 ~ 2"):  # noqa: RUF001
        assert words in page.text.replace("\u00a0", " ")


def test_nothing_is_taken_for_html(html, page):
    assert "<script>alert" not in html
    assert html.count("<script>") == 1
    assert "alert(" in page.text
    assert "Alternative 1 <i>" in page.all("alt")
    assert 'return "<" + y[0] & 1' in page.text


def test_warnings_notes_and_diagnostics_are_never_hidden(page):
    for words in ("The boundary is reached", "qnnsym run x --set a_b=1", "A note_with underscores.", "Estimated error"):
        assert words in page.text
    assert "Not proved" in page.text and "symbolic zero" in page.text


def test_what_does_not_exist_has_no_section():
    page = _Page(html_page(replace(document(), groups=[], kernel="", references=[], terms=[], steps=[], run=[])))
    assert not {"checks", "kernel", "references", "derivation", "solution"} & set(page.all("id"))


def test_markdown_has_the_same_numbers_and_all_checks():
    text = markdown_page(document())
    assert [int(n) for n in re.findall(r"\\tag\{(\d+)\}", text)] == [1, 2, 1, 3, 3]
    assert text.count("$$") == 10 and text.count(r"\begin{aligned}") == 1
    for words in ("1.98", "10<sup>\u221213</sup>", "**fail**", "**pass**", "**not applicable**", "A. Author"):
        assert words in text
    assert "![Alternative 1 &lt;i&gt;](figure_1.png)" in text


def test_markdown_formulas_have_no_backslash_before_punctuation():
    text = markdown_page(document())
    for formula in re.findall(r"\$\$(.*?)\$\$", text, re.DOTALL):
        assert not re.search(r"\\[^A-Za-z]", formula)
        assert "<" not in formula


def test_markdown_cells_stay_within_their_rows():
    rows = [line for line in markdown_page(document()).splitlines() if line.startswith("|")]
    tables: dict[str, set[int]] = {}
    header = ""
    for at, row in enumerate(rows):
        header = row if at + 1 < len(rows) and set(rows[at + 1]) <= set("|- ") else header
        tables.setdefault(header, set()).add(len(re.findall(r"(?<!\\)\|", row)))
    assert all(len(widths) == 1 for widths in tables.values())


def test_markdown_fences_are_longer_than_backticks_within():
    assert "````python\ndef rhs" in markdown_page(document())


def test_latex_escapes_and_numbers():
    text = tex_page(document())
    assert [int(n) for n in re.findall(r"\\tag\{(\d+)\}", text)] == [1, 2, 1, 3, 3]
    body = re.sub(r"\\begin\{lstlisting\}.*?\\end\{lstlisting\}", "", text, flags=re.DOTALL)
    assert text.isascii()
    assert r"Sample\_model \& more" in body and r"100\% of" in body and r"[U+1F600]" in body
    assert not re.search(r"(?<!\\)[%#]", body.partition(r"\begin{document}")[2])
    for kind in ("equation", "split", "longtable", "itemize", "center", "minipage", "lstlisting"):
        assert text.count(rf"\begin{{{kind}}}") == text.count(rf"\end{{{kind}}}")
    assert text.count(r"\begin{split}") == 1
    for words in ("1.98", r"3 \times 10^{-13}", "& fail", "& pass", "& not applicable", r"{figure_1.png}"):
        assert words in body


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="LaTeX is not installed")
def test_latex_compiles_without_lines_that_stick_out(tmp_path):
    doc = document()
    for figure in doc.all_figures:
        (tmp_path / figure.file).write_bytes(drawn(figures()[1]).png)
    (tmp_path / "page.tex").write_text(tex_page(doc))
    run = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"], cwd=tmp_path, capture_output=True
    )
    said = run.stdout.decode(errors="replace")
    assert run.returncode == 0, said[-2000:]
    assert not re.findall(r"Overfull \\hbox \((?:[2-9]\d|\d{3,})", said)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_shows_everything(form):
    text = unescape(FORMS[form](document()))
    for words in ("Table of terms", "Assumptions", "How to reproduce", "0123abcd", "numpy 2.0", "def rhs(t, y)"):
        assert words in text
    assert "steps 1, 2" in text or ">step 1</a>," in text
    assert text.count("Caption 1 at") == 1 and text.count("Caption 2 at") == 1


def test_the_index_can_be_searched():
    entries = [
        IndexEntry("a_model", "A & B", "a_model/a_model.html", "a_model energy w_{k}", {"pass": 3, "fail": 1}, FIRST),
        IndexEntry("other", NASTY, "x y/other.html", NASTY.lower(), {}, None),
    ]
    page = _Page(html_index(entries))
    assert page.all("data-search") == ["a_model energy w_{k}", NASTY.lower()]
    assert [h for h in page.all("href")] == ["a_model/a_model.html", "x y/other.html"]
    assert "search" in page.all("type") and "A & B" in page.text and "1 fail" in page.text
