"""What a PostgreSQL server or its driver complains of, in words that say what to do."""

import re
from collections.abc import Callable, Mapping

import psycopg
from sqlalchemy.exc import DBAPIError

from rushes.errors import ConfigError, DatabaseAway, RequestError, RushesError, StoreFull

Words = Callable[[str, str], RushesError]
"""From the name of the database and the server's own words."""


def _wrong_password(where: str, words: str) -> RushesError:
    return ConfigError(f"{where} lets nobody in by this name and password ({words}). Check RUSHES_DATABASE_URL.")


def _no_such_database(where: str, words: str) -> RushesError:
    return ConfigError(f"There is no such database: {where} ({words}). Make it with createdb, or name another.")


def _not_allowed(where: str, words: str) -> RushesError:
    return ConfigError(
        f"{where}: this user may not do that ({words}). Its role needs CREATE on the schema and owns rushes' tables."
    )


def _read_only(where: str, words: str) -> RushesError:
    return ConfigError(f"{where} cannot be written ({words}). Is it a replica? Name the primary server.")


def _no_schema(where: str, words: str) -> RushesError:
    return ConfigError(
        f"{where} has no schema in which this user may make tables ({words}). Grant CREATE on one of its search_path."
    )


def _tables_missing(where: str, words: str) -> RushesError:
    return ConfigError(f"{where} lacks what this release needs ({words}). Was it changed under us? Run: rushes doctor")


def _full(where: str, words: str) -> RushesError:
    return StoreFull(f"The disk of {where} is full or failing ({words}). The jobs go on when there is space again.")


def _too_many(where: str, words: str) -> RushesError:
    return DatabaseAway(
        f"{where} takes no more connections ({words}). Raise its max_connections, or run fewer processes."
    )


def _stopping(where: str, words: str) -> RushesError:
    return DatabaseAway(f"{where} is being stopped or started ({words}). The jobs go on when it is back.")


def _bad_address(where: str, words: str) -> RushesError:
    return ConfigError(f"The address of {where} is not understood ({words}). Check RUSHES_DATABASE_URL.")


def _encryption(where: str, words: str) -> RushesError:
    return ConfigError(f"{where} and RUSHES_DATABASE_URL do not agree about encryption ({words}). Check its sslmode.")


def _held_up(where: str, words: str) -> RushesError:
    return DatabaseAway(f"{where} was held up for too long ({words}). It is tried again; is the server overloaded?")


def _interrupted(where: str, words: str) -> RushesError:
    return DatabaseAway(f"{where} gave a transaction up because this process had stood still ({words}).")


def _does_not_fit(where: str, words: str) -> RushesError:
    return RequestError(f"The database does not take this value: {words}.")


BY_STATE: Mapping[str, Words] = {
    "28P01": _wrong_password,
    "28000": _wrong_password,
    "3D000": _no_such_database,
    "42501": _not_allowed,
    "25006": _read_only,
    "3F000": _no_schema,
    "42P01": _tables_missing,
    "42703": _tables_missing,
    "53100": _full,
    "58030": _full,
    "53200": _held_up,
    "53300": _too_many,
    "57P01": _stopping,
    "57P02": _stopping,
    "57P03": _stopping,
    "55P03": _held_up,
    "57014": _held_up,
    "40P01": _held_up,
    "40001": _held_up,
    "25P03": _interrupted,
}
"""By SQLSTATE; two letters stand for their whole class."""
BY_CLASS: Mapping[str, Words] = {"22": _does_not_fit}

# A refusal to connect comes without its SQLSTATE; in another language than English it counts as being away.
# What the driver finds wrong by itself is told in the same way.
BY_REFUSAL: Mapping[str, Words] = {
    "password authentication failed": _wrong_password,
    "fe_sendauth: no password supplied": _wrong_password,
    "no pg_hba.conf entry": _wrong_password,
    "role ": _wrong_password,
    "permission denied for database": _not_allowed,
    "too many clients": _too_many,
    "too many connections": _too_many,
    "remaining connection slots": _too_many,
    "the database system is": _stopping,
    "database ": _no_such_database,
    "server does not support SSL": _encryption,
    "SSL error: certificate verify failed": _encryption,
    "root certificate file": _encryption,
    "invalid port number": _bad_address,
}
BEFORE_THE_WORDS = (
    re.compile(r"^connection (?:failed|is bad): "),
    re.compile(r"^connection to server (?:at|on) .+? failed: (?=server does not|fe_sendauth|root certificate|SSL)"),
)
"""Named already by `where`; but to whom a connection was refused is worth knowing, where a name has many addresses."""
NUL = "NUL (0x00)"


def is_refusal(error: DBAPIError) -> bool:
    """Whether a commit that ended like this certainly changed nothing.

    Only the server's own word for it is proof, and not when it speaks of stopping: then the change may be on disk.
    """
    state = error.orig.sqlstate if isinstance(error.orig, psycopg.Error) else None
    return state is not None and not state.startswith("57") and not error.connection_invalidated


def in_words(error: DBAPIError, where: str) -> RushesError:
    """A driver's error as one of ours. `where` names the database, without a password."""
    said = error.orig
    words = _own_words(said)
    state = said.sqlstate if isinstance(said, psycopg.Error) else None
    if state is not None:
        known = BY_STATE.get(state) or BY_CLASS.get(state[:2])
        if known is not None:
            return known(where, words)
    elif isinstance(said, psycopg.OperationalError) and error.statement is None:
        for part, known in BY_REFUSAL.items():
            if words.startswith(part):
                return known(where, words)
        return DatabaseAway(
            f"{where} cannot be reached ({words}). Is the server running, and RUSHES_DATABASE_URL right? "
            "All goes on when it is back."
        )
    elif isinstance(said, psycopg.ProgrammingError):
        return _bad_address(where, words)
    if error.connection_invalidated or isinstance(said, psycopg.OperationalError):
        return DatabaseAway(f"The connection to {where} was lost ({words}). All goes on when it is back.")
    if NUL in words:
        return _does_not_fit(where, words)
    return RushesError(f"The database said: {words}")


def _own_words(error: BaseException | None) -> str:
    """The first line, without what psycopg and libpq put before the words that matter."""
    lines = str(error).strip().splitlines() or ["no reason given"]
    words = lines[0].rpartition("FATAL:")[2].strip()
    for before in BEFORE_THE_WORDS:
        words = before.sub("", words, count=1)
    return words.rstrip(".")
