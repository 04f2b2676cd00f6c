"""Child processes: a package of its own, because a process imports only what it needs to start soon."""
