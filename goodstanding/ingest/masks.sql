-- How texts are stored that hold a customer's id. `customer` is a struct with what `customers` has of one.

-- the shape of a text: for a line in which the customer cannot be found
create or replace temp macro masked(line) as
regexp_replace(regexp_replace(line, '\p{N}', '9', 'g'), '\p{L}', 'x', 'g');

-- a field as CSV writes it
create or replace temp macro as_field(field) as
case
    when regexp_matches(field, '[",\r\n]') then '"' || replace(field, '"', '""') || '"'
    else coalesce(field, '')
end;

-- whether a field has an id or anything like it
create or replace temp macro names(field, customer) as
contains(lower(regexp_replace(nfc_normalize(field), '[\s\p{Z}\p{Cc}\p{Cf}]+', '', 'g')), customer);

-- a field of a line that is set aside: nothing depends on it, so that anything like an id is enough
create or replace temp macro without_customer(field, customer, other) as
case
    when
        names(field, customer.written)
        or names(field, customer.squeezed)
        or names(field, other.written)
        or names(field, other.squeezed)
        then masked(as_field(field))
    else as_field(field)
end;

-- A stored text with `instead` for each id in it. Twice, as what stands between two ids is found with the first alone.
create or replace temp macro hidden(text, customer, instead) as
case
    when customer.pattern is null or not contains(lower(text), lower(customer.customer)) then text
    else
        -- a backslash of the mask is one, and no group
        regexp_replace(
            regexp_replace(text, customer.pattern, '\1' || replace(instead, '\', '\\') || '\2', 'gi'),
            customer.pattern,
            '\1' || replace(instead, '\', '\\') || '\2',
            'gi'
        )
end;
