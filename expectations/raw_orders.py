"""Gate 1, after ingest: are the raw lines of a day complete and readable, and orders as many as usual?

`goodstanding.shops.kinds` says what is expected of a line of each kind of source; this module, of a day. No
day of a real year of a gift shop (305 trading days, 541,909 lines) fails a limit; beside each limit stands
what that year had.
"""

from expectations.suite import ENOUGH, Batch, between, holds, one_of, present, unique
from goodstanding.shops.kinds import KINDS, OPTIONAL_KINDS, ORDERS, Check, Kind

# every line that is stored, accepted or not, for the accounts of files
STORED_LINES = " union all ".join(
    f"""
    select event_day, file_name, {is_accepted} as is_accepted from intake.raw.{table}
    where event_day between $first and $last
    """
    for kind in KINDS
    for table, is_accepted in ((kind.table, "true"), (f"rejected_{kind.table}", "false"))
)

# One row per day that has lines or files. A day is held against the up to 28 trading days before it.
DAYS = f"""
with
recent_days as (
    select event_day
    from intake.raw.days
    where event_day < $first and accepted > 0
    order by event_day desc
    limit 28
),
day_lines as (
    select
        event_day,
        count(*) as lines,
        count(customer_id) as lines_with_customer,
        coalesce(sum(quantity * unit_price) filter (where invoice_kind = 'sale' and quantity > 0), 0) as sales
    from intake.raw.order_lines
    where event_day between coalesce((select min(event_day) from recent_days), $first) and $last
    group by event_day
),
against_usual as (
    select
        *,
        median(lines) over before as usual_lines,
        median(sales) over before as usual_sales,
        count(*) over before >= 7 and median(lines) over before >= {ENOUGH} as is_comparable
    from day_lines
    window before as (order by event_day rows between 28 preceding and 1 preceding)
),
stored as (
    select
        event_day,
        file_name,
        count(*) filter (where is_accepted) as accepted,
        count(*) filter (where not is_accepted) as rejected
    from (
        {STORED_LINES}
    )
    group by event_day, file_name
),
accounts as (
    select
        event_day,
        coalesce(sum(files.lines), 0) as lines,
        coalesce(sum(files.accepted), 0) as accepted,
        coalesce(sum(files.rejected), 0) as rejected,
        coalesce(bool_and(files.lines = files.accepted + files.rejected), false) as lines_add_up,
        bool_and(coalesce(files.accepted, 0) = coalesce(stored.accepted, 0)) as accepted_are_stored,
        bool_and(coalesce(files.rejected, 0) = coalesce(stored.rejected, 0)) as rejected_are_stored
    from (from intake.raw.files where event_day between $first and $last) as files
    full join stored using (event_day, file_name)
    group by event_day
)
select
    event_day,
    accounts.lines_add_up,
    accounts.accepted_are_stored,
    accounts.rejected_are_stored,
    accounts.lines = 0 or accounts.accepted > 0 as some_line_is_readable,
    if(accounts.lines >= {ENOUGH}, accounts.rejected / accounts.lines, null) as rejected_share,
    if(against_usual.lines >= {ENOUGH}, 1 - lines_with_customer / against_usual.lines, null)
        as share_without_customer,
    if(is_comparable, against_usual.lines / usual_lines, null) as lines_of_usual,
    if(is_comparable and usual_sales > 0, cast(sales as double) / cast(usual_sales as double), null)
        as sales_of_usual
from accounts
left join against_usual using (event_day)
order by event_day
"""


def _checks(kind: Kind) -> tuple[Check, ...]:
    """What is expected of a line of a kind: where it has a time, also that it is of the day of its file."""
    if kind.happened not in kind.stored:
        return kind.checks
    sql = f"event_day = cast({kind.happened} as date)"
    return (*kind.checks, Check("event_day_is_right", sql, f"the event day is the date of {kind.happened}"))


def _lines_of(kind: Kind, name: str) -> Batch:
    """The accepted lines of a kind, with the checks that its entry in `goodstanding.shops.kinds` names."""
    checks = _checks(kind)
    columns = ["file_name", "line_number", kind.sort, *(f"{check.sql} as {check.name}" for check in checks)]
    table = f"intake.raw.{kind.table}"
    return Batch(
        name=name,
        sql=f"select {', '.join(columns)} from {table} where event_day between $first and $last",
        key=("file_name", "line_number"),
        chunked_by=table,
        optional=kind is not ORDERS,
        expectations=[
            *([present("file_name"), present("line_number")] if kind is ORDERS else []),
            unique(["file_name", "line_number"], "no line of a file is stored twice"),
            one_of(kind.sort, [kind.usual, *kind.others]),
            *(
                between(check.name, *check.limits, check.meaning)
                if check.limits
                else holds(check.name, check.meaning or check.sql)
                for check in checks
            ),
        ],
    )


BATCHES = (
    _lines_of(ORDERS, "raw order lines"),
    Batch(
        name="days",
        sql=DAYS,
        key=("event_day",),
        expectations=[
            holds("lines_add_up", "lines of a file = accepted + rejected"),
            holds("accepted_are_stored", "every accepted line is stored"),
            holds("rejected_are_stored", "every rejected line is stored with its reason"),
            holds("some_line_is_readable", "a day with lines has at least one that can be read"),
            between("rejected_share", None, 0.05, f"of {ENOUGH} lines and more at most 5 % are rejected"),
            # the real year: 0 to 0.874 (2011-08-30), median 0.20; an export that lost the column has 1
            between("share_without_customer", None, 0.95, "at most 95 % of the lines lack their customer"),
            # the real year: 0.130 (2010-12-22) to 2.54 (2011-08-30)
            between("lines_of_usual", 1 / 8, 8, "lines are 1/8 to 8 times the median of recent days"),
            # the real year: 0.134 (2010-12-22) to 3.69 (2011-09-20)
            between("sales_of_usual", 1 / 8, 8, "sales are 1/8 to 8 times the median of recent days"),
        ],
    ),
    *(_lines_of(kind, kind.name) for kind in OPTIONAL_KINDS),
)
