"""Gate 2, after the transform: is every raw order line of the days in the marts, and does the money add up?

dbt's tests hold the marts to their contracts as a whole; this gate compares the days of the run with raw,
exactly (decimals, never floats), and with recent days. Of other days it compares the invoices that the run's
transform computed anew.
"""

import great_expectations.expectations as gxe

from expectations.suite import TOO_YOUNG, Batch, between, holds, one_of, present, query, unique
from expectations.usual import judge_invoices, judge_unmatched

TAKEN_IN_SINCE = "another run has ingested the day since"
OUTCOMES = (
    "no_customer",
    "duplicate",
    "adjustment",
    "cancellation",
    "unmatched_cancellation",
    "cancelled",
    "partly_cancelled",
    "kept",
)


INVOICES = """
select
    event_day,
    invoice_no,
    kind,
    customer_id,
    left(customer_id, 8) as customer,
    lines,
    (net_amount = gross_amount - cancelled_amount - returned_amount) is true as net_is_right,
    (is_kept = (kind = 'sale' and net_amount > 0)) is true as is_kept_is_right
from marts.invoices
where event_day between $first and $last
"""

# the day's invoices, those of other days that the transform computed anew, and those of failed days
OF_DAYS = "event_day between $first and $last"
CHANGED = """
    event_day not between $first and $last
    and event_day in (select event_day from intermediate.int_changed_invoices)
    and customer_id in (select customer_id from intermediate.int_changed_invoices)
    and exists (
        from intermediate.int_changed_invoices as changed
        where
            changed.customer_id = compared_table.customer_id
            and changed.invoice_no = compared_table.invoice_no
            and changed.event_day = compared_table.event_day
    )
"""
OF_FAILED_DAYS = "event_day in (select unnest(cast($days as date[])))"


def _beside_raw(query_name: str, asked: str) -> str:
    """A query about the invoices of which a condition holds, beside what their lines in raw make of them."""
    tables = {
        "raw_lines": "intake.raw.order_lines",
        "mart_lines": "marts.order_lines",
        "mart_invoices": "marts.invoices",
    }
    given = [
        f"{name} as (select * from {table} as compared_table where {asked})" for name, table in tables.items()
    ]
    given.append(f"compared as ({query('invoices_compared')})")
    return f"with {', '.join(given)} select * from ({query(query_name)}) order by all"


def _invoices_beside_raw(name: str, asked: str, chunked_by: str | None) -> Batch:
    """The days of invoices, each compared with what its lines in raw make of it."""
    columns = {
        "invoices_are_conserved": "as many invoices as raw has customers and numbers of a day, and the same",
        "invoice_lines_are_conserved": "each invoice has as many lines as raw has of it",
        "invoice_amounts_are_conserved": "each invoice has the sum of its lines in raw, and of what was "
        "cancelled of them",
    }
    return Batch(
        name=name,
        sql=_beside_raw("invoices_beside_raw", asked),
        key=("event_day",),
        chunked_by=chunked_by,
        optional=True,
        expectations=[holds(column, meaning) for column, meaning in columns.items()],
        not_judged=dict.fromkeys(columns, TAKEN_IN_SINCE),
        causes=dict.fromkeys(columns, _beside_raw("invoices_beside_raw_causes", OF_FAILED_DAYS)),
    )


# the days of the run, and the recent ones with which they are compared
ASKED_DAYS = f"asked_days as ({query('invoices_recent_days')})"
ACCOUNTS = f"accounts as ({query('invoices_accounts')})"
BELOW_ZERO = f"below_zero as ({query('invoices_below_zero')})"
UNMATCHED = f"""
    with {ASKED_DAYS}, {ACCOUNTS}, {BELOW_ZERO}
    select * from ({query("invoices_unmatched")}) order by event_day, kind
"""
CAUSES = f"""
    select * from ({query("invoices_unmatched_causes")})
    union all
    select * from (with {ACCOUNTS} select * from ({query("invoices_accounts_causes")}))
    union all
    select * from (with {ASKED_DAYS}, {BELOW_ZERO} select * from ({query("invoices_below_zero_causes")}))
"""
CAUSES_OF_FAILED_DAYS = f"""
    select format('{{}} ({{}}, first {{}})', topic, sum(lines), min_by(place, event_day))
    from ({CAUSES})
    where {OF_FAILED_DAYS}
    group by topic
    order by sum(lines) desc, topic
"""

BATCHES = (
    Batch(
        name="order lines",
        sql=query("invoices_lines"),
        key=("file_name", "line_number"),
        chunked_by="marts.order_lines",
        expectations=[
            unique(["file_name", "line_number"], "no order line appears twice"),
            holds("is_as_in_raw", "a line says what its line in raw says"),
            present("outcome", "every line has an outcome"),
            one_of("outcome", OUTCOMES),
            one_of("cancellation_rule", ["mirror", "reach_back"]),
            holds("customer_is_right", "outcome is no_customer where there is none, and only there"),
            holds("amount_is_right", "amount = line_total, else quantity x unit_price"),
            between("cancelled_quantity", 0, None),
            gxe.ExpectColumnPairValuesAToBeGreaterThanB(
                column_A="quantity_size",
                column_B="cancelled_quantity",
                or_equal=True,
                description="no more is cancelled than was bought",
            ),
            holds("outcome_is_right", "the outcome says how much of the line was cancelled"),
            holds("kept_amount_is_right", "kept_amount is what is left of a purchase, else 0"),
        ],
        not_judged={"is_as_in_raw": TAKEN_IN_SINCE},
    ),
    Batch(
        name="invoices",
        sql=INVOICES,
        key=("invoice_no", "event_day", "kind", "customer"),
        chunked_by="marts.invoices",
        expectations=[
            unique(
                ["customer_id", "invoice_no", "event_day", "kind"],
                "one row per customer, invoice number, day and kind",
            ),
            present("customer_id", "every invoice has its customer"),
            one_of("kind", ["sale", "cancellation"]),
            between("lines", 1, None),
            holds("net_is_right", "net_amount = gross_amount - cancelled_amount - returned_amount"),
            holds("is_kept_is_right", "kept are the sales with a net_amount above 0, and only those"),
        ],
    ),
    Batch(
        name="days",
        sql=query("invoices_days"),
        key=("event_day",),
        expectations=[
            holds("lines_are_conserved", "as many order lines as raw has"),
            holds("amount_is_conserved", "the same sum of money as raw has"),
            # the real year: 0.196 (2010-12-22) to 1.76 (2011-09-22)
            holds(
                "invoices_of_usual",
                "sales invoices are 1/8 to 8 times (limits.times_usual) the median of recent days, with "
                "leave for small shops",
            ),
        ],
        judge=judge_invoices,
        not_judged={
            "lines_are_conserved": TAKEN_IN_SINCE,
            "amount_is_conserved": TAKEN_IN_SINCE,
            "invoices_of_usual": TOO_YOUNG,
        },
    ),
    _invoices_beside_raw("invoices of days beside raw", OF_DAYS, "intake.raw.order_lines"),
    _invoices_beside_raw("invoices beside raw that the run changed on other days", CHANGED, None),
    Batch(
        name="references to purchases",
        sql=UNMATCHED,
        key=("event_day", "kind"),
        optional=True,
        judge=judge_unmatched,
        expectations=[
            # the real year, of cancellations: 0 to 0.5 where a day has ten or more, 0.15 of all
            holds(
                "unmatched_share",
                "at most half (limits.unmatched_share) of the cancellations, or of what names an order, "
                "finds no purchase, and of the invoices below zero counts as a sale, or few enough for "
                "chance",
            ),
        ],
        not_judged={"unmatched_share": "fewer than 7 days before it had any"},
        causes={"unmatched_share": CAUSES_OF_FAILED_DAYS},
        tells=f"select event_day, topic, lines, place, null as text from ({CAUSES})",
    ),
)
