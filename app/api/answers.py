"""One way to an answer, for the API and the command line alike: standing, policy, receipt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from app.api.published import Published, Watch, read_published
from app.api.receipts import Receipts
from goodstanding.core.errors import DataProblem, WrongUse
from goodstanding.core.settings import POLICY, Settings
from goodstanding.decisions.decide import Question, Standing
from goodstanding.decisions.policy import NO_PUBLICATION, Policy, in_effect, read_policies
from goodstanding.identity.pseudonyms import pseudonym, pseudonym_key
from goodstanding.shops.mapping import load_shop

AMOUNT = re.compile(r"(0|[1-9]\d{0,8})\.\d{2}|[1-9]\d{0,8}")


@dataclass(frozen=True)
class Asked:
    """A question as it comes: with the shop's own customer id, or none for somebody without one."""

    customer_id: str | None
    question: Question


def basket_of(text: str) -> Decimal:
    """An amount like 120.00.

    Raises:
        WrongUse: it is none, or nothing.
    """
    if not AMOUNT.fullmatch(text) or not Decimal(text):
        raise WrongUse(f"a basket of '{text}': write an amount above 0 like 120.00, of 999999999.99 at most")
    return Decimal(text)


class Answers:
    """What is needed to answer, read once: the mapping of the shop, the key of the pseudonyms."""

    def __init__(self, settings: Settings, watch: Watch | None = None) -> None:
        shop = load_shop(settings)
        self._zone, self._is_archive = ZoneInfo(shop.timezone), shop.archive
        self._key = pseudonym_key(settings)
        self._path = settings.publication
        self._fallback: tuple[Policy, ...] | None = None
        self.watch = watch
        self.receipts = Receipts(settings.receipts, settings.receipt_months)

    def today(self) -> date:
        """The day of the shop."""
        return datetime.now(UTC).astimezone(self._zone).date()

    def age_days(self, published: Published) -> int:
        """How old the data of a publication are."""
        return published.age_days(self.today(), self._is_archive)

    def decide(self, asked: Sequence[Asked]) -> list[dict[str, Any]]:
        """Answer questions in turn, each with its receipt, in one transaction.

        Raises:
            DataProblem: no policy is in effect.
        """
        who = [self._pseudonym(each.customer_id) for each in asked]
        if self.watch is None:
            # one call, one customer: the others need not be loaded
            published = read_published(self._path, only=who[0] or "")
        else:
            published = self.watch.current
        today = self.today()
        policy, shadow = (self._policy(published, today, mode) for mode in ("live", "shadow"))
        if policy is None:
            raise DataProblem(f"no policy is in effect on {today}; add a version to {POLICY.name}")
        found = []
        with self.receipts.transaction() as connection:
            for customer, each in zip(who, asked, strict=True):
                if published is None:
                    standing, card = Standing(NO_PUBLICATION), None
                else:
                    method = each.question.method
                    standing = published.standing(customer, method, self.age_days(published))
                    card = published.cards.get(method)
                found.append(
                    self.receipts.decide_within(
                        connection, today, customer, each.question, standing, card, policy, shadow
                    )
                )
        return found

    def profile(self, customer_id: str) -> dict[str, Any] | None:
        """The published profile of a customer, or None.

        Raises:
            DataProblem: nothing is published.
        """
        published = self.watch.current if self.watch else read_published(self._path)
        if published is None:
            raise DataProblem("nothing is published yet; run `goodstanding run` first")
        found = published.profile(pseudonym(customer_id.strip(), self._key))
        return found and {**found, "age_days": self.age_days(published), "simulated": published.simulated}

    def policy(self) -> Policy | None:
        """The policy in effect today."""
        return self._policy(self.watch.current if self.watch else None, self.today(), "live")

    def _policy(self, published: Published | None, today: date, mode: str) -> Policy | None:
        if published is not None:
            return published.policy(today, mode)
        # before anything is published its safe answers are those of the project's own policy
        self._fallback = self._fallback or read_policies(POLICY)
        return in_effect(self._fallback, today, mode)

    def _pseudonym(self, customer_id: str | None) -> str | None:
        return pseudonym(customer_id.strip(), self._key) if customer_id and customer_id.strip() else None
