-- Before the swap: end the versions of days and files whose content is another now, keep the lines of the ended files,
-- and begin the new versions. What is unchanged is not touched: it costs nothing, and stays known since it first was.

create or replace temp table ended_days as
select versions.event_day
from raw.day_versions as versions
inner join staged_days on versions.source = staged_days.source and versions.event_day = staged_days.event_day
where versions.known_until is null and versions.version <> staged_days.version;

create or replace temp table ended_files as
with

old_contents as (
    {% for kind in kinds %}
    select
        event_day,
        file_name,
        count(*) || '-' || bit_xor(hash({{ kind.content }})) as content
    from raw.{{ kind.table }}
    where event_day in (select event_day from ended_days)
    group by event_day, file_name
    {{ "union all" if not loop.last }}
    {% endfor %}
),

new_contents as (
    {% for kind in kinds %}
    select
        event_day,
        file_name,
        count(*) || '-' || bit_xor(hash({{ kind.content }})) as content
    from staged_{{ kind.table }}
    where reason is null and event_day in (select event_day from ended_days)
    group by event_day, file_name
    {{ "union all" if not loop.last }}
    {% endfor %}
),

final as (
    select
        versions.event_day,
        versions.file_name,
        versions.known_from
    from raw.file_versions as versions
    inner join ended_days on versions.event_day = ended_days.event_day
    left join staged_files
        on
            versions.source = staged_files.source
            and versions.event_day = staged_files.event_day
            and versions.file_name = staged_files.file_name
    left join old_contents
        on versions.event_day = old_contents.event_day and versions.file_name = old_contents.file_name
    left join new_contents
        on versions.event_day = new_contents.event_day and versions.file_name = new_contents.file_name
    where
        versions.known_until is null
        and (
            versions.file_hash is distinct from staged_files.file_hash
            or old_contents.content is distinct from new_contents.content
        )
)

select * from final;

{% for kind in kinds %}
{% for table, columns in [(kind.table, kind.columns), ("rejected_" ~ kind.table, rejected)] %}
insert into raw.superseded_{{ table }} by name
with

lines as (
    select {{ columns }}
    from raw.{{ table }}
    where source = {{ source }}
),

final as (
    select
        lines.*,
        ended_files.known_from,
        {{ known_at }} as known_until
    from lines
    inner join ended_files on lines.event_day = ended_files.event_day and lines.file_name = ended_files.file_name
)

select * from final
order by event_day, file_name, line_number;

{% endfor %}
{% endfor %}
update raw.day_versions
set known_until = {{ known_at }}, ended_by_run_id = {{ run_id }}
where
    source = {{ source }}
    and known_until is null
    and event_day in (select event_day from ended_days);

update raw.file_versions
set known_until = {{ known_at }}, ended_by_run_id = {{ run_id }}
where
    source = {{ source }}
    and known_until is null
    and (event_day, file_name) in (select (event_day, file_name) from ended_files);

insert into raw.day_versions by name
select
    source,
    event_day,
    version,
    lines,
    {{ known_at }} as known_from,
    {{ run_id }} as run_id
from staged_days
where
    event_day not in (
        select event_day from raw.day_versions
        where known_until is null and source = {{ source }} and event_day between {{ first }} and {{ last }}
    )
order by event_day;

insert into raw.file_versions by name
select
    source,
    event_day,
    file_name,
    file_hash,
    lines,
    {{ known_at }} as known_from,
    {{ run_id }} as run_id
from staged_files
where
    (event_day, file_name) not in (
        select (event_day, file_name) from raw.file_versions
        where known_until is null and source = {{ source }} and event_day between {{ first }} and {{ last }}
    )
order by event_day, file_name;

-- A line that waited in a file for its day is counted on that day once it is loaded, which is no other content.
update raw.file_versions
set lines = staged_files.lines
from staged_files
where
    file_versions.known_until is null
    and file_versions.source = staged_files.source
    and file_versions.event_day = staged_files.event_day
    and file_versions.file_name = staged_files.file_name
    and file_versions.lines <> staged_files.lines;

update raw.day_versions
set lines = staged_days.lines
from staged_days
where
    day_versions.known_until is null
    and day_versions.source = staged_days.source
    and day_versions.event_day = staged_days.event_day
    and day_versions.lines <> staged_days.lines;
