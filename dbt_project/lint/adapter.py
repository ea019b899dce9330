"""What sqlfluff fills in for a dispatched macro: an expression."""

from collections.abc import Callable


def dispatch(name: str, package: str) -> Callable[..., str]:
    return lambda *arguments: f"{name}({', '.join(arguments)})"
