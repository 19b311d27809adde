"""Pages, LaTeX and figures: one document of a derivation and its run, printed as HTML, Markdown, LaTeX and text."""
