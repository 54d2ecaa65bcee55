"""heliograph migrate: bring the database's schema to what this release needs."""

import click

from heliograph.cli.doors import failing_with_a_sentence, json_option, print_facts, settings_or_fail


@click.command()
@click.option("--plan", is_flag=True, help="Only say what would be done.")
@json_option
@failing_with_a_sentence
def migrate(plan: bool, as_json: bool) -> None:
    """Bring the database's schema up to date, or say with --plan what that would change.

    Safe to run at any time: a database that is up to date is left alone.
    """
    from heliograph.store import migrate as migrations

    settings = settings_or_fail()
    if plan:
        settings.home_path.mkdir(mode=0o700, parents=True, exist_ok=True)
        steps = migrations.steps_ahead(settings)
        done = "would be made"
    else:
        steps = migrations.migrate(settings)
        done = "were made"
    text = "\n".join(f"{step.revision}  {step.brings}" for step in steps)
    facts = {"steps": [{"revision": step.revision, "brings": step.brings} for step in steps], "applied": not plan}
    print_facts(
        facts, as_json=as_json, text=f"These changes {done}:\n{text}" if steps else "The database is up to date."
    )
