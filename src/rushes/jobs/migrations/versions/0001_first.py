"""The first tables: jobs, attempts, videos, assets, holds, events, tags, characters."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

OPEN = sa.text("state IN ('downloading', 'finishing', 'in_progress', 'needs_attention', 'queued', 'submitting')")


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("owner", sa.String(80), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("asked_model", sa.Text(), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("flight", sa.String(64)),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("deadline", sa.BigInteger(), nullable=False),
        sa.Column("prepared_json", sa.Text(), nullable=False),
        sa.Column("routes_json", sa.Text()),
        sa.Column("route", sa.Integer(), nullable=False),
        sa.Column("source_video", sa.String(40)),
        sa.Column("source_kind", sa.String(10)),
        sa.Column("options_json", sa.Text(), nullable=False),
        sa.Column("estimate_usd", sa.BigInteger()),
        sa.Column("cost_usd", sa.BigInteger()),
        sa.Column("percent", sa.Float(), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("cached_from", sa.String(40)),
        sa.Column("adopted_from", sa.String(40)),
        sa.Column("failure_code", sa.Text()),
        sa.Column("failure_message", sa.Text()),
        sa.Column("trouble", sa.Text()),
        sa.Column("started_at", sa.BigInteger()),
        sa.Column("completed_at", sa.BigInteger()),
        sa.Column("deleted_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
    )
    op.create_index(
        "uq_jobs_in_flight", "jobs", ["owner", "flight"], unique=True, sqlite_where=OPEN, postgresql_where=OPEN
    )
    op.create_index("ix_jobs_finished", "jobs", ["owner", "fingerprint", "completed_at"])
    op.create_index("ix_jobs_newest", "jobs", ["owner", "created_at"])
    op.create_index("ix_jobs_state", "jobs", ["state"])
    op.create_index("ix_jobs_source", "jobs", ["source_video"])
    op.create_table(
        "attempts",
        sa.Column("job_id", sa.String(40), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.String(64), nullable=False),
        sa.Column("intent_at", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.BigInteger()),
        sa.Column("answered_at", sa.BigInteger()),
        sa.Column("ended_at", sa.BigInteger()),
        sa.Column("remote_id", sa.Text()),
        sa.Column("remote_json", sa.Text()),
        sa.Column("remote_expires_at", sa.BigInteger()),
        sa.Column("cost_usd", sa.BigInteger()),
        sa.Column("error_code", sa.Text()),
        sa.Column("error", sa.Text()),
        sa.Column("repaid", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_attempts_job_id_jobs"),
        sa.PrimaryKeyConstraint("job_id", "n", name="pk_attempts"),
        sa.UniqueConstraint("key", name="uq_attempts_key"),
        sa.UniqueConstraint("account", "remote_id", name="uq_attempts_account_remote_id"),
    )
    op.create_index("ix_attempts_account_state", "attempts", ["account", "state"])
    op.create_table(
        "videos",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("job_id", sa.String(40), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("stored_under", sa.String(40)),
        sa.Column("format", sa.Text()),
        sa.Column("width", sa.Integer()),
        sa.Column("height", sa.Integer()),
        sa.Column("seconds", sa.Float()),
        sa.Column("fps", sa.Text()),
        sa.Column("has_audio", sa.Boolean()),
        sa.Column("sha256", sa.String(64)),
        sa.Column("size_bytes", sa.BigInteger()),
        sa.Column("created_at", sa.BigInteger()),
        sa.Column("gone_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_videos_job_id_jobs"),
        sa.PrimaryKeyConstraint("id", name="pk_videos"),
        sa.UniqueConstraint("job_id", "n", name="uq_videos_job_id_n"),
    )
    op.create_table(
        "assets",
        sa.Column("video_id", sa.String(40), nullable=False),
        sa.Column("variant", sa.String(20), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("mime", sa.Text(), nullable=False),
        sa.Column("made_by", sa.String(20), nullable=False),
        sa.ForeignKeyConstraint(["video_id"], ["videos.id"], name="fk_assets_video_id_videos"),
        sa.PrimaryKeyConstraint("video_id", "variant", name="pk_assets"),
    )
    op.create_table(
        "holds",
        sa.Column("job_id", sa.String(40), nullable=False),
        sa.Column("held_usd", sa.BigInteger()),
        sa.Column("settled_usd", sa.BigInteger()),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_holds_job_id_jobs"),
        sa.PrimaryKeyConstraint("job_id", name="pk_holds"),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("job_id", sa.String(40), nullable=False),
        sa.Column("ts", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("json", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_job_id", "events", ["job_id", "id"])
    op.create_table(
        "tags",
        sa.Column("job_id", sa.String(40), nullable=False),
        sa.Column("tag", sa.String(80), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_tags_job_id_jobs"),
        sa.PrimaryKeyConstraint("job_id", "tag", name="pk_tags"),
    )
    op.create_index("ix_tags_tag", "tags", ["tag"])
    op.create_table(
        "characters",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("owner", sa.String(80), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("remote_id", sa.Text(), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("clip_sha256", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_characters"),
    )
    op.create_index("ix_characters_owner", "characters", ["owner", "created_at"])
