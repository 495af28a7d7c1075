"""Many workers and budgets: who works on a job, when it may be sent again, and what is held of which budget.

Columns are added, never a table rebuilt: on SQLite that would drop `jobs` under the rows that refer to it.
"""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

LANE_COLUMNS = [
    "state",
    "provider",
    "worker",
    "owner",
    "priority",
    "created_at",
    "id",
    "cancel_requested",
    "not_before",
]


def upgrade() -> None:
    _jobs()
    _holds()
    op.create_table(
        "lanes",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("jobs_learnt", sa.Integer()),
        sa.Column("learnt_at", sa.BigInteger()),
        sa.Column("resume_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("provider", name="pk_lanes"),
    )
    op.create_table(
        "workers",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(40), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_workers"),
    )


def _jobs() -> None:
    op.add_column("jobs", sa.Column("provider", sa.Text(), nullable=False, server_default=""))
    op.add_column("jobs", sa.Column("run", sa.String(80)))
    op.add_column("jobs", sa.Column("worker", sa.String(40)))
    op.add_column("jobs", sa.Column("not_before", sa.BigInteger()))
    jobs = sa.table("jobs", sa.column("model"), sa.column("provider"))
    models = op.get_bind().execute(sa.select(jobs.c.model).distinct()).scalars().all()
    for model in models:
        provider = model.partition(":")[0]
        op.get_bind().execute(jobs.update().where(jobs.c.model == model).values(provider=provider))
    op.create_index("ix_jobs_worker", "jobs", ["worker", "state"])
    op.create_index("ix_jobs_lane", "jobs", LANE_COLUMNS)


def _holds() -> None:
    """What was one amount with a state becomes what is still held and what was settled."""
    connection = op.get_bind()
    old = sa.table("holds", *map(sa.column, ("job_id", "held_usd", "settled_usd", "state", "at")))
    jobs = sa.table("jobs", *map(sa.column, ("id", "owner", "provider", "created_at")))
    query = sa.select(old, jobs.c.owner, jobs.c.provider, jobs.c.created_at).join(jobs, jobs.c.id == old.c.job_id)
    before = connection.execute(query).all()
    op.drop_table("holds")
    new = op.create_table(
        "holds",
        sa.Column("job_id", sa.String(40), nullable=False),
        sa.Column("owner", sa.String(80), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("run", sa.String(80)),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("held_usd", sa.BigInteger(), nullable=False),
        sa.Column("settled_usd", sa.BigInteger(), nullable=False),
        sa.Column("overrun_usd", sa.BigInteger(), nullable=False),
        sa.Column("unknown", sa.Boolean(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_holds_job_id_jobs"),
        sa.PrimaryKeyConstraint("job_id", name="pk_holds"),
    )
    op.create_index("ix_holds_day", "holds", ["day"])
    op.create_index("ix_holds_owner", "holds", ["owner", "day"])
    op.create_index("ix_holds_provider", "holds", ["provider", "day"])
    op.create_index("ix_holds_run", "holds", ["run"])
    rows = [
        {
            "job_id": row.job_id,
            "owner": row.owner,
            "provider": row.provider,
            "day": datetime.fromtimestamp(row.created_at / 1_000_000, UTC).strftime("%Y-%m-%d"),
            "held_usd": (row.held_usd or 0) if row.state == "held" else 0,
            "settled_usd": row.settled_usd or 0,
            "overrun_usd": 0 if row.held_usd is None else max(0, (row.settled_usd or 0) - row.held_usd),
            "unknown": row.held_usd is None or (row.state == "settled" and row.settled_usd is None),
            "at": row.at,
        }
        for row in before
    ]
    if rows:
        op.bulk_insert(new, rows)
