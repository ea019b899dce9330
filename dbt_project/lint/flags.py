"""What sqlfluff fills in for the flags of dbt: lint reads the models as a daily run builds them."""

FULL_REFRESH = False
