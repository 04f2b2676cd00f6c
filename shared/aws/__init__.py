"""The wire format of AWS services: protocols, errors, ARNs, page tokens and the types of members.

Everything here is pure: it does no I/O and knows no service of Endcap. `shared.aws_server` answers requests
in this format over HTTP, and `shared.aws.personalize` holds the models that are particular to Personalize.
"""

from shared.aws.arns import Arn
from shared.aws.errors import WireError, invalid_input, not_found
from shared.aws.members import WireModel
from shared.aws.page_tokens import PageTokens

__all__ = ["Arn", "PageTokens", "WireError", "WireModel", "invalid_input", "not_found"]
