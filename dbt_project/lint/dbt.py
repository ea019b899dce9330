"""What sqlfluff fills in for dbt's own macros: SQL of the right shape, without a database to ask."""


def datediff(first: str, second: str, part: str) -> str:
    return f"datediff('{part}', {first}, {second})"


def dateadd(part: str, count: int, day: str) -> str:
    return f"{day} + interval {count} {part}"


def last_day(day: str, part: str) -> str:
    return f"last_day({day})"
