//! DynamoDB's error answers: whether the request was carried out, and how often it is worth sending again.

use aws_sdk_dynamodb::error::ProvideErrorMetadata;

/// How many attempts an error is worth, the failed one included. The limits of [`Retry`](crate::Retry) hold for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Worth {
    One,
    Two,
    /// The next attempts fail as well only if the cause comes back.
    Few,
    /// As many as the call may make.
    All,
}

/// What an error answer means. Each answer has exactly one meaning: that of its status where there is no code, or that of its
/// code. A code that is not listed means [`Refused`](Self::Refused).
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorClass {
    /// Not carried out: this request is refused, and would be again.
    Refused,
    /// Not carried out: every request of this client to this table is refused.
    TableWide,
    /// The same, until the credentials are renewed. A new call of the SDK asks for them, and gets new ones where their
    /// provider knows when they expire.
    ExpiredCredentials,
    /// Not carried out: the signature was too old when it arrived, or too new. A new call of the SDK signs anew.
    WrongClock,
    /// Not carried out, and a later attempt may be.
    Transient,
    /// Time ran out, the work was broken off, or a copy of the request is at work: it may have been carried out.
    Interrupted,
    /// No answer of DynamoDB's: a 4xx without a code, as a proxy or a wrong endpoint sends.
    NotDynamoDb,
}

impl ErrorClass {
    /// The meaning of an error answer with this HTTP status.
    pub(crate) fn new(status: u16, error: &impl ProvideErrorMetadata) -> Self {
        match (status, error.code()) {
            // A proxy's words for "time ran out" and "not so fast" come without a code, and what the proxy did is its secret.
            (408, _) | (429, None) => Self::Interrupted,
            (429, Some(_)) => Self::Transient,
            (400..=499, Some(code)) => Self::from_code(code, error.message()),
            (400..=499, None) => Self::NotDynamoDb,
            // A server that broke down, or a reply of success that could not be read.
            _ => Self::Interrupted,
        }
    }

    /// The meaning of a code, and of the message that comes with it, in an answer with a status of 4xx.
    pub(crate) fn from_code(code: &str, message: Option<&str>) -> Self {
        match code {
            "ExpiredToken" | "ExpiredTokenException" => Self::ExpiredCredentials,

            "RequestExpired" | "RequestInTheFuture" | "RequestTimeTooSkewed" => Self::WrongClock,

            // "Signature expired: .. is now earlier than ..", or "Signature not yet current: ..".
            "InvalidSignatureException" | "SignatureDoesNotMatch" | "SignatureDoesNotMatchException"
                if message.is_some_and(|message| {
                    message.contains("expired") || message.contains("not yet current")
                }) =>
            {
                Self::WrongClock
            }

            // `AccessDeniedException` is none of them: a policy may be about attributes.
            "IncompleteSignature"
            | "IncompleteSignatureException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "OptInRequired"
            | "ResourceNotFoundException"
            | "SignatureDoesNotMatch"
            | "SignatureDoesNotMatchException"
            | "SubscriptionRequiredException"
            | "UnknownOperationException"
            | "UnrecognizedClientException" => Self::TableWide,

            // Those that end in `Exception` answer a request; others are the reasons why a transaction was cancelled.
            "BandwidthLimitExceeded"
            | "LimitExceededException"
            | "PriorRequestNotComplete"
            | "ProvisionedThroughputExceeded"
            | "ProvisionedThroughputExceededException"
            | "ReplicatedWriteConflictException"
            | "RequestLimitExceeded"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "SlowDown"
            | "ThrottledException"
            | "Throttling"
            | "ThrottlingError"
            | "ThrottlingException"
            | "TooManyRequestsException"
            | "TransactionConflict"
            | "TransactionConflictException" => Self::Transient,

            // The last one says that a copy of the transaction is under way.
            "InternalFailure"
            | "InternalServerError"
            | "RequestAborted"
            | "RequestAbortedException"
            | "RequestCanceled"
            | "RequestTimeout"
            | "RequestTimeoutException"
            | "ServiceUnavailable"
            | "ServiceUnavailableException"
            | "TransactionInProgressException" => Self::Interrupted,

            _ => Self::Refused,
        }
    }

    /// Whether it says for certain that the request was not carried out, and never will be.
    pub(crate) fn is_definite(self) -> bool {
        !matches!(self, Self::Interrupted | Self::NotDynamoDb)
    }

    /// Whether every write to the table would fail in the same way.
    pub(crate) fn is_table_wide(self) -> bool {
        matches!(self, Self::TableWide | Self::ExpiredCredentials)
    }

    /// How many attempts it is worth, if the request changes nothing.
    pub(crate) fn worth(self) -> Worth {
        match self {
            Self::Refused | Self::TableWide | Self::NotDynamoDb => Worth::One,
            Self::ExpiredCredentials => Worth::Two,
            Self::WrongClock => Worth::Few,
            Self::Transient | Self::Interrupted => Worth::All,
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::error::ErrorMetadata;

    use super::*;

    fn answer(status: u16, code: &str, message: &str) -> ErrorClass {
        let error = ErrorMetadata::builder().message(message);
        let error = if code.is_empty() { error } else { error.code(code) };
        ErrorClass::new(status, &error.build())
    }

    #[test]
    fn a_refusal_with_a_code_is_definite_unless_it_says_that_it_was_broken_off() {
        for code in ["ValidationException", "ExceptionOfNextYear", "UnknownOperationException", "Throttling"]
        {
            assert!(answer(400, code, "").is_definite(), "{code}");
            assert!(!answer(408, code, "").is_definite(), "{code}");
            assert!(!answer(500, code, "").is_definite(), "{code}");
            assert!(!answer(200, code, "").is_definite(), "{code}");
        }
        for code in
            ["RequestTimeout", "RequestTimeoutException", "RequestAborted", "TransactionInProgressException"]
        {
            assert_eq!(answer(400, code, ""), ErrorClass::Interrupted, "{code}");
        }
    }

    #[test]
    fn a_refusal_without_a_code_is_in_doubt() {
        for (status, worth) in [(400, Worth::One), (404, Worth::One), (408, Worth::All), (429, Worth::All)] {
            let answer = answer(status, "", "not found");
            assert_eq!((answer.is_definite(), answer.worth()), (false, worth), "{status}");
        }
    }

    #[test]
    fn a_signature_that_is_out_of_date_is_told_from_a_wrong_one() {
        let says = |message| answer(400, "InvalidSignatureException", message);
        let expired = "Signature expired: 20261130T120000Z is now earlier than 20261130T120100Z";
        let early = "Signature not yet current: 20261130T121000Z is still later than 20261130T120500Z";
        let wrong = "The request signature we calculated does not match the signature you provided.";
        assert_eq!(
            [says(expired), says(early), says(wrong)],
            [ErrorClass::WrongClock, ErrorClass::WrongClock, ErrorClass::TableWide]
        );
        assert_eq!(answer(400, "RequestExpired", ""), ErrorClass::WrongClock);
        assert!(!ErrorClass::WrongClock.is_table_wide(), "the next call signs for itself");
    }

    /// Else all callers of an item would be answered with what may have been applied.
    #[test]
    fn what_is_table_wide_is_definite() {
        for answer in [ErrorClass::TableWide, ErrorClass::ExpiredCredentials] {
            assert!(answer.is_table_wide() && answer.is_definite());
        }
    }
}
