"""The types of members that requests and stored resources share, with the limits of Amazon Personalize.

Limits: https://docs.aws.amazon.com/personalize/latest/dg/API_Types_Amazon_Personalize.html
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from shared.aws.members import Text
from shared.aws.personalize import exploration

RoleArn = Annotated[
    str,
    StringConstraints(max_length=256, pattern=r"^arn:([a-z\d-]+):iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+$"),
]
KmsKeyArn = Annotated[str, StringConstraints(max_length=2048, pattern=r"^arn:aws.*:kms:.*:[0-9]{12}:key/.*$")]
S3Location = Annotated[Text, StringConstraints(max_length=256, pattern=r"^(s3|http|https)://.+$")]
Domain = Literal["ECOMMERCE", "VIDEO_ON_DEMAND"]
ShortText = Annotated[Text, StringConstraints(max_length=256)]
ColumnName = Annotated[str, StringConstraints(max_length=150, pattern=r"^[A-Za-z_][A-Za-z\d_]*$")]
ParameterName = Annotated[Text, StringConstraints(max_length=256)]
ParameterValue = Annotated[Text, StringConstraints(max_length=1000)]
Parameters = Annotated[dict[ParameterName, ParameterValue], Field(max_length=100)]
ExplorationConfig = Annotated[Parameters, AfterValidator(exploration.checked)]
Influence = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
RankingInfluence = dict[Literal["POPULARITY", "FRESHNESS"], Influence]
