"""Others are told what happens: events numbered and followed, webhooks delivered, letters sent."""
