"""Meanings of DynamoDB's errors here: worth trying again, or who must do what."""

import re

import botocore.exceptions as vendor

from telefold.connectors.view_rows import row_name
from telefold.schemas.errors import StoreError, StoreRefused, StoreUnavailable
from telefold.schemas.view_rows import ViewUpdate

VENDOR_ERRORS = (vendor.ClientError, vendor.BotoCoreError)

RETRIABLE_STATEMENT_ERRORS = frozenset(
    {
        "InternalServerError",
        "ProvisionedThroughputExceeded",
        "RequestLimitExceeded",
        "ThrottlingError",
        "TransactionConflict",
    }
)
_RETRIABLE_CALL_ERRORS = frozenset(
    {
        "InternalServerError",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "SlowDown",
        "ThrottlingException",
        "ThrottledException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
_MISSING_TABLE = frozenset({"ResourceNotFound", "ResourceNotFoundException"})
_NO_CREDENTIALS = (vendor.NoCredentialsError, vendor.PartialCredentialsError, vendor.ProfileNotFound)
_TRANSIENT = (
    vendor.HTTPClientError,
    vendor.ConnectionError,
    vendor.CredentialRetrievalError,
    vendor.MetadataRetrievalError,
)
_OF_CONTENT = re.compile(
    r"item size|size limit|exceeded the|overflow|underflow|significant digits|magnitude|empty (string|key)"
    r"|numeric value|nesting|not a valid number",
    re.IGNORECASE,
)


def is_about_one_statement(error: Exception) -> bool:
    return isinstance(error, vendor.ClientError) and error.response["Error"]["Code"] == "ValidationException"


def is_about_content(message: str) -> bool:
    """Whether a refusal of validation speaks of what a row holds, not of the table or of the request's form."""
    return _OF_CONTENT.search(message) is not None


def message_of(error: Exception) -> str:
    return str(error.response["Error"].get("Message", "")) if isinstance(error, vendor.ClientError) else str(error)


def translated(error: Exception, table: str) -> StoreError:
    """The StoreUnavailable or StoreRefused that the failure of a whole call stands for."""
    if isinstance(error, vendor.ClientError):
        return _of_response(error, table)
    if isinstance(error, _TRANSIENT):
        return StoreUnavailable(
            f"DynamoDB cannot be reached ({error}): start it or wait until it is back,"
            " or correct telefold.views/dynamodb.endpoint or aws.region."
        )
    if isinstance(error, _NO_CREDENTIALS):
        return StoreRefused(f"There are no AWS credentials for the table {table} ({error}): configure some.")
    if isinstance(error, vendor.NoRegionError):
        return StoreRefused(f"There is no AWS region for the table {table}: set telefold.views/aws.region.")
    return StoreRefused(f"The request to the table {table} could not be made ({error}).")


def _of_response(error: vendor.ClientError, table: str) -> StoreError:
    details = error.response["Error"]
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if details["Code"] in _RETRIABLE_CALL_ERRORS or status >= 500 or status == 429:
        return StoreUnavailable(f"DynamoDB cannot serve now ({details['Code']}: {details['Message']}).")
    return refused(details["Code"], details["Message"], table)


def refused(code: str, message: str, table: str, row: ViewUpdate | None = None) -> StoreRefused:
    """The sentence for an error that no further attempt can mend."""
    if code in _MISSING_TABLE:
        return StoreRefused(
            f"The table {table} does not exist in this account and region: create it, or correct"
            " telefold.views/dynamodb.table or aws.region."
        )
    if code.startswith("AccessDenied"):
        return StoreRefused(f"Access to the table {table} is denied ({message}): allow it in the role's policy.")
    what = row_name(row) if row else "the request"
    return StoreRefused(f"DynamoDB refuses {what} in the table {table} ({code}: {message}).")
