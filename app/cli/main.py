"""The command line. Each command says what it found in a table or, with `--json`, in one JSON object.

Exit 0 done, 1 a problem of the data or a gate, 2 wrong use or setting; never a traceback for either.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from goodstanding.core.days import Days, parse_day
from goodstanding.core.errors import GoodstandingError, WrongUse
from goodstanding.core.settings import Settings, settings

app = typer.Typer(
    help="Turns a shop's order log, every day, into every customer's standing.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
key_app = typer.Typer(help="Keys of the API: made, listed, rotated, revoked.", no_args_is_help=True)
receipt_app = typer.Typer(help="Receipts of answers.", no_args_is_help=True)
policy_app = typer.Typer(help="What another policy would change.", no_args_is_help=True)
app.add_typer(key_app, name="key")
app.add_typer(policy_app, name="policy")
app.add_typer(receipt_app, name="receipt")
# progress and errors go beside the result, so that the result can be piped
console = Console(stderr=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    return str(value)


def _print_json(content: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(content, default=_plain, indent=2) + "\n")


def _told(command: Callable[..., None]) -> Callable[..., None]:
    """Read the settings before anything else, and turn what a user can mend into a line and an exit code."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            _make_home(settings())
            command(*args, **kwargs)
        except typer.Exit:
            raise
        except Exception as error:
            told = error if isinstance(error, GoodstandingError) else _of_the_disk(error)
            if told is None:
                raise
            if kwargs.get("as_json"):
                _print_json({"ok": False, "error": str(told), "kind": type(told).__name__})
            text = f"goodstanding: {told}"
            console.print(text, style="red", markup=False, highlight=False, soft_wrap=True)
            raise typer.Exit(told.exit_code) from None

    return wrapped


def _of_the_disk(error: Exception) -> GoodstandingError | None:
    """Outside the steps of a run it is most often Airflow, with its own database, that meets a full disk."""
    from goodstanding.warehouse.files import disk_problem

    return disk_problem(error, settings())


def _make_home(current: Settings) -> None:
    try:
        current.home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WrongUse(
            f"setting GOODSTANDING_HOME: {current.home} cannot be used as a folder ({error.strerror})"
        ) from None


def _screen() -> Console:
    """Where results go: as wide as the terminal, and wide enough for every table in a file."""
    return Console() if sys.stdout.isatty() else Console(width=132)


def _progress() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(file=sys.__stderr__),
    )


@app.command()
@_told
def run(
    first: Annotated[str | None, typer.Option("--from", help="First event day, like 2011-12-01.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last event day; default: the first.")] = None,
    daily: Annotated[bool, typer.Option("--daily", help="One DAG run per day instead of one range.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run days through the DAGs in this process. Without days: the whole landing, as `make run` does."""
    from app.cli.runs import run_days, run_landing

    with _progress() as progress:
        if first is None:
            if last is not None or daily:
                raise WrongUse("--to and --daily need --from")
            report = run_landing(settings(), progress)
        else:
            report = run_days(settings(), Days.parse(first, last), daily, progress)
    if as_json:
        _print_json({"ok": True, **report})
    else:
        from pipeline.report import print_report

        print_report(report, _screen())


@app.command()
@_told
def train(
    day: Annotated[str | None, typer.Option("--day", help="As of this day; default: the newest.")] = None,
    as_json: AsJson = False,
) -> None:
    """Train the models on what was known by a day, and show them against their baselines."""
    from app.cli.runs import run_training

    with _progress() as progress:
        found = run_training(settings(), day, progress)
    if as_json:
        _print_json({"ok": True, **found})
    else:
        from pipeline.report import print_models, print_refused

        print_models(found["models"], _screen())
        print_refused(found["refused"], _screen())


@app.command()
@_told
def evaluate(
    tasks: Annotated[list[str] | None, typer.Option("--task", help="Only this one; may be repeated.")] = None,
    balance: Annotated[
        Literal["weights", "down_sampling"] | None,
        typer.Option("--balance", help="How challengers balance the classes as they are fitted."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure every method of the field on what customers did next; appoint champions, make a page of it."""
    from app.cli.evaluation_tables import print_evaluation
    from pipeline.evaluation import run_evaluation

    with _progress() as progress:
        bar = progress.add_task("reading the marts", total=None)

        def tell(what: str, done: int, total: int) -> None:
            progress.update(bar, description=what, completed=done, total=total)

        found = run_evaluation(settings(), tasks=tasks or (), balance=balance, tell=tell)
    if as_json:
        _print_json({"ok": True, **found})
    else:
        print_evaluation(found, _screen())


@app.command()
@_told
def rollback(
    question: Annotated[str, typer.Argument(help="Of which question, like buys_90d, cod_refused or emi.")],
    as_json: AsJson = False,
) -> None:
    """Make the champion before the present one stand again, or the scorecard of cod or emi, from the next
    run on."""
    from ml.champions import roll_back
    from pipeline.report import print_rollback

    found = roll_back(settings().models, question)
    if as_json:
        _print_json({"ok": True, **found})
    else:
        print_rollback(found, _screen())


@app.command()
@_told
def profile(
    customer_id: Annotated[str, typer.Argument(help="The shop's own customer id, like 17850.")],
    as_json: AsJson = False,
) -> None:
    """What is known of one customer as of the last good day."""
    from pipeline.report import print_profile, read_profile

    found = read_profile(settings(), customer_id)
    if as_json:
        _print_json({"ok": True, **found})
    else:
        print_profile(found, _screen())


@app.command()
@_told
def decide(
    customer_id: Annotated[str, typer.Argument(help="The shop's own customer id, like 17850.")],
    basket: Annotated[str, typer.Option("--basket", help="Money of the order, like 120.00.")],
    method: Annotated[
        Literal["cod", "emi"], typer.Option("--method", help="On delivery (cod) or by instalments (emi).")
    ],
    months: Annotated[
        int | None, typer.Option("--months", help="A plan of the policy; default: its shortest.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """May this customer pay this basket so? The answer of the API, with its receipt."""
    from app.api.answers import Answers, Asked, basket_of
    from app.cli.decision_tables import print_decision
    from goodstanding.decisions.decide import Question

    if months is not None and method != "emi":
        raise WrongUse("--months is for --method emi")
    asked = Asked(customer_id, Question(method, basket_of(basket), months))
    found = Answers(settings()).decide([asked])[0]
    if as_json:
        _print_json({"ok": True, **found})
    else:
        print_decision(found, _screen())


@app.command()
@_told
def serve(
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="The port to listen on.")] = 8000,
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="Processes that answer.")] = 1,
) -> None:
    """Answer over HTTP until Ctrl-C; keys are made by `goodstanding key new`."""
    from app.api.server import serve as start

    console.print(f"http://{host}:{port} (its OpenAPI: /openapi.json); Ctrl-C ends it", highlight=False)
    start(settings(), host, port, workers)


@key_app.command("new")
@_told
def key_new(
    scopes: Annotated[
        list[str], typer.Option("--scope", help="decisions, profiles or policy; again for more.")
    ],
    per_second: Annotated[
        int, typer.Option("--per-second", min=1, help="Requests that it may make in a second.")
    ] = 500,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it; it is not kept and cannot be shown again."""
    from app.api.keys import Keys

    made, text = Keys(settings().api).new(scopes, per_second)
    _tell_key(made.key_id, text, as_json)


@key_app.command("rotate")
@_told
def key_rotate(
    key_id: Annotated[str, typer.Argument(help="The id of the key, as `key list` shows it.")],
    hours: Annotated[float, typer.Option("--hours", min=0, help="How long the old one still goes.")] = 24,
    as_json: AsJson = False,
) -> None:
    """Make a key with the same scopes and print it; the old one ends some hours later."""
    from app.api.keys import Keys

    made, text = Keys(settings().api).rotate(key_id, hours)
    _tell_key(made.key_id, text, as_json)


@key_app.command("revoke")
@_told
def key_revoke(
    key_id: Annotated[str, typer.Argument(help="The id of the key.")], as_json: AsJson = False
) -> None:
    """End a key at once."""
    from app.api.keys import Keys

    ended = Keys(settings().api).revoke(key_id)
    if as_json:
        _print_json({"ok": True, "key_id": ended.key_id, "ends_at": ended.ends_at})
    else:
        console.print(f"key {ended.key_id} has ended", highlight=False)


@key_app.command("list")
@_told
def key_list(as_json: AsJson = False) -> None:
    """Every key with its scopes and whether it is valid; never the key itself."""
    from app.api.keys import Keys
    from app.cli.decision_tables import print_keys
    from goodstanding.core.vocabulary import now_utc

    keys = [
        {
            "key_id": each.key_id,
            "scopes": each.scopes,
            "per_second": each.per_second,
            "made_at": each.made_at,
            "ends_at": each.ends_at,
            "is_valid": each.is_valid(now_utc()),
        }
        for each in Keys(settings().api).all()
    ]
    if as_json:
        _print_json({"ok": True, "keys": keys})
    else:
        print_keys(keys, _screen())


def _tell_key(key_id: str, text: str, as_json: bool) -> None:
    if as_json:
        _print_json({"ok": True, "key_id": key_id, "key": text})
    else:
        console.print(f"key {key_id}, shown this once:", highlight=False)
        sys.stdout.write(text + "\n")


@receipt_app.command("verify")
@_told
def receipt_verify(
    receipt_id: Annotated[str, typer.Argument(help="The receipt_id of an answer.")], as_json: AsJson = False
) -> None:
    """Compute an answer again from its receipt alone, and say whether it is equal. Exit 1 if not."""
    from app.api.receipts import Receipts

    found = Receipts(settings().receipts, settings().receipt_months).verify(receipt_id)
    if as_json:
        _print_json({"ok": found["equal"], **found})
    else:
        text = "equal" if found["equal"] else f"not equal in {', '.join(found['differences'])}"
        code = "the same code" if found["same_code"] else f"other code (then {found['code_version']})"
        console.print(f"receipt {receipt_id}: {text}, by {code}", highlight=False)
    if not found["equal"]:
        raise typer.Exit(1)


@receipt_app.command("prune")
@_told
def receipt_prune(as_json: AsJson = False) -> None:
    """Drop the receipts that need not be kept any more, as `goodstanding serve` does once a day."""
    from app.api.answers import Answers

    answers = Answers(settings())
    found = answers.receipts.prune(answers.today())
    if as_json:
        _print_json({"ok": True, "dropped": found})
    else:
        console.print(
            f"{found['receipts']:,} receipts dropped, and {found['basis']:,} of what they rested on"
        )


@policy_app.command("diff")
@_told
def policy_diff(
    old: Annotated[str, typer.Argument(help="A policy file (.csv), or a published version.")],
    new: Annotated[str, typer.Argument(help="The one that may follow it.")],
    baskets: Annotated[
        list[str] | None, typer.Option("--basket", help="Asked of every customer; again for more.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Who would gain or lose what on the last published day, and the expected cost and profit."""
    from app.api.answers import basket_of
    from app.api.policies import BASKETS, diff
    from app.cli.decision_tables import print_policy_diff

    found = diff(settings(), old, new, [basket_of(each) for each in baskets or BASKETS])
    if as_json:
        _print_json({"ok": True, **found})
    else:
        print_policy_diff(found, _screen())


@policy_app.command("groups")
@_told
def policy_groups(
    policy: Annotated[
        str | None, typer.Option("--policy", help="A policy file, or a published version; default: the live.")
    ] = None,
    baskets: Annotated[
        list[str] | None, typer.Option("--basket", help="Asked of every customer; again for more.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """How often each group is answered yes; groups are the mapping's, and are read now and kept nowhere."""
    from app.api.answers import basket_of
    from app.api.groups import approval_rates
    from app.api.policies import BASKETS
    from app.cli.decision_tables import print_groups

    found = approval_rates(settings(), [basket_of(each) for each in baskets or BASKETS], policy)
    if as_json:
        _print_json({"ok": True, **found})
    else:
        print_groups(found, _screen())


@policy_app.command("shadow")
@_told
def policy_shadow(
    days: Annotated[int, typer.Option("--days", min=1, help="How long an outcome is waited for.")] = 30,
    as_json: AsJson = False,
) -> None:
    """The live and the shadow policy on past answers, by what came of them."""
    from app.api.policies import compare_shadow
    from app.cli.decision_tables import print_shadow

    found = compare_shadow(settings(), days)
    if as_json:
        _print_json({"ok": True, **found})
    else:
        print_shadow(found, _screen())


@app.command()
@_told
def status(as_json: AsJson = False) -> None:
    """The last good day, its age, what its gates said, and what keeps a newer one back."""
    from pipeline.report import print_status, read_status

    found = read_status(settings())
    if as_json:
        _print_json({"ok": True, **found})
    else:
        print_status(found, _screen())


@app.command()
@_told
def as_known(
    day: Annotated[str, typer.Option("--day", help="The last event day, like 2011-12-09.")],
    on: Annotated[str, typer.Option("--on", help="What was known at the end of this day of the shop.")],
    as_json: AsJson = False,
) -> None:
    """What did we know then? The marts as of a day from the files known then, in a file of their own."""
    from pipeline.as_known import build_as_known
    from pipeline.report import print_as_known

    with _progress() as progress:
        progress.add_task(f"{day} as known on {on}: computing all of it", total=None)
        found = build_as_known(settings(), parse_day(day), parse_day(on))
    if as_json:
        _print_json({"ok": True, **found})
    else:
        print_as_known(found, _screen())


@app.command()
@_told
def simulate(
    landing: Annotated[Path, typer.Argument(help="A folder to fill; it must be empty or missing.")],
    customers: Annotated[int, typer.Option("--customers", min=1, help="How many people may order.")] = 1500,
    days: Annotated[int, typer.Option("--days", min=1, help="How many days, from 2010-12-01 on.")] = 374,
    seed: Annotated[int, typer.Option("--seed", help="Of all that is random.")] = 352,
    as_json: AsJson = False,
) -> None:
    """Make up a shop with payments, returns and deliveries, and beside its files the true risks."""
    from goodstanding.ingest.samples.simulate_accounts import TRUE_RISKS, simulate_accounts

    lines = simulate_accounts(landing, customers=customers, days=days, seed=seed)
    found = {"landing": landing.resolve(), "order_lines": lines, "true_risks": landing.resolve() / TRUE_RISKS}
    if as_json:
        _print_json({"ok": True, "simulated": True, **found})
    else:
        text = "\n".join(f"{name.replace('_', ' ')}: {value}" for name, value in found.items())
        _screen().print(f"SIMULATED: nobody stands behind these files\n{text}", markup=False, highlight=False)


@app.command()
@_told
def docs() -> None:
    """Build the dbt documentation of the models into one file, and the site with the checks."""
    from app.cli.runs import build_sites

    for name, path in build_sites(settings()).items():
        console.print(f"{name}: {path}", highlight=False)


@app.command()
@_told
def up() -> None:
    """Start Airflow with its scheduler and UI on this machine; Ctrl-C or `goodstanding down` ends it."""
    from app.runtime.supervisor import up as start

    start(settings())


@app.command()
@_told
def down() -> None:
    """End the Airflow that `goodstanding up` started, every process of it."""
    from app.runtime.supervisor import down as stop

    if not stop(settings()):
        console.print("nothing is running", highlight=False)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False
)
@_told
def airflow(context: typer.Context) -> None:
    """Pass a command on to the Airflow that `goodstanding up` started, like `backfill create ...`."""
    from app.runtime.supervisor import environment_of_running

    environment = environment_of_running(settings())
    os.execve(sys.executable, [sys.executable, "-m", "airflow", *context.args], environment)


if __name__ == "__main__":
    app()
