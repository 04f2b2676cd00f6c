"""Endcap on Docker Compose: its secrets, one file for each, so that a container gets only what it needs."""
