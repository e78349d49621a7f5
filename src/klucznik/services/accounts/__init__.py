"""People and programs that come in: how they prove who they are, and what they may do afterwards."""
