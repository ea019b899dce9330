-- One row per day: are its invoices those of its lines in raw? `compared` is put before it by `expectations.invoices`.
-- Where another run has ingested a day again since this one's transform, that run compares it.
with

contents as (
    select
        event_day,
        coalesce(version = transformed_version, false) as is_same_content
    from intake.raw.days
),

compared_days as (
    select
        event_day,
        count(*) filter (where is_lost or is_too_much) = 0 as has_all_invoices,
        count(*) filter (where has_other_lines) = 0 as has_all_lines,
        count(*) filter (where has_other_amounts) = 0 as has_all_amounts
    from compared
    group by event_day
),

final as (
    select
        compared_days.event_day,
        case when contents.is_same_content then compared_days.has_all_invoices end as invoices_are_conserved,
        case when contents.is_same_content then compared_days.has_all_lines end as invoice_lines_are_conserved,
        case when contents.is_same_content then compared_days.has_all_amounts end as invoice_amounts_are_conserved
    from compared_days
    left join contents on compared_days.event_day = contents.event_day
)

select * from final
