"""Actions: tools and their arguments, requests, decisions, outcomes, and the fold over their events."""
