"""Meta's error codes and error bodies.

Source: Meta's page "Error codes" of the Cloud API for titles, details and HTTP statuses; the
wording of code 100 as it is seen in public reports of real answers.
"""

from typing import Any

from local.simulator.identities import new_trace_id

__all__ = ["CODES", "GraphError", "error_details", "error_title"]

# code: (HTTP status, title, details)
CODES: dict[int, tuple[int, str, str]] = {
    0: (401, "AuthException", "We were unable to authenticate the app user."),
    1: (400, "API Unknown", "Invalid request or possible server error."),
    2: (503, "API Service", "Temporary due to downtime or due to being overloaded."),
    3: (500, "API Method", "Capability or permissions issue."),
    4: (400, "API Too Many Calls", "The app has reached its API call rate limit."),
    10: (403, "Permission Denied", "Permission is either not granted or has been removed."),
    100: (400, "Invalid parameter", "The request included one or more unsupported parameters."),
    104: (401, "Access token required", "An access token is required for this resource."),
    190: (401, "Access token has expired", "Your access token has expired."),
    368: (403, "Temporarily blocked for policies violations", "The account has been restricted."),
    80007: (400, "Rate limit issues", "The account has reached its rate limit."),
    130429: (429, "Rate limit hit", "Cloud API message throughput has been reached."),
    130472: (
        400,
        "User's number is part of an experiment",
        "Failed to send message because this user's phone number is part of an experiment",
    ),
    130497: (403, "Business account is restricted", "Restricted from messaging this country."),
    131000: (500, "Something went wrong", "Message failed to send due to an unknown error."),
    131005: (403, "Access denied", "Permission is either not granted or has been removed."),
    131008: (400, "Required parameter is missing", "The request is missing a parameter."),
    131009: (400, "Parameter value is not valid", "One or more parameter values are invalid."),
    131016: (500, "Service unavailable", "A service is temporarily unavailable."),
    131021: (400, "Recipient cannot be sender", "Sender and recipient phone number is the same."),
    131026: (400, "Message undeliverable", "Message Undeliverable."),
    131030: (
        400,
        "Recipient phone number not in allowed list",
        "Recipient phone number not in allowed list: Add recipient phone number to recipient "
        "list and try again.",
    ),
    131037: (400, "Display name approval needed", "The display name needs approval."),
    131042: (400, "Business eligibility payment issue", "There was an error with the payment."),
    131045: (500, "Incorrect certificate", "Message failed due to a phone number error."),
    131047: (
        400,
        "Re-engagement message",
        "Message failed to send because more than 24 hours have passed since the customer last "
        "replied to this number.",
    ),
    131048: (400, "Spam rate limit hit", "Too many messages were blocked or flagged as spam."),
    131049: (
        400,
        "Meta chose not to deliver",
        "This message was not delivered to maintain healthy ecosystem engagement.",
    ),
    131050: (
        400,
        "User has stopped marketing messages",
        "Unable to deliver the message. This recipient has chosen to stop receiving marketing "
        "messages on WhatsApp from your business",
    ),
    131051: (400, "Unsupported message type", "Message type is currently not supported."),
    131052: (400, "Media download error", "Unable to download the media sent by the user."),
    131053: (400, "Media upload error", "Unable to upload the media used in the message."),
    131056: (
        400,
        "(Business Account, Consumer Account) pair rate limit hit",
        "Message failed to send because there were too many messages sent from this phone number "
        "to the same phone number in a short period of time.",
    ),
    131057: (503, "Account in maintenance mode", "The account is in maintenance mode."),
    132000: (400, "Template Param Count Mismatch", "The number of parameters does not match."),
    132001: (404, "Template does not exist", "The template does not exist in the language."),
    132005: (400, "Template Hydrated Text Too Long", "The translated text is too long."),
    132007: (400, "Template Format Character Policy Violated", "A character policy was violated."),
    132012: (
        400,
        "Template Parameter Format Mismatch",
        "Variable parameter values formatted incorrectly.",
    ),
    132015: (400, "Template is Paused", "Template is paused due to low quality."),
    132016: (
        400,
        "Template is Disabled",
        "Template has been paused too many times due to low quality and is now disabled.",
    ),
    132018: (
        400,
        "There's an issue with the parameters in your template",
        "There's an issue with the parameters in your template.",
    ),
    133010: (400, "Phone number not registered", "The phone number is not registered."),
}


def error_title(code: int) -> str:
    """Meta's title of a code; a plain one for codes not listed here."""
    return CODES[code][1] if code in CODES else "Something went wrong"


def error_details(code: int) -> str:
    """Meta's explanation of a code."""
    return CODES[code][2] if code in CODES else "An unknown error occurred."


class GraphError(Exception):
    """An answer that refuses, with Meta's body.

    Args:
        code: Meta's error code.
        details: goes to ``error_data.details``; None leaves ``error_data`` out, as Graph itself
            does for the errors found before WhatsApp sees the request.
        message: the whole message, where it is not ``(#code) title``.
        http_status: where it is not the code's own.
    """

    def __init__(
        self,
        code: int,
        details: str | None = None,
        *,
        message: str | None = None,
        http_status: int | None = None,
        type: str = "OAuthException",  # noqa: A002 - Meta's own name
        subcode: int | None = None,
    ):
        super().__init__(message or error_title(code))
        self.code = code
        self.details = details
        self.message = message or f"(#{code}) {error_title(code)}"
        self.http_status = http_status or (CODES[code][0] if code in CODES else 400)
        self.type = type
        self.subcode = subcode

    def body(self) -> dict[str, Any]:
        """The JSON that Graph answers."""
        error: dict[str, Any] = {"message": self.message, "type": self.type, "code": self.code}
        if self.details is not None:
            error["error_data"] = {"messaging_product": "whatsapp", "details": self.details}
        if self.subcode is not None:
            error["error_subcode"] = self.subcode
        error["fbtrace_id"] = new_trace_id()
        return {"error": error}
