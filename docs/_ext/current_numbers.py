"""A warning, an error under `-W`, where README.md or docs/results.md has numbers that were not measured last.

That is where the sources that matter for a file of docs/results/ have changed since it was written, or where a page's
table is not what that file says.
"""

from number_tables import PAGES, written
from provenance import MEASUREMENTS, RESULTS, stale
from sphinx.application import Sphinx
from sphinx.util import logging

_LOGGER = logging.getLogger(__name__)


def check(_app: Sphinx) -> None:
    for name in stale():
        file = RESULTS / f"{name}.json"
        _LOGGER.warning("%s: older than what it measures: `python docs/remeasure.py %s`", file, name)
    for page in PAGES if all((RESULTS / f"{name}.json").exists() for name in MEASUREMENTS) else ():
        if written(page) != page.read_text(encoding="utf-8"):
            _LOGGER.warning("%s: a table is not what docs/results/ says: `python docs/remeasure.py`", page)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", check)
    return {"parallel_read_safe": True}
