"""Writes the public data on default of credit card clients as a landing of day files.

Called as `python -m goodstanding.ingest.samples.credit_default FILE LANDING`, where FILE is the table as
Parquet.

Yeh, I.-C. and Lien, C. (2009), "The comparisons of data mining techniques for the predictive accuracy of
probability of default of credit card clients", Expert Systems with Applications 36(2), 2473-2480; UCI
Machine Learning Repository, id 350, https://doi.org/10.24432/C55S3H, licensed CC BY 4.0. Changed here: one
row per person becomes six monthly statements, April to September 2005, one file each, of which
`shops/credit_default.yml` makes payments. A month of delay becomes 30 days, because the data do not have
days.

Education and marriage are left out. Sex and an age band are written beside the statements into `groups.csv`,
for checking how often each group is approved (`goodstanding.ingest.groups`). Whether the person defaulted in
October is not a payment yet: it is written into `outcomes.csv`, which no mapping names. Ingest reads neither.
"""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import duckdb
from dateutil.relativedelta import relativedelta

from goodstanding.core.errors import DataProblem, GoodstandingError, WrongUse
from goodstanding.core.sql import literal
from goodstanding.ingest.landings.folder import new_landing

DAYS_A_MONTH = 30
# by month, the oldest first: the columns of the repayment status, the bill, and what was paid in the month
MONTHS = {
    date(2005, month, 1) + relativedelta(day=31): (f"PAY_{status}", f"BILL_AMT{back}", f"PAY_AMT{back}")
    for month, status, back in ((4, 6, 6), (5, 5, 5), (6, 4, 4), (7, 3, 3), (8, 2, 2), (9, 0, 1))
}
OUTCOME = "default_payment_next_month"
# 62 is where the law protects applicants as elderly (12 CFR 1002.2(o))
GROUPS = """
case SEX when 1 then 'male' when 2 then 'female' end as SEX,
case
    when AGE <= 25 then 'up to 25' when AGE <= 40 then '26 to 40' when AGE < 62 then '41 to 61'
    else '62 and over'
end as AGE_BAND
"""


def write_statements(source: Path, landing: Path) -> int:
    """Fill an empty or missing `landing` with the six statements of everybody in `source`, a Parquet file.

    Returns:
        Statements written: six for each person.

    Raises:
        DataProblem: `source` cannot be read as these data, or the landing already holds files.
    """
    people = f"read_parquet({literal(source)})"
    with new_landing(landing) as (filling, _), duckdb.connect(config={"threads": 1}) as connection:
        try:
            for number, (day, (status, bill, paid)) in enumerate(MONTHS.items(), start=1):
                connection.execute(
                    f"""
                    copy (
                        select
                            ID, {number} as STATEMENT, LIMIT_BAL, {bill} as BILL_AMT, {paid} as PAY_AMT,
                            date '{day}' as DUE, {DAYS_A_MONTH} * greatest({status}, 0) as DAYS_LATE
                        from {people} order by ID
                    ) to {literal(str(filling / f"{day}.csv"))} (format csv, header)
                    """
                )
            for name, columns in (("groups", GROUPS), ("outcomes", OUTCOME)):
                copied = connection.execute(
                    f"copy (select ID, {columns} from {people} order by ID)"
                    f" to {literal(str(filling / f'{name}.csv'))} (format csv, header)"
                ).fetchone()
        except duckdb.Error as error:
            raise DataProblem(
                f"{source} does not hold the data on default of credit card clients: "
                f"{str(error).splitlines()[0]}"
            ) from None
        assert copied is not None
    return len(MONTHS) * int(copied[0])


def main(arguments: list[str]) -> int:
    """Run `python -m goodstanding.ingest.samples.credit_default`; returns the exit code."""
    try:
        if len(arguments) != 2:
            raise WrongUse("usage: python -m goodstanding.ingest.samples.credit_default FILE LANDING")
        source, landing = (Path(argument) for argument in arguments)
        print(f"{write_statements(source, landing):,} statements of account in {landing}")
    except GoodstandingError as error:
        print(f"goodstanding: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
