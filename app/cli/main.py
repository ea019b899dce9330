"""The command `goodstanding`: run days, train, evaluate, look up customers, serve answers, start Airflow.

Each command prints its result as tables or, with `--json`, as one JSON object. The exit code is 0 when it is
done, 1 for a problem of the data or a failed gate, and 2 for wrong use or a wrong setting; neither of the two
prints a traceback. What takes long to import is imported in the command that needs it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from app.cli.dbt import dbt_app
from app.cli.decisions import commit, decide, release
from app.cli.init import init
from app.cli.keys import key_app
from app.cli.letters import letter
from app.cli.policy import policy_app, switched_off
from app.cli.receipts import clock_doubt, receipt_app
from app.cli.shown import AsJson, console, print_json, progress_bar, reports_errors, say, screen, show
from app.cli.streams import leave_signals
from app.cli.tables import (
    print_as_known,
    print_check,
    print_profile,
    print_report,
    print_rollback,
    print_status,
    print_training,
)
from goodstanding.core.days import Days, parse_day
from goodstanding.core.errors import WrongUse
from goodstanding.core.settings import settings
from pipeline.report import RunReport

app = typer.Typer(
    help="Turns a shop's order log, every day, into every customer's standing.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(dbt_app, name="dbt")
app.add_typer(key_app, name="key")
app.add_typer(policy_app, name="policy")
app.add_typer(receipt_app, name="receipt")
app.command("letter")(letter)
app.command("init")(init)


@app.command()
@reports_errors
def run(
    first: Annotated[str | None, typer.Option("--from", help="First event day, like 2011-12-01.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last event day; default: the first.")] = None,
    daily: Annotated[bool, typer.Option("--daily", help="One DAG run per day instead of one range.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run days through the DAGs in this process. Without days: the whole landing, as `make run` does."""
    from app.cli.runs import run_days, run_landing

    with progress_bar() as progress:
        if first is None:
            if last is not None or daily:
                raise WrongUse("--to and --daily need --from")
            report: RunReport = run_landing(settings(), progress)
        else:
            report = run_days(settings(), Days.parse(first, last), daily, progress)
    show(report, as_json, print_report)


@app.command()
@reports_errors
def check(
    first: Annotated[
        str | None, typer.Option("--from", help="First event day; default: all there is.")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last event day; default: the first.")] = None,
    as_json: AsJson = False,
) -> None:
    """Read the landing as a run would, without loading it: what would count, what not, and why.

    The exit code is 1 where lines would be lost.
    """
    from goodstanding.ingest.check import check_landing

    if first is None and last is not None:
        raise WrongUse("--to needs --from")
    with progress_bar() as progress:
        progress.add_task("reading the landing", total=None)
        checked = check_landing(settings(), Days.parse(first, last) if first else None)
    show({**checked, "ok": checked["lost"] == 0}, as_json, print_check)
    if checked["lost"]:
        raise typer.Exit(1)


@app.command()
@reports_errors
def train(
    day: Annotated[str | None, typer.Option("--day", help="As of this day; default: the newest.")] = None,
    as_json: AsJson = False,
) -> None:
    """Train the models on what was known by a day, and show them against their baselines."""
    from app.cli.runs import run_training

    with progress_bar() as progress:
        training = run_training(settings(), day, progress)
    show(training, as_json, print_training)


@app.command()
@reports_errors
def evaluate(
    tasks: Annotated[list[str] | None, typer.Option("--task", help="Only this one; may be repeated.")] = None,
    balance: Annotated[
        Literal["weights", "down_sampling"] | None,
        typer.Option("--balance", help="How challengers balance the classes as they are fitted."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure every method on what customers did next, appoint the champions, and write a page about it."""
    from app.cli.evaluation_tables import print_evaluation
    from pipeline.evaluation import run_evaluation

    with progress_bar() as progress:
        bar = progress.add_task("reading the marts", total=None)

        def show_progress(what: str, done: int, total: int) -> None:
            progress.update(bar, description=what, completed=done, total=total)

        evaluation = run_evaluation(settings(), tasks=tasks or (), balance=balance, progress=show_progress)
    show(evaluation, as_json, print_evaluation)


@app.command()
@reports_errors
def rollback(
    question: Annotated[str, typer.Argument(help="Of which question, like buys_90d, cod_refused or emi.")],
    as_json: AsJson = False,
) -> None:
    """Go back to the champion before the present one, or to the scorecard before it of cod or emi.

    The next run scores by it.
    """
    from ml.champions import roll_back

    show(roll_back(settings().models, question), as_json, print_rollback)


@app.command()
@reports_errors
def profile(
    customer_id: Annotated[str, typer.Argument(help="The shop's own customer id, like 17850.")],
    as_json: AsJson = False,
) -> None:
    """The published profile of one customer: scores, class, benefits, predictions."""
    from pipeline.report import read_profile

    show(read_profile(settings(), customer_id), as_json, print_profile)


app.command()(decide)
app.command()(commit)
app.command()(release)


@app.command()
@reports_errors
def serve(
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="The port to listen on.")] = 8000,
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="Processes that answer.")] = 1,
) -> None:
    """Answer over HTTP until Ctrl-C; keys are made by `goodstanding key new`."""
    from app.api.server import serve as start

    leave_signals()
    say(console, f"http://{host}:{port} (its OpenAPI: /openapi.json); Ctrl-C ends it")
    start(settings(), host, port, workers)


@app.command()
@reports_errors
def status(as_json: AsJson = False) -> None:
    """The last published day, its age, its gates, and which newer days wait and why."""
    from pipeline.report import read_status

    doubt, off = clock_doubt(settings()), switched_off(settings())
    found = {**read_status(settings()), "clock_doubt": doubt, "switched_off": off}
    show(found, as_json, print_status)
    for text in [] if as_json else [*filter(None, [doubt]), *(f"{method} is switched off" for method in off)]:
        say(console, text)


@app.command()
@reports_errors
def as_known(
    day: Annotated[str, typer.Option("--day", help="The last event day, like 2011-12-09.")],
    on: Annotated[str, typer.Option("--on", help="What was known at the end of this day of the shop.")],
    as_json: AsJson = False,
) -> None:
    """Build the marts as of a past day from the files that were known then, into a file of their own."""
    from pipeline.as_known import build_as_known

    with progress_bar() as progress:
        progress.add_task(f"{day} as known on {on}: computing all of it", total=None)
        built = build_as_known(settings(), parse_day(day), parse_day(on))
    show(built, as_json, print_as_known)


@app.command()
@reports_errors
def simulate(
    landing: Annotated[Path, typer.Argument(help="A folder to fill; it must be empty or missing.")],
    customers: Annotated[
        int, typer.Option("--customers", min=1, max=10_000_000, help="People who may order.")
    ] = 1500,
    days: Annotated[int, typer.Option("--days", min=1, max=36_500, help="Days from 2010-12-01 on.")] = 374,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of all that is random.")] = 352,
    as_json: AsJson = False,
) -> None:
    """Write the files of a made-up shop with payments, returns and deliveries, and its true risks beside."""
    from goodstanding.core.private import files_of_the_caller
    from goodstanding.ingest.samples.simulate_accounts import TRUE_RISKS, simulate_accounts

    with files_of_the_caller():
        lines = simulate_accounts(landing, customers=customers, days=days, seed=seed)
    written = {
        "landing": landing.resolve(),
        "order_lines": lines,
        "true_risks": landing.resolve() / TRUE_RISKS,
    }
    if as_json:
        print_json({"ok": True, "simulated": True, **written})
    else:
        text = "\n".join(f"{name.replace('_', ' ')}: {value}" for name, value in written.items())
        say(screen(), f"SIMULATED: nobody stands behind these files\n{text}")


@app.command()
@reports_errors
def credit_default(
    file: Annotated[Path, typer.Argument(help="The UCI data on default of credit card clients, as Parquet.")],
    landing: Annotated[Path, typer.Argument(help="A folder to fill; it must be empty or missing.")],
    as_json: AsJson = False,
) -> None:
    """Write the public data on credit card clients as six monthly files of statements of account.

    The mapping is shops/credit_default.yml: set GOODSTANDING_SHOP=credit_default to run on them.
    """
    from goodstanding.ingest.samples.credit_default import write_statements

    statements = write_statements(file, landing)
    if as_json:
        print_json({"ok": True, "landing": landing.resolve(), "statements": statements})
    else:
        say(screen(), f"{statements:,} statements of account in {landing}")


@app.command()
@reports_errors
def docs() -> None:
    """Build the dbt documentation of the models into one file, and the site with the checks."""
    from app.cli.runs import build_sites

    for name, path in build_sites(settings()).items():
        say(console, f"{name}: {path}")


@app.command()
@reports_errors
def up() -> None:
    """Start Airflow with its scheduler and UI on this machine; Ctrl-C or `goodstanding down` ends it."""
    from app.runtime.supervisor import up as start

    leave_signals()
    start(settings())


@app.command()
@reports_errors
def down() -> None:
    """End the Airflow that `goodstanding up` started, every process of it."""
    from app.runtime.supervisor import down as stop

    if not stop(settings()):
        say(console, "nothing is running")


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False
)
@reports_errors
def airflow(context: typer.Context) -> None:
    """Pass a command on to the Airflow that `goodstanding up` started, like `backfill create ...`."""
    from app.runtime.supervisor import environment_of_running

    environment = environment_of_running(settings())
    os.execve(sys.executable, [sys.executable, "-m", "airflow", *context.args], environment)


if __name__ == "__main__":
    app()
