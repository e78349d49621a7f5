"""What all tables belong to, and which migration they stand at."""

from __future__ import annotations

from sqlalchemy import MetaData

# The newest migration. A new database is made from the tables and marked with it; a test holds both equal.
HEAD = "0006"

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
