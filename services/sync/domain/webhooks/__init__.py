"""Webhooks of shop systems: signatures, names of deliveries, and what their bodies say."""
