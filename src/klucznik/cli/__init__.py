"""The terminal: parse, call one service, show. No rules of the domain live here."""
