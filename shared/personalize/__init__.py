"""The wire of Amazon Personalize: protocols, errors, ARNs, page tokens, and the models of events and runtime.

A service says which operations it answers (`Operation`: name, request model, scope, handler) and gets routes
from `RestJson` or `Json11`. Parsing, checking, authentication, errors and timestamps are here, once.
"""

from shared.personalize.arns import Arn
from shared.personalize.errors import WireError, invalid_input, not_found
from shared.personalize.members import WireModel
from shared.personalize.operations import Answer, Call, Operation
from shared.personalize.protocols import Json11, RestJson
from shared.personalize.shortcut import Shortcut
from shared.personalize.tokens import PageTokens

__all__ = [
    "Answer",
    "Arn",
    "Call",
    "Json11",
    "Operation",
    "PageTokens",
    "RestJson",
    "Shortcut",
    "WireError",
    "WireModel",
    "invalid_input",
    "not_found",
]
