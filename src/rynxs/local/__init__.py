"""Local mode: one process with the gateway, bubblewrap computers, manifests in a file and the log on disk."""
