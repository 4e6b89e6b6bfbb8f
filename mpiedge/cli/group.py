"""The command ``mpiedge`` and the table of its commands.

A command's module is imported when the command is used: ``mpiedge --help`` and ``launch`` answer
at once, where torch alone would take seconds on a small board.
"""

import os
import pkgutil
from typing import NamedTuple

import click

from mpiedge import trace
from mpiedge.version import VERSION


class Entry(NamedTuple):
    """Where a command is, and the line that the list of commands shows for it."""

    place: str
    summary: str


COMMANDS = {
    "init": Entry("mpiedge.cli.init:init", "Write a run file for texts of one's own."),
    "train": Entry("mpiedge.cli.train:train", "Fine-tune a model as a run file says."),
    "evaluate": Entry("mpiedge.cli.evaluate:evaluate", "Score a trained adapter again."),
    "predict": Entry("mpiedge.cli.predict:predict", "Use a trained adapter on new text."),
    "export": Entry("mpiedge.cli.export:export", "Write the result as a transformers model."),
    "plan": Entry("mpiedge.cli.plan:plan", "Say what a run would do and need."),
    "simulate": Entry("mpiedge.cli.simulate:simulate", "Draw who computes when, before a run."),
    "compare": Entry("mpiedge.cli.compare:compare", "Hold a plan against what a run measured."),
    "report": Entry("mpiedge.cli.report:report", "Show what happened in runs, as one page."),
    "profile": Entry("mpiedge.cli.profile:profile", "Measure devices and links, for plans."),
    "launch": Entry("mpiedge.cli.launch:launch", "Run one of these commands over MPI."),
    "testbed": Entry("mpiedge.cli.testbed:testbed", "Emulate a cluster on this machine."),
    "cache": Entry("mpiedge.cli.cache:cache", "List, verify or remove stored activations."),
    "hosts": Entry("mpiedge.cli.hosts:hosts", "Look at the machines of a hostfile."),
    "doctor": Entry("mpiedge.cli.doctor:doctor", "Look at the installation, ranks and links."),
    "settings": Entry("mpiedge.cli.settings:settings", "List every setting of a run file."),
}


class Commands(click.Group):
    """A group whose commands are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands, in the order a user meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command = pkgutil.resolve_name(entry.place)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="mpiedge")
@click.option("--debug", is_flag=True, help="Print the trace of a failure that nobody foresaw.")
def group(debug: bool) -> None:
    """Fine-tune a transformer over the small machines you own, one MPI rank per device."""
    if debug:
        os.environ[trace.VARIABLE] = "1"
