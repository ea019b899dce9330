"""Exports: files of the landing that are of no single day, such as a month, one growing file or a full dump.

`cut` reads all exports of a source, decides which of their lines stand, and cuts those into event days. What
it gives of a day is a file like that of a shop with a file a day, so all that follows knows days alone.

In order:

1. `placed_lines.sql` finds the instant and the event day of every line;
2. `winners` says which export counts at which time: of those that cover it, the one whose name comes last;
3. `standing_lines.sql` keeps the lines that count, numbers them by day, and tells which orders were restated
   or withdrawn.

So what a day holds depends on the exports in the landing and on the mapping alone, and never on which of them
was loaded first. The time at which a file was written is not looked at: a copy has another.
"""
