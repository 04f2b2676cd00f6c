"""Computations of jobs, each in a child process: they read and write files and objects, never Postgres."""
