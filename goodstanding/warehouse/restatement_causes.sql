-- Why: each of the `differences` (see restatements.sql) with the file that caused it, added to the restatements that
-- are carried over. It looks at the lines of the changed files, so it is run only where there is a difference.

insert into marts.restatements by name
with

-- what a customer's lines of a file say, in any order: a line more above them changes nothing but their numbers
contents as (
    select
        is_now,
        event_day,
        file_name,
        customer_id,
        sum(
            hash(
                invoice_no, invoice_kind, stock_code, is_product, description, quantity, unit_price, ordered_at,
                country
            )
        ) as content,
    from (
        select true as is_now, * from marts.order_lines
        union all by name
        select false as is_now, * from previous.marts.order_lines
    )
    semi join changed_files using (event_day, file_name)
    where customer_id in (select customer_id from differences)
    group by is_now, event_day, file_name, customer_id
),

-- the earliest file that says something else of the customer; in a day, the first by name
own_files as (
    select
        customer_id,
        min((event_day, file_name)) as first_file,
    from (
        select
            customer_id,
            event_day,
            file_name,
        from contents
        group by customer_id, event_day, file_name
        having count(*) = 1 or min(content) <> max(content)
    )
    group by customer_id
),

-- classes follow from orders alone: a file of payments is no cause, though it comes first by its name
order_files as (
    select
        event_day,
        file_name,
    from changed_files
    semi join (
        select
            event_day,
            file_name,
        from marts.order_lines
        union all
        select
            event_day,
            file_name,
        from previous.marts.order_lines
    ) using (event_day, file_name)
),

-- for whom no line of their own changed, the others' changed, and with them the borders of the quarters
causes as (
    select
        differences.*,
        case
            when scope.is_redefined then 'definition'
            when own_files.first_file[1] <= differences.as_of then 'own_lines'
            else 'borders'
        end as cause,
        case cause
            when 'own_lines' then own_files.first_file
            when 'borders' then (select min((event_day, file_name)) from order_files)
        end as first_file,
    from differences
    cross join scope
    left join own_files using (customer_id)
)

select
    causes.* exclude (first_file),
    changed_files.event_day as changed_day,
    changed_files.file_name,
    changed_files.file_hash,
    publication.run_id,
    publication.published_at as restated_at,
from causes
cross join marts.publication as publication
left join changed_files
    on
        changed_files.event_day = causes.first_file[1]
        and changed_files.file_name = causes.first_file[2]
order by causes.as_of, causes.customer_id;
