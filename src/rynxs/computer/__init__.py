"""The computer: the daemon that runs tools in it, and the client that talks to the daemon."""
