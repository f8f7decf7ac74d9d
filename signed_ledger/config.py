"""Every setting: its environment variable, default, bounds and meaning, checked when it is read (12-factor)."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from signed_ledger.errors import Invalid

PREFIX: Final = "SIGNED_LEDGER_"
WAL_ROWS_MAX: Final = 20_000
"""Some five thousand pages: a page that many groups touch is then written once into the file."""
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
_AUTHORITY = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{{1,5}})?")


def _setting(default: Any, read: Callable[[str], Any], about: str, shown: str | None = None) -> Any:
    return field(default=default, metadata={"read": read, "about": about, "shown": shown})


def _integer(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", text) or not least <= int(text) <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(text)

    return read


def _one_of(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return text

    return read


def _host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise ValueError("must be a host name or an IP address")
    return text


def _path(text: str) -> Path:
    if not text or "://" in text:
        raise ValueError("must be the path of a file or folder")
    return Path(text)


def _path_or_none(text: str) -> Path | None:
    return _path(text) if text else None


def _absolute_or_none(text: str) -> Path | None:
    if text and not text.startswith("/"):
        raise ValueError("must be a path that starts with /")  # else the system looks for a library by its own rules
    return _path_or_none(text)


def _hour_or_none(text: str) -> int | None:
    return None if text in ("", "none") else _integer(0, 23)(text)


def _time_zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise ValueError("must be the name of a time zone such as Europe/Vienna") from None
    return text


def _authorities(text: str) -> tuple[str, ...]:
    names = tuple(name.strip().lower() for name in text.split(",") if name.strip())
    if not names or not all(_AUTHORITY.fullmatch(name) for name in names):
        raise ValueError("must be host names, with their port where it is not the default one, separated by commas")
    return names


def _schemes(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not all(re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name) for name in names):
        raise ValueError("must be names of Schemes separated by commas, such as visa,amex")
    return names


def _currencies(text: str) -> tuple[str, ...]:
    codes = tuple(code.strip() for code in text.split(",") if code.strip())
    if not codes or not all(re.fullmatch(r"[A-Z]{3}", code) for code in codes):
        raise ValueError("must be currency codes of ISO 4217 separated by commas, such as EUR,USD")
    return codes


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The service's settings. `read_settings` makes one from the environment; what is not set has its default."""

    database: Path = _setting(Path("ledger.db"), _path, "the ledger's SQLite file")
    keys: Path = _setting(Path("keys"), _path, "the folder of the Issuer's keys and trust.json")
    key_passphrase_file: Path | None = _setting(
        None, _path_or_none, "a file whose first line opens the private keys", "none: encrypted keys are asked for"
    )
    pkcs11_module: Path | None = _setting(
        None, _absolute_or_none, "the PKCS#11 library of keys in hardware", "none: the URIs of the keys name it"
    )
    checkpoint_lock: Path | None = _setting(
        None, _path_or_none, "the lock file of checkpoints; not beside the database", "checkpoint.lock in KEYS"
    )
    checkpoint_interval_ms: int = _setting(
        500, _integer(50, 900), "how often a checkpoint is published, where there is something new"
    )
    witness_policy: Path | None = _setting(
        None, _path_or_none, "a policy file (C2SP tlog-policy) of the witnesses that cosign", "none: no witnesses"
    )
    witness_timeout_s: int = _setting(5, _integer(1, 60), "how long a witness may take to answer")
    origin: str = _setting("localhost/ledger", str, "the ledger's name, used by init; serve refuses another ledger's")
    host: str = _setting("127.0.0.1", _host, "the address to listen on")
    port: int = _setting(8080, _integer(0, 65535), "the port to listen on; 0 takes a free one")
    authorities: tuple[str, ...] = _setting(
        (), _authorities, "the host names we answer for, separated by commas", "localhost and HOST, with PORT"
    )
    standard_webhooks: tuple[str, ...] = _setting(
        (), _schemes, "the Schemes that sign by Standard Webhooks v1a, by commas", "none: all sign by RFC 9421"
    )
    admin_host: str = _setting("127.0.0.1", _host, "the address of /metrics")
    admin_port: int = _setting(9464, _integer(0, 65535), "the port of /metrics")
    terms: Path | None = _setting(
        None, _path_or_none, "a TOML file of the terms that serve puts in force", "none: those in the ledger"
    )
    currencies: tuple[str, ...] = _setting((), _currencies, "the currencies taken, by commas", "all of ISO 4217")
    log_level: str = _setting(
        "info", _one_of("debug", "info", "warning", "error"), "debug adds a line for each decision"
    )
    log_format: str = _setting(
        "auto", _one_of("auto", "human", "json"), "auto: for people in a terminal, else JSON lines"
    )
    body_bytes_max: int = _setting(32_768, _integer(1_024, 32_768), "the largest request body; larger ones are 413")
    body_timeout_s: int = _setting(10, _integer(1, 600), "how long a request's body may take to arrive")
    keepalive_timeout_s: int = _setting(75, _integer(1, 3600), "how long an idle connection is kept")
    queue_commands_max: int = _setting(256, _integer(1, 100_000), "webhooks in hand, not yet answered; more is 503")
    group_commands_max: int = _setting(256, _integer(1, 10_000), "what one commit may hold")
    cache_accounts_max: int = _setting(65_536, _integer(1, 10_000_000), "balances kept in memory")
    wal_rows_max: int = _setting(
        WAL_ROWS_MAX,
        _integer(100, 10_000_000),
        "rows in the write-ahead log after which it is taken back into the file",
    )
    busy_timeout_ms: int = _setting(5_000, _integer(0, 600_000), "how long to wait for another process's write")
    page_rows_max: int = _setting(100, _integer(1, 1_000), "the most rows of one page of a list")
    settlement_hour: int | None = _setting(
        None, _hour_or_none, "the hour, 0 to 23, at which serve settles the day before", "none: not by itself"
    )
    time_zone: str = _setting("UTC", _time_zone, "the zone of business days and of that hour, such as Europe/Vienna")
    settlements: Path = _setting(Path("settlements"), _path, "the folder of the settlement files")
    shutdown_timeout_s: int = _setting(30, _integer(1, 600), "how long open requests may take to end on SIGTERM")

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    @property
    def answered_authorities(self) -> frozenset[str]:
        """The values of a request's host for which a signature counts."""
        if self.authorities:
            return frozenset(self.authorities)
        host = f"[{self.host}]" if ":" in self.host else self.host
        names = {"localhost", "127.0.0.1", host.lower()}
        bare = names if self.port == 80 else set()  # a client leaves the default port of http out
        return frozenset({f"{name}:{self.port}" for name in names} | bare)


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the settings; raise `Invalid` naming the variable for a wrong one, or for one that does not exist."""
    values: dict[str, Any] = {}
    known = {variable_of(setting.name): setting for setting in fields(Settings)}
    for variable, text in environment.items():
        if not variable.startswith(PREFIX):
            continue
        if variable not in known:
            raise Invalid(variable, "is not a setting; signed-ledger serve --help lists them")
        setting = known[variable]
        try:
            values[setting.name] = setting.metadata["read"](text)
        except ValueError as error:
            raise Invalid(variable, f"{error} (it is {text!r})") from None
    return Settings(**values)


def variable_of(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def describe_settings() -> list[tuple[str, str, str]]:
    """(variable, default, meaning) of each setting, for --help and the documents."""
    return [(variable_of(setting.name), _shown(setting), setting.metadata["about"]) for setting in fields(Settings)]


def _shown(setting: Any) -> str:
    return str(setting.metadata["shown"] or setting.default)
