"""The commands `goodstanding dbt ...`: dbt on a copy of the warehouse, and what an edited model changes."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from app.cli.shown import AsJson, console, reports_errors, say, screen, show
from goodstanding.core.settings import settings

dbt_app = typer.Typer(
    help="dbt on a copy of the warehouse; then what changed against the publication. Nothing is published.",
    no_args_is_help=True,
)
# dbt's own commands that work on the copy, each with what it does
PASSED_ON = {
    "build": "Build models and seeds and test them, as `dbt build` does, and say what changed.",
    "run": "Build models without testing them, as `dbt run` does, and say what changed.",
    "seed": "Load seeds, as `dbt seed` does, and say what changed.",
    "test": "Test the data and the SQL, as `dbt test` does.",
    "show": "Show rows of a model or query, as `dbt show` does.",
    "compile": "Show the SQL of a model as the database gets it, as `dbt compile` does.",
    "ls": "List the models that a selection names, as `dbt ls` does.",
    "parse": "Check that the project parses, as `dbt parse` does.",
    "docs": "Generate or serve the documentation, as `dbt docs` does.",
    "run-operation": "Run a macro, as `dbt run-operation` does.",
    "retry": "Run once more what failed, as `dbt retry` does.",
}
FRESH = "--fresh"


def _pass_on(name: str, help_text: str) -> None:
    @dbt_app.command(
        name,
        help=f"{help_text} All arguments are dbt's, but `{FRESH}`, which takes a new copy of the warehouse.",
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
        add_help_option=False,
    )
    @reports_errors
    def command(context: typer.Context) -> None:
        from app.cli.workbench_tables import print_workbench_run
        from pipeline.workbench.run import run_on_copy

        arguments = [text for text in context.args if text != FRESH]
        done = run_on_copy(
            settings(),
            [name, *arguments],
            fresh=FRESH in context.args,
            say=lambda text: say(console, text, "dim", wraps=False),
        )
        sys.stdout.flush()
        print_workbench_run(done, screen(), console)
        raise typer.Exit(done.exit_code)


for _name, _help in PASSED_ON.items():
    _pass_on(_name, _help)


@dbt_app.command("describe")
@reports_errors
def dbt_describe(
    model: Annotated[str, typer.Argument(help="The model, like customer_classes.")],
    write: Annotated[
        bool, typer.Option("--write", help="Write it beside the SQL instead of printing it.")
    ] = False,
) -> None:
    """The YAML of a model, with the columns and types of its SQL; what a person wrote in it stays."""
    from pipeline.workbench.describe import describe

    described = describe(settings(), model, write)
    if write:
        say(console, f"{described.path} is written", wraps=False)
    else:
        sys.stdout.write(described.text)
    if described.to_write:
        text = f"write {described.to_write}: what a row says, its grain, what the columns hold"
        say(console, text, wraps=False)


@dbt_app.command("impact")
@reports_errors
def dbt_impact(
    base: Annotated[
        str, typer.Option("--base", help="A branch, tag or commit; compared is where you left it.")
    ] = "main",
    baskets: Annotated[
        list[str] | None, typer.Option("--basket", help="Asked of every customer; again for more.")
    ] = None,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print Markdown, as for a comment on a pull request.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """What the SQL of the working tree changes against a base in git: tables, classes, scores, decisions."""
    from app.api.answers import basket_of
    from app.api.impact import decision_changes
    from app.api.policies import BASKETS
    from app.cli.impact_tables import Impact, impact_markdown, print_impact
    from pipeline.workbench.impact import both_versions

    with both_versions(settings(), base) as versions:
        decisions = decision_changes(
            settings(),
            versions.before,
            versions.after,
            [basket_of(basket) for basket in baskets or BASKETS],
        )
    impact: Impact = {
        "base": versions.base,
        "commit": versions.commit,
        "as_of": versions.as_of,
        "simulated": versions.simulated,
        "models": versions.touched,
        "classes": versions.classes,
        "decisions": decisions,
    }
    if as_markdown:
        sys.stdout.write(impact_markdown(impact))
    else:
        show(impact, as_json, print_impact)
