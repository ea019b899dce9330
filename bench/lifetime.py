"""What lifetimes cost: fitting the count models to CDNOW, and scoring a million customers, on one core.

    python -m bench.lifetime

Not part of `make bench`. CDNOW is the orders of 23,570 customers of a record shop in 1997 and 1998, which
the literature of these models measures itself on; the package `lifetimes` ships them.
"""

from __future__ import annotations

from importlib.metadata import distribution
from typing import Any

import numpy as np
from numpy.typing import NDArray


def read_cdnow(name: str) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.float64]]:
    """The orders of CDNOW: customer, day and amount in dollars, each of shape (orders,).

    Args:
        name: `master`, all 23,570 customers, or `sample`, each tenth: the 2,357 of most papers.
    """
    path = distribution("lifetimes").locate_file(f"lifetimes/datasets/CDNOW_{name}.txt")
    with open(str(path), encoding="ascii") as file:
        orders = [line.split()[-4:] for line in file if "customer_id" not in line]
    customers, days, _, amounts = zip(*orders, strict=True)
    return (
        np.array(customers),
        np.array([f"{day[:4]}-{day[4:6]}-{day[6:]}" for day in days], dtype="datetime64[D]"),
        np.array(amounts, dtype=np.float64),
    )
