"""Former names of services.engine.training.methods.stan and tifu_knn."""

from services.engine.training.methods.stan import stan
from services.engine.training.methods.tifu_knn import tifu_knn

sessions = stan
customers = tifu_knn
