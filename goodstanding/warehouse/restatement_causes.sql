-- Why: each of the `differences` (see restatements.sql) with the file that caused it, added to the restatements that
-- are carried over. It reads the lines of the changed files, so it is run only where there is a difference.

insert into marts.restatements by name
with

order_lines as (
    select
        true as is_coming,
        *
    from marts.order_lines
    union all by name
    select
        false as is_coming,
        *
    from previous.marts.order_lines
),

lines_of_changed_files as (
    select order_lines.*
    from order_lines
    semi join changed_files using (event_day, file_name)
),

-- what a customer's lines of a file say, in any order: a line more above them changes nothing but their numbers
contents as (
    select
        is_coming,
        event_day,
        file_name,
        customer_id,
        sum(
            hash(
                invoice_no, invoice_kind, stock_code, is_product, description, quantity, unit_price, amount,
                ordered_at, ordered_at_utc, country, payment_type, channel, weight
            )
        ) as content
    from lines_of_changed_files
    where customer_id in (select customer_id from differences)
    group by is_coming, event_day, file_name, customer_id
),

changed_contents as (
    select
        customer_id,
        event_day,
        file_name
    from contents
    group by customer_id, event_day, file_name
    having count(*) = 1 or min(content) <> max(content)
),

-- the earliest file in which the customer's lines differ; in a day, the first by name
own_files as (
    select
        customer_id,
        min((event_day, file_name)) as first_file
    from changed_contents
    group by customer_id
),

-- classes follow from orders alone: a file of payments is no cause, though it comes first by its name
order_files as (
    select distinct
        event_day,
        file_name
    from lines_of_changed_files
),

first_order_file as (
    select min((event_day, file_name)) as first_file from order_files
),

-- where no line of the customer's own changed, the lines of others did, and with them the borders of the quarters
named_causes as (
    select
        differences.*,
        own_files.first_file as own_file,
        case
            when scope.is_redefined then 'definition'
            when own_files.first_file[1] <= differences.as_of then 'own_lines'
            else 'borders'
        end as cause
    from differences
    cross join scope
    left join own_files using (customer_id)
),

causes as (
    select
        named_causes.* exclude (own_file),
        case named_causes.cause
            when 'own_lines' then named_causes.own_file
            when 'borders' then first_order_file.first_file
        end as first_file
    from named_causes
    cross join first_order_file
),

final as (
    select
        causes.* exclude (first_file),
        changed_files.event_day as changed_day,
        changed_files.file_name,
        changed_files.file_hash,
        publication.run_id,
        publication.published_at as restated_at
    from causes
    cross join marts.publication as publication
    left join changed_files
        on
            causes.first_file[1] = changed_files.event_day
            and causes.first_file[2] = changed_files.file_name
)

select * from final
order by as_of, customer_id;
