"""The management face under /sandbox, for tests and people, and the live page; nothing here belongs to KSeF."""
