"""The gateway: authenticate, authorize, decide, record, run, record, answer."""
