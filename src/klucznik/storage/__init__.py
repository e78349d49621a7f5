"""What Klucznik keeps: one database, SQLite by default. SQL lives here and nowhere else."""
