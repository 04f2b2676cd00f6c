"""The pages, in the order of the navigation.

A page is a module with a `PAGE`, and the templates of the same name. To add one, write `pages/<name>.py` with
`routes(site)` and `templates/<name>.html`, which extends `layout.html` and uses the macros of `parts.html`;
name the module in `PAGES`, and its routes in the table of docs/dashboard.md, which a test compares with the
roles that they need.
"""

from services.dashboard.pages import audit, experiments, keys, overview, system
from services.dashboard.pages.site import Page

PAGES: tuple[Page, ...] = (overview.PAGE, experiments.PAGE, system.PAGE, keys.PAGE, audit.PAGE)
