"""Runs migrations on the connection it is given; see `klucznik.storage.migrate`."""

from alembic import context

from klucznik.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=False,  # the caller has begun the transaction and ends it
)
context.run_migrations()
