"""Every command's manual, and the exit codes that scripts rely on."""

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from heliograph.cli.main import COMMANDS, main

NOUNS = {"accounts", "tokens", "senders", "messages", "emulator"}


def every_command(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from every_command(found, (*path, name))


EVERY = list(every_command(main))
PATHS = [path for path, _ in EVERY]


@pytest.mark.parametrize(("path", "command"), EVERY, ids=[" ".join(path) or "heliograph" for path in PATHS])
def test_help(path: tuple[str, ...], command: click.Command) -> None:
    """--help of every noun and verb says what it does, and every option that it has says what it means."""
    shown = CliRunner().invoke(main, [*path, "--help"])
    assert shown.exit_code == 0, shown.output
    assert shown.output.startswith("Usage: ")
    assert command.help
    assert command.help.strip()[0].isupper()


def test_the_doors() -> None:
    """The commands that scripts rely on are there, by these words."""
    assert set(COMMANDS) >= NOUNS | {"serve", "dev", "migrate", "doctor"}
    wanted = {
        ("accounts", "create"),
        ("tokens", "create"),
        ("senders", "add"),
        ("messages", "show"),
        ("emulator", "cloud-api"),
    }
    assert wanted <= set(PATHS)


def test_facts_as_json() -> None:
    """Each command that prints facts can print them as JSON."""
    facts = [
        path
        for path in PATHS
        if path and path[-1] in {"list", "show", "create", "doctor", "migrate"} and path[0] != "emulator"
    ]
    assert len(facts) >= 9
    for path, command in EVERY:
        if path in facts:
            assert "--json" in {name for option in command.params for name in option.opts}, path


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["accounts", "nonsense"],
        ["accounts", "create"],
        ["accounts", "create", "--name"],
        ["accounts", "create", "--nonsense"],
        ["tokens", "revoke", "x"],
        ["messages", "list", "--limit", "0"],
        ["messages", "send"],
        ["serve", "--role", "nonsense"],
        ["serve", "--port", "x"],
        ["senders", "add"],
        ["emulator", "cloud-api", "--port", "99999"],
    ],
)
def test_a_wrong_command_line(arguments: list[str]) -> None:
    """What is no command line ends with 2 and a hint."""
    shown = CliRunner().invoke(main, arguments)
    assert shown.exit_code == 2, shown.output
    assert "Error: " in shown.output


def test_version() -> None:
    """--version names product and release."""
    shown = CliRunner().invoke(main, ["--version"])
    assert (shown.exit_code, shown.output.split(",")[0]) == (0, "heliograph")
