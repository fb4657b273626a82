"""Solutions, citations and links of a chapter in the notebook that sphinx-gallery makes of it.

sphinx-gallery turns reST to Markdown, but neither the directives of other extensions nor roles: a solution would be a
line that names a file. Here it becomes a fold with the code in it, a citation authors and year, and any other role the
text that it stands for.
"""

import re
from functools import partial
from pathlib import Path

from pybtex.database import Entry, parse_file
from sphinx.application import Sphinx
from sphinx_gallery import notebook

_SOLUTION = re.compile(
    r"^\.\. dropdown:: (.+)\n(?:   :.*\n)*\n+   \.\. literalinclude:: /(\S+)\n?(?:      :.*\n?)*", re.MULTILINE
)
_CITATION = re.compile(r":cite:\w+:`([^`]+)`")
_ROLE = re.compile(r":(?:\w+:)?\w+:`~?([^`<]+?)(?: *<[^`>]*>)?`")
_LITERAL = re.compile(r"``([^`]+)``")


def _fold(match: re.Match[str], source: Path) -> str:
    code = (source / match[2]).read_text(encoding="utf-8").rstrip()
    return f"<details><summary>{match[1]}</summary>\n\n```python\n{code}\n```\n\n</details>\n"


def _cited(match: re.Match[str], source: Path) -> str:
    entries = parse_file(str(source / "references.bib")).entries
    return "[" + "; ".join(_label(entries[key.strip()]) for key in match[1].split(",") if key.strip() in entries) + "]"


def _label(entry: Entry) -> str:
    last_names = [person.prelast_names + person.last_names for person in entry.persons["author"]]
    names = [re.sub("[{}]", "", " ".join(parts)) for parts in last_names]
    authors = f"{names[0]} et al." if len(names) > 2 else " and ".join(names)
    return f"{authors} {entry.fields.get('year', '')}".rstrip()


def _role(match: re.Match[str]) -> str:
    return match[0] if match[0].startswith(":math:") else f"`{match[1].removeprefix('/auto_tour/')}`"


def rst2md(text: str, gallery_conf: dict, target_dir: str, heading_levels: dict, convert) -> str:
    """sphinx-gallery's conversion, after what it does not know."""
    source = Path(gallery_conf["src_dir"])
    text = _CITATION.sub(partial(_cited, source=source), text)
    text = _ROLE.sub(_role, text)
    text = _LITERAL.sub(r"`\1`", text)
    text = convert(text, gallery_conf, target_dir, heading_levels)
    return _SOLUTION.sub(partial(_fold, source=source), text)


def setup(app: Sphinx) -> dict[str, bool]:
    if not isinstance(notebook.rst2md, partial):
        notebook.rst2md = partial(rst2md, convert=notebook.rst2md)
    return {"parallel_read_safe": True}
