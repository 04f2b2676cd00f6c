"""Rules of the dashboard without I/O: roles, the format of values, the state of the system."""
