"""Who asks, and whether they may: what the pages and the API have in common before any of their work begins."""
