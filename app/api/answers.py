"""Answers a question about a customer, for the HTTP API and the command line alike, and keeps a receipt."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal

from app.api.commitments import Because, Commitment, Conflict, NoOrderId
from app.api.letters import sender_of
from app.api.models import BASKET, WEIGHT
from app.api.policy_book import Approved, Book, State, Versions
from app.api.published import Cell, Published, Watch, read_published, require
from app.api.receipts import (
    CHALLENGED,
    CHAMPION,
    Identity,
    Inquiry,
    KeptAnswer,
    Now,
    Receipts,
    Trial,
    book_of,
)
from goodstanding.core.errors import DataProblem, WrongUse
from goodstanding.core.settings import POLICY, Settings
from goodstanding.core.vocabulary import moment
from goodstanding.core.zones import zone
from goodstanding.decisions.decide import Question, Standing
from goodstanding.decisions.instalments import CENT
from goodstanding.decisions.order import WEIGHT as WEIGHT_NAME
from goodstanding.decisions.order import WORDS, Order
from goodstanding.decisions.policy import NO_PUBLICATION, Policy, read_policies
from goodstanding.identity.normal_form import LONGEST_ID, NoCustomerId, normal_form
from goodstanding.identity.pseudonyms import LENGTH, keyed_hash, pseudonym, pseudonym_key
from goodstanding.ingest.masks import number_without_id, possible_ids
from goodstanding.shops.mapping import load_shop


@dataclass(frozen=True)
class Asked:
    """A question as it comes in.

    Attributes:
        customer_id: the shop's own as its files write it, or None for a buyer without one.
        question: what is asked.
        order: what is said of the order.
        guest: an e-mail address, a phone or a device by which a buyer without an id is known again.
        basket_id: which basket it is; its newest quote takes the place of those before.
        idempotency_key: of this one question, which asked again gets the same answer.
    """

    customer_id: str | None
    question: Question
    order: Order = field(default_factory=Order)
    guest: str | None = None
    basket_id: str | None = None
    idempotency_key: str | None = None


def basket_of(text: str) -> Decimal:
    """The amount of a basket, written like 120.00.

    Raises:
        WrongUse: it is no such amount, or 0.
    """
    if not re.fullmatch(BASKET, text):
        raise WrongUse(f"a basket of '{text}': write an amount above 0 like 120.00, of 999999999.99 at most")
    # 120 and 120.00 are one amount
    return Decimal(text).quantize(CENT)


def order_of(texts: Sequence[str]) -> Order:
    """What is said of an order, each written like channel=web or weight=2.5.

    Raises:
        WrongUse: it is none of payment_type, channel and weight, has no value, or is no weight.
    """
    said = {}
    for text in texts:
        name, _, value = text.partition("=")
        if name not in (*WORDS, WEIGHT_NAME) or not value:
            raise WrongUse(f"'{text}': write channel=web, payment_type=card or weight=2.5")
        said[name] = value
    weight = said.get(WEIGHT_NAME)
    if weight is not None and not re.fullmatch(WEIGHT, weight):
        raise WrongUse(f"a weight of '{weight}': write a number like 2.5, with at most 4 decimals")
    return Order(said.get("payment_type"), said.get("channel"), None if weight is None else Decimal(weight))


def guest_form(text: str) -> str | None:
    """One form of what a guest is known by; a phone number loses its blanks and signs. None: it is blank."""
    form = normal_form(text, case="lower")
    if form and re.fullmatch(r"\+?[0-9 ()./-]{6,}", form):
        return re.sub(r"^00", "+", re.sub(r"[^0-9+]", "", form))
    return form


def _known(published: Published | None) -> str:
    """When a publication was made."""
    return published.published_at.isoformat(timespec="microseconds") if published else ""


class Answers:
    """Answers questions and shows profiles; the shop's mapping and the pseudonyms' key are read once.

    With a `Watch`, answers rest on the publication that it has loaded; without one, each call reads the file.
    """

    def __init__(self, settings: Settings, watch: Watch | None = None, book: Book | None = None) -> None:
        shop = load_shop(settings)
        self._zone, self._is_archive = zone(shop.timezone), shop.archive
        self._ids, self._key = shop.customer_ids, pseudonym_key(settings)
        self._path = settings.publication
        self._fallback: tuple[Policy, ...] | None = None
        self.watch = watch
        self._order_form = shop.order_form
        self.sender = sender_of(shop)
        self.book = book or book_of(settings)
        self.receipts = Receipts(
            settings.receipts, settings.receipt_months, settings.quote_minutes, self.book
        )

    def today(self) -> date:
        """The present day in the shop's time zone."""
        return moment().astimezone(self._zone).date()

    def age_days(self, published: Published) -> int:
        """How old the data of a publication are."""
        return published.age_days(self.today(), self._is_archive)

    def prune(
        self, clock_is_right: bool = False, has_ended: Callable[[float], bool | None] = time.sleep
    ) -> dict[str, int]:
        """Drop old receipts, as `Receipts.prune` does.

        Args:
            clock_is_right: somebody vouches for the clock: what is old by it is dropped.
            has_ended: waits for so many seconds and says whether to stop.
        """
        today = self.today()
        return self.receipts.prune(today, today if clock_is_right else self._data_day(), has_ended)

    def clock_doubt(self) -> str | None:
        """What to say where receipts are old by the clock alone, and so are kept; else None."""
        return self.receipts.clock_doubt(self.today(), self._data_day())

    def _data_day(self) -> date | None:
        published = self.watch.current if self.watch else read_published(self._path, only="")
        return published.data_day(self._is_archive) if published else None

    def decide(self, asked: Sequence[Asked]) -> list[KeptAnswer]:
        """Answer questions in turn, each with its receipt, in one transaction.

        Raises:
            NoCustomerId: the mapping gives no customer such an id; nothing is answered.
            Conflict: an idempotency key was used for another question; nothing is answered.
            DataProblem: no policy is in effect.
        """
        pseudonyms = self._pseudonyms(asked)
        # the log before the publication, so that what its versions ask for is loaded
        state = self.book.current
        # one call of the command line asks for one customer: no other need be loaded
        published = self._published(only=pseudonyms[0])
        today = self.today()
        versions = self.versions_of(published, state)
        at = versions.state.now
        live, shadow = versions.live(today, at), versions.shadow(today, at)
        challenger = versions.challenger(today, at)
        if live is None:
            raise DataProblem(f"no policy is in effect on {today}; add a version to {POLICY.name}")
        inquiries = []
        for customer, request in zip(pseudonyms, asked, strict=True):
            standing, card = Standing(NO_PUBLICATION, is_stranger=customer is None), None
            if published is not None:
                method = request.question.method
                standing = published.standing(customer, method, self.age_days(published))
                card = published.cards.get(method)
                if standing.situation is None:
                    said = request.order.values(published.of_order)
                    standing = replace(standing, values={**standing.values, **said})
            trial = self._trial(customer, standing, live, challenger) if challenger else None
            policy = challenger.policy if challenger and trial and trial.arm == CHALLENGED else live
            inquiries.append(
                Inquiry(
                    *(today, customer, replace(request.question, day=today), standing, card, policy, shadow),
                    identity=self._identity(request),
                    known=_known(published),
                    trial=trial,
                )
            )
        return self.receipts.decide(inquiries)

    def commit(
        self, receipt_id: str, order_id: str, months: int | None = None, customer_id: str | None = None
    ) -> Commitment:
        """Let an order take what a receipt grants; see `Receipts.commit`.

        Args:
            receipt_id: of the answer.
            order_id: the shop's own, as its files write it.
            months: of the plan, where the question named several.
            customer_id: the shop's own, where it is at hand: an id in the order's is hidden, and found by it
                in any mix of cases.

        Raises:
            NoOrderId: no order can have this id. NoCustomerId: no customer can have that one.
            NoReceipt: there is no such receipt.
            Conflict: the receipt is another customer's, or can be taken no more, or the caps leave less than
                it grants.
        """
        form = normal_form(order_id, *self._order_form)
        if form is None or len(form) > LONGEST_ID:
            raise NoOrderId("order_id: no order can have it; write it as the shop's files do")
        named = None if customer_id is None else self._pseudonym(customer_id)
        receipt = self.receipts.read(receipt_id)
        customer, method = receipt["customer"], receipt["question"]["method"]
        if named not in (None, customer):
            raise Conflict(
                f"receipt {receipt_id} is an answer about another buyer; name the customer of the question, "
                "or none"
            )
        if customer:
            # a number that holds the customer's id is published without it, and settles by what is published
            length = receipt["identity"].get("id_length") if "identity" in receipt else None
            candidates = [customer_id] if customer_id else possible_ids(order_id, length, self._ids)
            form = number_without_id(form, customer, candidates, self._ids, self._key)
        published = self._published(only=customer)
        owed = None
        if published is not None and customer:
            owed = published.standing(customer, method, self.age_days(published)).outstanding
        now = Now(self.today(), _known(published), owed)
        return self.receipts.commit(receipt_id, form, now, months)

    def release(self, receipt_id: str, because: Because) -> Commitment:
        """Give back what an order took.

        Raises:
            NoReceipt: nothing was committed by this receipt.
        """
        return self.receipts.release(receipt_id, because)

    def _trial(
        self, customer: str | None, standing: Standing, live: Policy, challenger: Approved
    ) -> Trial | None:
        """By which version a customer is answered: the same for as long as the challenger stands.

        Strangers are answered by the live version: who may ask by another name draws no second time.
        """
        if customer is None or standing.is_stranger or challenger.share is None:
            return None
        drawn = int(keyed_hash("trial", f"{challenger.version} {customer}", self._key), 16) / 16**LENGTH
        arm = CHALLENGED if drawn < challenger.share else CHAMPION
        return Trial(challenger.version, str(challenger.share), arm, live)

    def _published(self, only: str | None) -> Published | None:
        """The newest publication; without a `Watch` it has one customer, or none."""
        if self.watch:
            return self.watch.current
        return read_published(self._path, only=only or "", cards=self.book.cards())

    def _identity(self, asked: Asked) -> Identity:
        """What binds the question to others, hashed: none of it is kept as it was written."""

        def hashed(kind: str, text: str | None) -> str | None:
            return None if text is None else keyed_hash(kind, text, self._key)

        guest = None if asked.guest is None or asked.customer_id is not None else guest_form(asked.guest)
        return Identity(
            guest=hashed("guest", guest),
            basket=hashed("basket", asked.basket_id),
            key=hashed("key", asked.idempotency_key),
            order=hashed("order", asked.order.said()),
            id_length=None if asked.customer_id is None else len(self._ids.require(asked.customer_id)),
        )

    def profile(self, customer_id: str) -> dict[str, Cell] | None:
        """The published profile of a customer with `age_days` and `simulated`, or None.

        Raises:
            NoCustomerId: the mapping gives no customer such an id.
            DataProblem: nothing is published.
        """
        customer = self._pseudonym(customer_id)
        published = require(self.watch.current if self.watch else read_published(self._path))
        profile = published.profile(customer)
        if profile is None:
            return None
        return {**profile, "age_days": self.age_days(published), "simulated": published.simulated}

    def policy(self) -> Policy | None:
        """The policy in effect now."""
        versions = self.versions_of(self.watch.current if self.watch else None)
        return versions.live(self.today(), versions.state.now)

    def versions_of(self, published: Published | None, state: State | None = None) -> Versions:
        """All versions of the policy; without a state of the log, by that which is there now.

        Raises:
            DataProblem: the log of policy changes cannot be read.
        """
        if published is not None:
            seeded = published.policies
        else:
            # before anything is published, the safe answers are those of the project's own policy
            seeded = self._fallback = self._fallback or read_policies(POLICY)
        return Versions(seeded, state or self.book.current, self._zone)

    def utc(self, moment: datetime) -> datetime:
        """A moment in UTC; one without a zone is by the shop's clock."""
        here = moment if moment.tzinfo else moment.replace(tzinfo=self._zone)
        return here.astimezone(UTC).replace(tzinfo=None)

    def day_of(self, moment: datetime) -> date:
        """The day of the shop at a moment in UTC."""
        return moment.replace(tzinfo=UTC).astimezone(self._zone).date()

    def _pseudonyms(self, asked: Sequence[Asked]) -> list[str | None]:
        pseudonyms: list[str | None] = []
        for place, question in enumerate(asked):
            try:
                pseudonyms.append(
                    None if question.customer_id is None else self._pseudonym(question.customer_id)
                )
            except NoCustomerId as error:
                raise NoCustomerId(f"questions.{place}.{error}" if len(asked) > 1 else str(error)) from None
        return pseudonyms

    def _pseudonym(self, customer_id: str) -> str:
        return pseudonym(self._ids.require(customer_id), self._key)
