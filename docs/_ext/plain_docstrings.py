"""Equations and tables of docstrings, which are set for a terminal, as literal blocks of reST.

What is indented below a paragraph is one, and so is a paragraph with columns: words that two spaces or more separate.
From the first section of numpydoc on (a title underlined with ---) nothing is changed.
"""

import re
from collections.abc import Iterator
from itertools import groupby

import numpydoc.numpydoc
from sphinx.application import Sphinx

_COLUMNS = re.compile(r"\S {2,}\S")
_ITEM = re.compile(r"\s*(?:[-*] |\d+\. |\.\. )")
_SENTENCE_END = re.compile(r"[.!?:] {2}")


def to_rest(lines: list[str]) -> list[str]:
    """The lines of a docstring with literal blocks marked."""
    end = next((i for i, line in enumerate(lines[1:]) if re.fullmatch(r"-{3,}", line) and lines[i].strip()), len(lines))
    return [*_marked(lines[:end]), *lines[end:]]


def _marked(lines: list[str]) -> Iterator[str]:
    literal, item = False, False
    for paragraph in _paragraphs(lines):
        indented = all(line.startswith(" ") for line in paragraph)
        columns = any(_COLUMNS.search(_SENTENCE_END.sub(". ", line)) for line in paragraph)
        if (indented or columns) and not item:
            if not literal:
                yield from (".. code-block:: text", "")
            yield from (f"    {line}" for line in paragraph)
            literal = True
        else:
            literal, item = False, bool(_ITEM.match(paragraph[0])) or (item and indented)
            yield from paragraph
        yield ""


def _paragraphs(lines: list[str]) -> Iterator[list[str]]:
    """The paragraphs, also divided where the indentation begins or ends."""
    for blank, group in groupby(lines, key=lambda line: not line.strip()):
        if blank:
            continue
        paragraph = list(group)
        if _ITEM.match(paragraph[0]):
            yield paragraph
            continue
        for _, part in groupby(paragraph, key=lambda line: line.startswith(" ")):
            yield list(part)


def _process(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    lines[:] = to_rest(lines)


def _keep_signatures(app: Sphinx) -> None:
    """numpydoc looks for signatures in docstrings, and stumbles over those of aliases such as tuple[int, int]."""
    event = "autodoc-process-signature"
    for listener in list(app.events.listeners[event]):
        if listener.handler is numpydoc.numpydoc.mangle_signature:
            app.disconnect(listener.id)


def setup(app: Sphinx) -> dict[str, bool]:
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-process-docstring", _process, priority=100)  # before numpydoc
    app.connect("builder-inited", _keep_signatures)
    return {"parallel_read_safe": True}
