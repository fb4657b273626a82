"""The directive `command-line`: every command and option, from the parser that the program itself uses."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from lowrank_sr import cli, commands

_WIDTH = 88  # characters, of a usage


def _escaped(text: str) -> str:
    return "".join(f"\\{letter}" if letter in r"\*`_|<>" else letter for letter in text)


def _sentence(text: str) -> str:
    """A help text, which begins with a small letter and ends without a stop, as a sentence."""
    return text if text.startswith("(") else text[:1].upper() + text[1:] + ("" if text.endswith((".", ")")) else ".")


def _usage(parser: argparse.ArgumentParser) -> list[str]:
    parser.formatter_class = lambda prog: argparse.HelpFormatter(prog, width=_WIDTH)
    return parser.format_usage().removeprefix("usage: ").rstrip().splitlines()


def _option(parser: argparse.ArgumentParser, action: argparse.Action) -> Iterator[str]:
    formatter = parser._get_formatter()
    value = formatter._format_args(action, formatter._get_default_metavar_for_optional(action))
    names = [f"{name} {value}".rstrip() for name in action.option_strings] or [str(action.metavar or action.dest)]
    yield f".. option:: {', '.join(names)}"
    yield ""
    if action.help:
        yield f"   {_escaped(_sentence(formatter._expand_help(action)))}"
        yield ""


def _text(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield from (f".. program:: {parser.prog}", "", _escaped(parser.description or ""), "", ".. code-block:: text", "")
    yield from (f"   {line}" for line in _usage(parser))
    yield ""
    for group in parser._action_groups:
        actions = [action for action in group._group_actions if not isinstance(action, argparse._SubParsersAction)]
        actions = [action for action in actions if action.help != argparse.SUPPRESS and action.dest != "help"]
        if not actions:
            continue
        yield from (f".. rubric:: {_escaped(group.title.capitalize())}", "")
        for action in actions:
            yield from _option(parser, action)


def _commands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


class CommandLine(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        for file in (Path(cli.__file__), *Path(commands.__file__).parent.glob("*.py")):
            self.env.note_dependency(str(file))
        parser = cli.parser()
        lines = list(_text(parser))
        for name, command in _commands(parser):
            lines += [name, "-" * len(name), "", *_text(command)]
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("command-line", CommandLine)
    return {"parallel_read_safe": True}
