"""Pages, LaTeX and figures: one document of a derivation and its run, printed in every form.

record, document, assemble       what a run leaves for its page; what a page says; from one to the other
html, markdown, tex              the document in three forms (templates/ holds page, style, script and math font)
derivations                      a derivation by itself, as `qnnsym derive` prints it
formulas, mathml, plain          LaTeX as trees: broken into lines, shown by browsers, read in a terminal
wording                          names of mathematics in sentences
figures, pages                   PNG of what the checks describe; everything on disk
"""
