"""The law of the prefix: what is true as of a day depends on the days up to it alone."""

from __future__ import annotations

import shutil

from tests.laws.conftest import days_from, fill

AS_OF_TABLES = ("rfm_borders", "rfm_scores", "class_borders", "customer_classes", "customer_features")


def test_a_landing_cut_off_at_a_day_gives_the_same_rows_as_of_that_day(warehouse):
    days = days_from(6)
    whole = warehouse("whole")
    fill(whole.landing, 1, days)
    whole.run(days[0], days[-1])
    # 31 January: a month end, so that features exist as of it in both
    cut_at = days[2]
    cut = warehouse("cut")
    shutil.copytree(whole.landing, cut.landing)
    for day in days:
        if day > cut_at:
            (cut.landing / f"{day}.csv").unlink()
    cut.run(days[0], cut_at)
    for table in AS_OF_TABLES:
        sql = f"select * from marts.{table} where as_of <= '{cut_at}' order by all"
        seen = whole.rows(sql)
        if table == "customer_features":
            seen = [row for row in seen if row[1] == cut_at]
        assert seen == cut.rows(sql), table
        assert seen, f"{table} has nothing to compare"
