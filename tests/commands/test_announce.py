"""What the user is told of waiting goes to the stderr of the moment, and leaves nothing behind."""

import io
import logging
import sys

from lowrank_sr.commands.announce import announced


def test_messages_go_to_the_stderr_of_the_block(monkeypatch):
    logger = logging.getLogger("lowrank_sr")
    before = (list(logger.handlers), logger.level)
    for _ in range(2):
        stream = io.StringIO()
        monkeypatch.setattr(sys, "stderr", stream)
        with announced():
            logging.getLogger("lowrank_sr.network.auto").info("timing")
        assert stream.getvalue() == "timing\n"
        stream.close()
    assert (list(logger.handlers), logger.level) == before
