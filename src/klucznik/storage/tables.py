"""All tables together: whoever makes or migrates them takes `metadata` from here, where every table has been added."""

from __future__ import annotations

from klucznik.storage import schema, schema_people
from klucznik.storage.metadata import HEAD, metadata

__all__ = ["HEAD", "metadata", "schema", "schema_people"]
