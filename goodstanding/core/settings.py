"""The settings of the product, each with its type and default.

Settings come from the environment (prefix `GOODSTANDING_`) or from a file `.env` beside this project;
`.env.example` documents each. A wrong one stops the program at start with one line.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from goodstanding.core.errors import WrongUse
from goodstanding.core.plain_paths import plain
from goodstanding.core.vocabulary import PUBLICATION

# an amount of memory and its unit
MEMORY = r"([1-9]\d*(?:\.\d+)?)\s*(MB|GB|MiB|GiB)"
PROJECT = Path(__file__).resolve().parents[2]
DEFAULT_LANDING = PROJECT / "data" / "landing"
POLICY = PROJECT / "dbt_project" / "seeds" / "policy.csv"
# What Regulation B asks of creditors (12 CFR 1002.12(b)): 25 months from when an applicant was notified.
RECEIPT_MONTHS = 25
# How long an answer to a question holds for an order to take it.
QUOTE_MINUTES = 30
Network = IPv4Network | IPv6Network
ProxyHeader = Literal["x-forwarded-for", "forwarded"]


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


def _plain_folder(path: Path) -> Path:
    # DuckDB follows links to the real path, so no link helps here
    if re.search(r"[?\\]", str(_absolute(path).resolve())):
        raise ValueError(
            f"DuckDB opens no file whose path has a ? or a \\; choose another folder than {path}"
        )
    try:
        return plain(_absolute(path))
    except OSError as error:
        raise ValueError(
            f"{path} has signs that libraries take for syntax, and no link to it can be made ({error}); "
            "choose a path of letters, digits and - _ . /"
        ) from None


def _existing_folder(path: Path) -> Path:
    path = _absolute(path)
    if not path.is_dir():
        raise ValueError(f"there is no folder {path}; put the daily order files there or unset it")
    return path


def _memory(text: str) -> str:
    if not re.fullmatch(MEMORY, text):
        raise ValueError(f"'{text}' is no amount of memory; write it like 800MB or 2GB")
    return text


def _networks(text: str) -> str:
    for part in text.split(","):
        try:
            ip_network(part.strip())
        except ValueError as error:
            raise ValueError(
                f"{error}; write addresses or networks like 127.0.0.1, 10.0.0.0/8 with commas between them"
            ) from None
    return text


def _hex_key(key: SecretStr) -> SecretStr:
    if not re.fullmatch(r"([0-9a-fA-F]{2}){32,}", key.get_secret_value()):
        raise ValueError("the key must be hexadecimal and at least 32 bytes (64 digits) long")
    return key


class Settings(BaseSettings):
    """All settings; paths are absolute once read."""

    model_config = SettingsConfigDict(
        env_prefix="GOODSTANDING_", env_file=PROJECT / ".env", env_ignore_empty=True, extra="ignore"
    )

    home: Annotated[Path, AfterValidator(_plain_folder)] = PROJECT / "var"
    landing: Annotated[Path, AfterValidator(_existing_folder)] | None = None
    shop: str = "online_retail"
    pseudonym_key: Annotated[SecretStr, AfterValidator(_hex_key)] | None = None
    pseudonym_key_file: Annotated[Path, AfterValidator(_absolute)] | None = None
    memory_limit: Annotated[str, AfterValidator(_memory)] = "600MB"
    threads: int = Field(default=2, ge=1, le=256)
    max_file_mb: int = Field(default=500, ge=1)
    as_of_days: int = Field(default=400, ge=1)
    receipt_months: int = Field(default=RECEIPT_MONTHS, ge=3, le=1200)
    quote_minutes: int = Field(default=QUOTE_MINUTES, ge=1, le=1440)
    trusted_proxies: Annotated[str, AfterValidator(_networks)] | None = None
    proxy_header: ProxyHeader = "x-forwarded-for"
    airflow_database: SecretStr | None = None
    port: int = Field(default=8080, ge=1, le=65535)
    real_data_required: bool = False

    @property
    def proxies(self) -> tuple[Network, ...]:
        """The networks of the reverse proxies before the API whose header is believed."""
        return tuple(ip_network(part.strip()) for part in (self.trusted_proxies or "").split(",") if part)

    @property
    def landing_folder(self) -> Path:
        """Where the shop's daily files lie: the setting, else `data/landing` of this project.

        While that is empty, the simulated shop of this home, where one has been made.
        """
        if self.landing:
            return self.landing
        has_files = DEFAULT_LANDING.is_dir() and any(DEFAULT_LANDING.iterdir())
        return (
            self.simulated_landing if self.simulated_landing.is_dir() and not has_files else DEFAULT_LANDING
        )

    @property
    def simulated_landing(self) -> Path:
        """Where `make run` puts a simulated shop, where it has no network for the real one."""
        return self.home / "simulated_landing"

    @property
    def warehouse(self) -> Path:
        """Folder of the two working DuckDB files; only a run opens them."""
        return self.home / "warehouse"

    @property
    def published(self) -> Path:
        """Folder of what readers open: `current.duckdb` and the sites with the checks and the SQL docs."""
        return self.home / "published"

    @property
    def publication(self) -> Path:
        """The file that readers open."""
        return self.published / PUBLICATION

    @property
    def evaluations(self) -> Path:
        """Folder of the evaluations' pages, beside the other sites."""
        return self.published / "evaluations"

    @property
    def models(self) -> Path:
        """Folder of the trained models and their cards."""
        return self.home / "models"

    @property
    def receipts(self) -> Path:
        """Folder of the receipts of answers."""
        return self.home / "receipts"

    @property
    def policy(self) -> Path:
        """Folder of the log of policy changes; the API only reads it."""
        return self.home / "policy"

    @property
    def api(self) -> Path:
        """Folder of the keys of the API (hashes) and of their rates."""
        return self.home / "api"


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process, read once.

    Raises:
        WrongUse: a setting cannot be used, or the file sets one twice; the message names it, its fault and
            nothing secret.
    """
    if env_file := Settings.model_config.get("env_file"):
        _require_each_name_once(Path(str(env_file)))
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = "GOODSTANDING_" + "_".join(str(part) for part in first["loc"]).upper()
        reason = first["msg"].removeprefix("Value error, ")
        raise WrongUse(f"setting {name}: {reason}") from None


def _require_each_name_once(path: Path) -> None:
    """Refuse a file of settings that sets one twice: the last would count, and nothing would say so."""
    lines: dict[str, int] = {}
    for line, text in enumerate(path.read_text(encoding="utf-8").splitlines() if path.is_file() else [], 1):
        if assigned := re.match(r"\s*(?:export\s+)?(GOODSTANDING_\w+)\s*=", text, re.IGNORECASE):
            name = assigned[1].upper()
            if name in lines:
                raise WrongUse(
                    f"{path}, line {line}: {name} is set here again after line {lines[name]}; "
                    "leave one of them"
                )
            lines[name] = line
