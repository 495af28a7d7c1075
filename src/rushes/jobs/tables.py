"""The ledger's tables, one source for SQLite and PostgreSQL.

Dollars are stored as whole millionths and instants as whole microseconds: both databases add and compare those
exactly. `HEAD` is the newest migration; a fresh database is made from this file at once, without loading Alembic,
and a test proves that both ways lead to the same tables.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

from rushes.jobs.ledger import OPEN_JOB_STATES

HEAD = "0003"
KNOWN_VERSIONS = ("0001", "0002", "0003")
"""Every migration in order; a database at any other version was written by a later release."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICRO = Decimal("0.000001")


class Usd(TypeDecorator[Decimal]):
    """Dollars as whole millionths."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        return None if value is None else int((value / MICRO).to_integral_value())

    def process_result_value(self, value: int | None, dialect: Dialect) -> Decimal | None:
        return None if value is None else _plain(Decimal(value) * MICRO)


class Instant(TypeDecorator[datetime]):
    """A moment in UTC as whole microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else (value - EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else EPOCH + timedelta(microseconds=value)


def _plain(value: Decimal) -> Decimal:
    """Without needless zeros, but with at least cents: 0.80, 0.0028."""
    cents = value.quantize(Decimal("0.01"))
    return cents if cents == value else value.normalize()


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

OPEN = text(f"state IN ({', '.join(sorted(repr(state.value) for state in OPEN_JOB_STATES))})")

LANE_COLUMNS = (
    "state",
    "provider",
    "worker",
    "owner",
    "priority",
    "created_at",
    "id",
    "cancel_requested",
    "not_before",
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("owner", String(80), nullable=False),
    Column("state", String(20), nullable=False),
    Column("model", Text, nullable=False),
    Column("provider", Text, nullable=False, server_default=""),  # of that model: the lane in which the job waits
    Column("asked_model", Text, nullable=False),
    Column("prompt", Text, nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("flight", String(64)),  # the fingerprint, where equal submits join; null where they must not
    Column("slot", Integer, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("run", String(80)),  # the invocation or eval run that it belongs to
    Column("worker", String(40)),  # who works on it: nobody else may change what it says
    Column("not_before", Instant),  # queued again after a refusal: not to be sent sooner
    Column("created_at", Instant, nullable=False),
    Column("deadline", Instant, nullable=False),
    Column("prepared_json", Text, nullable=False),
    Column("routes_json", Text),  # every route in order, where there is more than one
    Column("route", Integer, nullable=False, default=0),  # which of them is being taken
    Column("source_video", String(40)),  # the video that it remixes, edits or extends
    Column("source_kind", String(10)),
    Column("options_json", Text, nullable=False),
    Column("estimate_usd", Usd),
    Column("cost_usd", Usd),
    Column("percent", Float, nullable=False, default=0.0),
    Column("cancel_requested", Boolean, nullable=False, default=False),
    Column("cached_from", String(40)),
    Column("adopted_from", String(40)),
    Column("failure_code", Text),
    Column("failure_message", Text),
    Column("trouble", Text),
    Column("started_at", Instant),
    Column("completed_at", Instant),
    Column("deleted_at", Instant),
    Index("uq_jobs_in_flight", "owner", "flight", unique=True, sqlite_where=OPEN, postgresql_where=OPEN),
    Index("ix_jobs_finished", "owner", "fingerprint", "completed_at"),
    Index("ix_jobs_newest", "owner", "created_at"),
    Index("ix_jobs_state", "state"),
    Index("ix_jobs_source", "source_video"),
    Index("ix_jobs_worker", "worker", "state"),
    # Everything that the choice of the next job looks at: with ten thousand waiting it reads the index alone.
    Index("ix_jobs_lane", *LANE_COLUMNS),
)

attempts = Table(
    "attempts",
    metadata,
    Column("job_id", String(40), ForeignKey("jobs.id"), primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("provider", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("state", String(20), nullable=False),
    Column("key", Text, nullable=False, unique=True),
    Column("request_hash", String(64), nullable=False),
    Column("intent_at", Instant, nullable=False),
    Column("sent_at", Instant),
    Column("answered_at", Instant),
    Column("ended_at", Instant),
    Column("remote_id", Text),
    Column("remote_json", Text),
    Column("remote_expires_at", Instant),
    Column("cost_usd", Usd),
    Column("error_code", Text),
    Column("error", Text),
    Column("repaid", Boolean, nullable=False, default=False),
    UniqueConstraint("account", "remote_id"),
    Index("ix_attempts_account_state", "account", "state"),
)

videos = Table(
    "videos",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("job_id", String(40), ForeignKey("jobs.id"), nullable=False),
    Column("n", Integer, nullable=False),
    Column("stored_under", String(40)),  # the video id whose folder holds the files; a cache hit names another's
    Column("format", Text),
    Column("width", Integer),
    Column("height", Integer),
    Column("seconds", Float),
    Column("fps", Text),
    Column("has_audio", Boolean),
    Column("sha256", String(64)),
    Column("size_bytes", BigInteger),
    Column("created_at", Instant),
    Column("gone_at", Instant),  # the file was found missing or damaged, or, if stored_under is null, was collected
    UniqueConstraint("job_id", "n"),
)

assets = Table(
    "assets",
    metadata,
    Column("video_id", String(40), ForeignKey("videos.id"), primary_key=True),
    Column("variant", String(20), primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("mime", Text, nullable=False),
    Column("made_by", String(20), nullable=False),  # provider | us
)

tags = Table(
    "tags",
    metadata,
    Column("job_id", String(40), ForeignKey("jobs.id"), primary_key=True),
    Column("tag", String(80), primary_key=True),
    Index("ix_tags_tag", "tag"),
)

characters = Table(
    "characters",
    metadata,
    Column("id", String(40), primary_key=True),  # ours, for life
    Column("owner", String(80), nullable=False),
    Column("provider", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("remote_id", Text, nullable=False),
    Column("name", String(80), nullable=False),
    Column("clip_sha256", String(64), nullable=False),
    Column("created_at", Instant, nullable=False),
    Index("ix_characters_owner", "owner", "created_at"),
)

holds = Table(
    "holds",
    metadata,
    Column("job_id", String(40), ForeignKey("jobs.id"), primary_key=True),
    Column("owner", String(80), nullable=False),
    Column("provider", Text, nullable=False),
    Column("run", String(80)),
    Column("day", String(10), nullable=False),  # the UTC day on which it was admitted, and to which it counts for good
    Column("held_usd", Usd, nullable=False),  # what may still be charged
    Column("settled_usd", Usd, nullable=False),  # what was charged
    Column("overrun_usd", Usd, nullable=False),  # by how much that is more than was held
    Column("unknown", Boolean, nullable=False),  # a part of the price is not known, and that was allowed
    Column("at", Instant, nullable=False),
    Index("ix_holds_day", "day"),
    Index("ix_holds_owner", "owner", "day"),
    Index("ix_holds_provider", "provider", "day"),
    Index("ix_holds_run", "run"),
)

lanes = Table(
    "lanes",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("jobs_learnt", Integer),  # how many at once its account was found to take
    Column("learnt_at", Instant),
    Column("resume_at", Instant),  # it asked for a pause: no create before this
)
"""What was learnt about a provider's limits from its refusals; shared by all workers."""

workers = Table(
    "workers",
    metadata,
    Column("id", String(40), primary_key=True),  # a new one at each start
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", String(40), nullable=False),
    Column("started_at", Instant, nullable=False),
)
"""Who works, or did until it died: that is told by a lock, not by this table."""

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", String(80), nullable=False),
    Column("owner", String(80), nullable=False),  # whose jobs are made with it; several keys may share one
    Column("secret_sha256", String(64), nullable=False, unique=True),  # the key itself is shown once, and kept nowhere
    Column("models_json", Text, nullable=False),  # names and patterns; none: every model
    Column("budget_usd", Usd),  # for all that its owner ever makes
    Column("budget_per_day_usd", Usd),
    Column("unknown_price_hold_usd", Usd),
    Column("requests_per_minute", Integer),
    Column("most_open_jobs", Integer),
    Column("cache", String(10), nullable=False),
    Column("admin", Boolean, nullable=False),  # sees the numbers of all owners
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
    Column("last_used_at", Instant),
    Index("ix_api_keys_owner", "owner"),
)

creates = Table(
    "creates",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("owner", String(80), nullable=False),
    Column("body_hash", String(64), nullable=False),
    Column("idempotency_key", Text),
    Column("job_id", String(40), nullable=False),
    Column("at", Instant, nullable=False),
    Column("token", String(40), nullable=False),  # of the request that took the job as its own, last
    Column("answered_at", Instant),  # null: the answer was not fully sent, so its client may ask again
    Column("claimed", Integer, nullable=False),  # the count of the repetition that took the job as its own, last
    UniqueConstraint("owner", "idempotency_key"),
    Index("ix_creates_body", "owner", "body_hash", "at"),
    Index("ix_creates_at", "at"),
)
"""Creates that came over HTTP, so that one that is repeated is known again."""

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("owner", String(80), nullable=False),
    Column("url", Text, nullable=False),
    Column("secret", Text, nullable=False),  # both sides sign with it, so it cannot be kept as a hash
    Column("events_json", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("since_event", BigInteger, nullable=False),  # told of what came after this event
    Column("disabled_at", Instant),
    Index("ix_webhooks_owner", "owner"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", String(40), primary_key=True),  # the receiver's `webhook-id`: the same at each try
    Column("webhook_id", String(40), ForeignKey("webhooks.id"), nullable=False),
    Column("event_id", BigInteger, nullable=False),  # of the ledger; 0 or less: a test
    Column("job_id", String(40), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("body", Text, nullable=False),
    Column("state", String(20), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("next_at", Instant),  # when it is to be tried; also how long a try that is under way may take
    Column("ended_at", Instant),
    Column("http_status", Integer),  # of the last try
    Column("error", Text),
    UniqueConstraint("webhook_id", "event_id"),
    Index("ix_deliveries_due", "state", "next_at"),
)

cursors = Table(
    "cursors",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("event_id", BigInteger, nullable=False),
)
"""How far a reader of the events has come."""

installation = Table("installation", metadata, Column("id", String(40), primary_key=True))
"""One row: what our own requests carry, so that none of them is served by ourselves."""

audits = Table(
    "audits",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("ts", Instant, nullable=False),
    Column("owner", String(80), nullable=False),
    Column("key_id", String(40)),
    Column("verdict", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("prompt_sha256", String(64), nullable=False),
    Column("prompt", Text),
    Index("ix_audits_ts", "ts"),
)
"""What the prompt policy decided."""

events = Table(
    "events",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("job_id", String(40), nullable=False),
    Column("ts", Instant, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("json", Text, nullable=False),
    Index("ix_events_job_id", "job_id", "id"),
    sqlite_autoincrement=True,  # ids are never used again: a reader resumes from the last one it saw
)
