"""Seeded generators of bad input: HTTP requests from OpenAPI pages and the operation table; Kafka records.

`FUZZ_SEED` and `FUZZ_INPUTS` in the environment set the seed and the number of inputs.

See docs/decisions/0036-testing.
"""

from __future__ import annotations

import os

SEED = int(os.environ.get("FUZZ_SEED", "20261128"))
INPUTS = int(os.environ.get("FUZZ_INPUTS", "10000"))
"""Inputs of HTTP tests and record tests together."""
