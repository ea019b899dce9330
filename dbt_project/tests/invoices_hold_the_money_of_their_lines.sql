-- Conservation: the kept money of the lines is the net money of the sale invoices.
with

lines as (

    select sum(kept_amount) as amount from {{ ref('order_lines') }}

),

invoices as (

    select sum(net_amount) as amount from {{ ref('invoices') }}
    where kind = 'sale'

)

select *
from lines
cross join invoices
where lines.amount is distinct from invoices.amount
