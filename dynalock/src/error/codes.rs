//! The class of an error answer: whether the request may have been carried out, and how often to retry it.

use aws_sdk_dynamodb::error::ProvideErrorMetadata;

/// How many attempts a request is worth after an error, including the failed one. The limits of [`Retry`](crate::Retry) apply in
/// addition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Worth {
    One,
    Two,
    /// A few: a new attempt removes the cause, and fails only if the cause returns.
    Few,
    /// As many as the call may make.
    All,
}

/// What an error answer means. A 4xx with a code means what its code does, and any other answer what its status does. A code that
/// is not listed means [`Refused`](Self::Refused).
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorClass {
    /// Not carried out: DynamoDB refuses this request, and would refuse it again.
    Refused,
    /// Not carried out: DynamoDB refuses every request of this client to this table.
    TableWide,
    /// As `TableWide`, until the credentials are renewed. A new call of the SDK asks for credentials, and gets new ones if their
    /// provider knows when they expire.
    ExpiredCredentials,
    /// Not carried out: the signature had expired when the request arrived, or was not valid yet. A new call of the SDK makes a
    /// new signature.
    WrongClock,
    /// Not carried out, but a later attempt may be.
    Transient,
    /// May have been carried out: time ran out, the work was interrupted, or a copy of the request is under way.
    Interrupted,
    /// May have been carried out: a 4xx without a code is not DynamoDB's answer, but that of a proxy or a wrong endpoint.
    NotDynamoDb,
}

impl ErrorClass {
    /// The class of an error answer with this HTTP status.
    pub(crate) fn new(status: u16, error: &impl ProvideErrorMetadata) -> Self {
        match (status, error.code()) {
            // "Request Timeout" says that time ran out, whatever its code. "Too Many Requests" without a code is a proxy's
            // answer. The request may have reached DynamoDB before either.
            (408, _) | (429, None) => Self::Interrupted,
            (429, Some(_)) => Self::Transient,
            (400..=499, Some(code)) => Self::from_code(code, error.message()),
            (400..=499, None) => Self::NotDynamoDb,
            // A 5xx: the server failed at an unknown point. A 2xx: the request succeeded, but its reply could not be read.
            _ => Self::Interrupted,
        }
    }

    /// The class of an answer with a 4xx status by its code and, for some codes, its message.
    pub(crate) fn from_code(code: &str, message: Option<&str>) -> Self {
        match code {
            "ExpiredToken" | "ExpiredTokenException" => Self::ExpiredCredentials,

            "RequestExpired" | "RequestInTheFuture" | "RequestTimeTooSkewed" => Self::WrongClock,

            // The same codes answer a wrong signature and one that is out of date. Only the message distinguishes them:
            // "Signature expired: .. is now earlier than ..", or "Signature not yet current: ..".
            "InvalidSignatureException" | "SignatureDoesNotMatch" | "SignatureDoesNotMatchException"
                if message.is_some_and(|message| {
                    message.contains("expired") || message.contains("not yet current")
                }) =>
            {
                Self::WrongClock
            }

            // `AccessDeniedException` is not table-wide: a policy may restrict attributes or keys.
            // https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
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

            // Codes of answers, and the reasons for which DynamoDB cancels a transaction, such as `TransactionConflict`.
            // https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
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

            // `TransactionInProgressException` says that a copy of the transaction is under way.
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

    /// Whether the answer proves that the request was not carried out, and never will be.
    pub(crate) fn is_definite(self) -> bool {
        !matches!(self, Self::Interrupted | Self::NotDynamoDb)
    }

    /// Whether every write to the table would fail in the same way.
    pub(crate) fn is_table_wide(self) -> bool {
        matches!(self, Self::TableWide | Self::ExpiredCredentials)
    }

    /// How many attempts a request that changes nothing is worth after this answer.
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
    fn a_refusal_with_a_code_is_definite_unless_it_says_that_work_was_interrupted() {
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
    fn a_refusal_without_a_code_is_ambiguous() {
        assert_eq!(answer(429, "Throttling", ""), ErrorClass::Transient);
        for (status, worth) in [(400, Worth::One), (404, Worth::One), (408, Worth::All), (429, Worth::All)] {
            let answer = answer(status, "", "not found");
            assert_eq!((answer.is_definite(), answer.worth()), (false, worth), "{status}");
        }
    }

    #[test]
    fn a_signature_that_is_out_of_date_is_distinguished_from_a_wrong_one() {
        let answer_with = |message| answer(400, "InvalidSignatureException", message);
        let expired = "Signature expired: 20261130T120000Z is now earlier than 20261130T120100Z";
        let early = "Signature not yet current: 20261130T121000Z is still later than 20261130T120500Z";
        let wrong = "The request signature we calculated does not match the signature you provided.";
        assert_eq!(
            [answer_with(expired), answer_with(early), answer_with(wrong)],
            [ErrorClass::WrongClock, ErrorClass::WrongClock, ErrorClass::TableWide]
        );
        assert_eq!(answer(400, "RequestExpired", ""), ErrorClass::WrongClock);
        assert!(!ErrorClass::WrongClock.is_table_wide(), "the next call signs for itself");
    }

    /// Otherwise all callers of an item would get an error for a write that may have been applied.
    #[test]
    fn a_table_wide_refusal_is_definite() {
        for answer in [ErrorClass::TableWide, ErrorClass::ExpiredCredentials] {
            assert!(answer.is_table_wide() && answer.is_definite());
        }
    }
}
