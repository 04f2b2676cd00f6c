"""The tables of the dashboard, and the other services by their public APIs."""
