"""`heliograph`: the back door. Commands are noun then verb; each one's --help is its manual.

Exit codes: 0 done · 1 it could not be done, the reason is on standard error · 2 the command line is wrong.
"""

import importlib
from typing import Any

import click

import heliograph

# Loaded when used: `heliograph --help` must not wait for a web server to be imported.
COMMANDS = {
    "serve": "heliograph.cli.serve:serve",
    "dev": "heliograph.cli.dev:dev",
    "migrate": "heliograph.cli.database:migrate",
    "copy-database": "heliograph.cli.copying:copy_database",
    "accounts": "heliograph.cli.accounts:accounts",
    "tokens": "heliograph.cli.tokens:tokens",
    "senders": "heliograph.cli.senders:senders",
    "messages": "heliograph.cli.messages:messages",
    "doctor": "heliograph.cli.doctor:doctor",
    "emulator": "heliograph.emulators.cli:emulator",
}


class LazyGroup(click.Group):
    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        where = COMMANDS.get(name)
        if where is None:
            return None
        module, _, attribute = where.partition(":")
        found: Any = getattr(importlib.import_module(module), attribute)
        assert isinstance(found, click.Command)
        return found


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(heliograph.__version__, prog_name="heliograph")
def main() -> None:
    """Heliograph: send and receive WhatsApp messages by REST and in a portal.

    Settings come from HELIOGRAPH_* variables or from heliograph.toml in the data folder (HELIOGRAPH_HOME).
    To try everything on this machine: heliograph dev
    """


if __name__ == "__main__":
    main()
