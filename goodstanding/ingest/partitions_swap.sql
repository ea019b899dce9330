-- The swap: the partitions of the days hold what is staged. Rows go in in the order of their files, so that those of a
-- day lie together and ties come out the same in every rebuild.

{% for kind in kinds %}
delete from raw.{{ kind.table }}
where source = {{ source }} and event_day between {{ first }} and {{ last }};

delete from raw.rejected_{{ kind.table }}
where source = {{ source }} and event_day between {{ first }} and {{ last }};

insert into raw.{{ kind.table }} ({{ kind.columns }})
select {{ kind.columns }}
from staged_{{ kind.table }}
where reason is null and event_day between {{ first }} and {{ last }}
order by event_day, file_name, line_number;

insert into raw.rejected_{{ kind.table }} ({{ rejected }})
select {{ rejected }}
from staged_{{ kind.table }}
where reason is not null and event_day between {{ first }} and {{ last }}
order by event_day, file_name, line_number;

{% endfor %}
delete from raw.files
where source = {{ source }} and event_day between {{ first }} and {{ last }};

insert into raw.files by name
select * from staged_files
order by event_day, file_name;

insert into raw.days by name
select * from staged_days
order by event_day
on conflict do update set
    version = excluded.version,
    files = excluded.files,
    lines = excluded.lines,
    accepted = excluded.accepted,
    rejected = excluded.rejected,
    simulated = excluded.simulated,
    loaded_at = excluded.loaded_at,
    run_id = excluded.run_id,
    admitted = raw.days.admitted and raw.days.version = excluded.version;
