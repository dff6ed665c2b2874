"""What an evaluation leaves beside its verdict: spec.report of a DistillationJob."""

from typing import Annotated

from pydantic import Field

from .schema import Model
from .sources import SecretName

SIGNING_FOLDER, SIGNING_KEY = "/etc/distillery-signing", "signing-key.pem"  # the mounted Secret, and its key
SIGNING_KEY_VARIABLE = "DISTILLERY_SIGNING_KEY"  # names the key's file where no Secret is mounted
SIGNATURE = "report.sig"  # beside report.json


class Signing(Model):
    """Who signs report.json: whoever has the private key."""

    secret_name: Annotated[
        SecretName,
        Field(description=f"A Secret whose key {SIGNING_KEY} holds an EC private key; evaluate's pod alone gets it."),
    ]


class ReportSpec(Model):
    """What stands in the report besides the verdict and what it was taken from."""

    examples: Annotated[
        bool,
        Field(description="Copies some held-out rows into the report: those that the student answers worst."),
    ] = False
    signing: Signing | None = None
