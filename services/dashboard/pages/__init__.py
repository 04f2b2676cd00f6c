"""The pages, in the order of the navigation.

A page is a module with a `PAGE`, and the templates of the same name. To add one, write `pages/<name>.py` with
`routes(site)` and `templates/<name>.html`, which extends `layout.html` and uses the macros of `parts.html`;
name the module in `PAGES`, and its routes in the table of docs/dashboard.md, which a test compares with the
roles that they need.
"""

from services.dashboard.pages import (
    answers,
    audit,
    customers,
    data,
    experiments,
    items,
    keys,
    live,
    overview,
    placements,
    quality,
    reports,
    rules,
    schedules,
    sources,
    sql,
    system,
    training,
)
from services.dashboard.pages.site import Page

PAGES: tuple[Page, ...] = (
    overview.PAGE,
    live.PAGE,
    reports.PAGE,
    customers.PAGE,
    items.PAGE,
    placements.PAGE,
    training.PAGE,
    quality.PAGE,
    schedules.PAGE,
    experiments.PAGE,
    sql.PAGE,
    data.PAGE,
    sources.PAGE,
    rules.PAGE,
    system.PAGE,
    keys.PAGE,
    audit.PAGE,
)

UNLISTED = (answers.routes,)
"""Routes that are not in the navigation; pages link to them."""
