{{ config(meta={'scope': 'passing'}) }}

with

changed as (

    {% for condition in changed_scope('line', 'order_lines', {
        'int_changed_products': ref('int_changed_products'),
        'stg_changes': ref('stg_changes'),
    }) -%}
    select order_lines.*
    from {{ ref('stg_order_lines') }} as order_lines
    where {{ condition }}
    {% if not loop.last %}
    union all

    {% endif %}
    {%- endfor %}

),

-- few, and found by four columns: the nine of the next step over every line took 118 s for 10.8 million of them
suspects as (

    select
        file_name,
        invoice_no,
        stock_code,
        quantity
    from changed
    where customer_id is not null
    group by file_name, invoice_no, stock_code, quantity
    having count(*) > 1

),

copies as (

    select
        changed.order_line_id,
        -- the first of exact copies within a file stays: line_number is unique in its file
        row_number() over (
            partition by
                changed.file_name, changed.invoice_no, changed.stock_code, changed.description, changed.quantity,
                changed.ordered_at, changed.unit_price, changed.customer_id, changed.country
            order by changed.line_number
        ) as copy_number
    from changed
    inner join suspects
        on
            changed.file_name = suspects.file_name
            and changed.invoice_no = suspects.invoice_no
            and changed.stock_code = suspects.stock_code
            and changed.quantity = suspects.quantity
    where changed.customer_id is not null

),

duplicates as (

    select order_line_id from copies
    where copy_number > 1

),

final as (

    select
        changed.*,
        duplicates.order_line_id is not null as is_duplicate
    from changed
    left join duplicates
        on changed.order_line_id = duplicates.order_line_id

)

select * from final
