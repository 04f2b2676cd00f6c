"""Secrets for Docker Compose, one file each, so that a container gets only those that it needs."""
