"""Exports: files of the landing that are of no single day, such as a month, one growing file or a full dump.

`cut` reads all exports of a source, decides which of their lines stand, and cuts those into event days. What
it gives of a day is a file like that of a shop with a file a day, so all that follows knows days alone.

In order, each a step on the table of lines as text (`text_lines`):

1. `inputs` reads every column that the mapping needs, of files that have more or fewer columns;
2. `order_cells.sql` carries the cells of an order down to all its lines, and takes the first of several
   columns that says something;
3. `order_moneys.sql`, `order_sums.sql`, `order_shares.sql` and `order_money.sql` count what an order has
   beside its lines (a discount, shipping, taxes), and compare it with its own total;
4. `placed_lines.sql` finds the instant and the event day of every line;
5. `winners` says which export counts at which time: of those that cover it, the one whose name comes last,
   and `judged_lines.sql` which lines count so;
6. `first_seen.sql` gives a day to returns of which the file tells none;
7. `standing_lines.sql` keeps the lines that stand, numbers them by day, and tells which orders were restated,
   withdrawn, or are left out (`no_orders`, `other_currencies` of a mapping).

So what a day holds depends on the exports in the landing and on the mapping alone, and never on which of them
was loaded first. The time at which a file was written is not looked at: a copy has another.
"""
