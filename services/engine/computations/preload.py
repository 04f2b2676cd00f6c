"""What the process that computations are forked from does once, so that no fork has to.

boto3 reads its description of S3 for the first client of a process, which takes a tenth of a second.
"""

from __future__ import annotations

import boto3
from botocore import UNSIGNED
from botocore.config import Config

boto3.client("s3", region_name="us-east-1", config=Config(signature_version=UNSIGNED))
