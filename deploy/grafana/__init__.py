"""Dashboards of Grafana, one per audience; `make contracts` writes their JSON from `boards`."""
