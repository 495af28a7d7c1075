"""What a database is built of, down to the text of its indexes and constraints, for comparing two."""

from typing import Any

import sqlalchemy as sa

ANATOMY_OF = {
    "sqlite": {
        "indexes": "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql NOT NULL",
        "never used again": "SELECT name, 1 FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%'",
    },
    "postgresql": {
        "indexes": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
        "constraints": "SELECT conname, conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE connamespace = 'public'::regnamespace",
        "sequences": "SELECT sequencename, data_type::text FROM pg_sequences WHERE schemaname = 'public'",
    },
}


def anatomy(url: str) -> dict[str, object]:
    """Every table with its columns and keys, and what only this kind of database can tell."""
    engine = sa.create_engine(driven(url))
    inspector = sa.inspect(engine)
    found: dict[str, object] = {}
    for table in sorted(set(inspector.get_table_names()) - {"sqlite_sequence"}):
        found[table] = {
            "columns": {
                column["name"]: (str(column["type"]), column["nullable"], column["default"])
                for column in inspector.get_columns(table)
            },
            "primary": inspector.get_pk_constraint(table)["constrained_columns"],
            "foreign": sorted(
                (k["constrained_columns"], k["referred_table"]) for k in inspector.get_foreign_keys(table)
            ),
            "unique": sorted(sorted(each["column_names"]) for each in inspector.get_unique_constraints(table)),
            "indexes": sorted((each["name"] or "", each["column_names"]) for each in inspector.get_indexes(table)),
        }
    with engine.connect() as connection:
        for part, query in ANATOMY_OF[engine.dialect.name].items():
            rows = connection.execute(sa.text(query)).all()
            found[part] = {name: " ".join(str(text).split()) for name, text in rows}
    engine.dispose()
    return found


def rows_of(url: str, table: str) -> list[dict[str, Any]]:
    """All rows as the database holds them, in the order of the first column."""
    engine = sa.create_engine(driven(url))
    with engine.connect() as connection:
        found = [dict(row) for row in connection.execute(sa.text(f"SELECT * FROM {table} ORDER BY 1")).mappings()]
    engine.dispose()
    return found


def driven(url: str) -> sa.URL:
    """The address with the driver that rushes uses."""
    made = sa.make_url(url)
    return made.set(drivername="postgresql+psycopg") if made.get_backend_name() == "postgresql" else made
