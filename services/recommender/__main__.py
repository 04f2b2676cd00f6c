"""`python -m services.recommender [serve|worker|settings|openapi]`."""

from services.recommender import app
from services.recommender.settings import Settings
from shared.http.runtime import main

main(Settings, {"serve": app.build, "worker": app.worker})
