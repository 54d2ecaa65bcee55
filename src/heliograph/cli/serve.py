"""heliograph serve: answer the API and send messages."""

import asyncio
import sys

import click

from heliograph.cli import supervisor
from heliograph.cli.doors import failing_with_a_sentence, settings_or_fail
from heliograph.logs import set_up_logs


@click.command()
@click.option(
    "--role",
    type=click.Choice(["all", "api", "dispatch"]),
    default="all",
    show_default=True,
    help="What this node does: answer HTTP (api), send and apply callbacks (dispatch), or both, each in its own process.",
)
@click.option("--host", help="The address to listen on (HELIOGRAPH_HOST; 127.0.0.1).")
@click.option("--port", type=int, help="The port to listen on (HELIOGRAPH_PORT; 8000).")
@click.option(
    "--migrate/--no-migrate", default=True, help="Bring the database's schema up to date first (default: yes)."
)
@click.option(
    "--child", type=int, default=0, hidden=True, help="Started by the supervisor of that process id: end with it."
)
@failing_with_a_sentence
def serve(role: str, host: str | None, port: int | None, migrate: bool, child: int) -> None:
    """Run the installation until Ctrl-C or SIGTERM.

    On SIGTERM it accepts nothing more, finishes what is in flight (HELIOGRAPH_SHUTDOWN_GRACE_S) and ends with exit code 0.
    A process that dies is started again; nothing that was accepted is lost by that.
    """
    settings = settings_or_fail(host=host, port=port)
    set_up_logs(settings, role if role != "all" else "supervisor")
    if child:
        supervisor.die_with_parent(child)
    else:
        from heliograph.store.sqlite import check_file

        if role != "dispatch":
            supervisor.check_port_is_free(settings)
        if not settings.is_postgresql:
            check_file(settings.sqlite_path)
        if migrate:
            supervisor.migrate_apart(settings)
    if role == "all":
        asyncio.run(supervisor.supervise(settings))
    else:
        import uvloop

        from heliograph.cli import processes  # here: the supervisor runs neither

        run = processes.run_api if role == "api" else processes.run_dispatcher
        uvloop.run(run(settings))
    sys.exit(0)
