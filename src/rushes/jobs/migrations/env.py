"""Alembic's entry: always run by `rushes.jobs.migrations.upgrade`, on the caller's connection."""

from alembic import context

from rushes.jobs.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transaction_per_migration=False,
)
context.run_migrations()
