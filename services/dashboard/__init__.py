"""Dashboard: pages for the people of a shop, from overview to system.

Owns        sessions of people who signed in, and the audit log of their changes
Consumes    nothing
Publishes   nothing
HTTP        pages below /dashboard; the audit log as JSON

When it fails   pages call the public APIs of the other services with short time limits. If a service does not
                answer, its part of a page says so, and the rest of the page is shown. Without Postgres nobody
                can sign in. No other service depends on the dashboard.
"""
