-- Before the swap: note in raw.changes which days have another content now and, of those that the marts may hold, whose
-- lines differ. The lines of a day that is new the transform looks up by itself (ledger.note_whole_days).

insert into raw.changes by name
with

known_days as (
    select
        event_day,
        version
    from raw.days
    where source = {{ source }} and event_day between {{ first }} and {{ last }}
),

differing_days as (
    select
        staged_days.event_day,
        known_days.event_day is not null as is_known
    from staged_days
    left join known_days on staged_days.event_day = known_days.event_day
    where known_days.version is distinct from staged_days.version
),

differing_known_days as (
    select event_day from differing_days
    where is_known
),

{% for kind in kinds %}
before_{{ kind.table }} as (
    select {{ kind.content }}
    from raw.{{ kind.table }}
    where source = {{ source }} and event_day in (select event_day from differing_known_days)
),

after_{{ kind.table }} as (
    select {{ kind.content }}
    from staged_{{ kind.table }}
    where reason is null and event_day in (select event_day from differing_known_days)
),

differing_{{ kind.table }} as (
    (
        select * from before_{{ kind.table }}
        except all
        select * from after_{{ kind.table }}
    )
    union all
    (
        select * from after_{{ kind.table }}
        except all
        select * from before_{{ kind.table }}
    )
),

{% endfor %}
final as (
    {% for kind in kinds %}
    select distinct {{ kind.change }}
    from differing_{{ kind.table }}
    where customer_id is not null
    union all by name
    {% endfor %}
    select
        event_day,
        'day' as kind
    from differing_days
)

select * from final;
