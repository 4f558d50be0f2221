//! Optimistic locking for Amazon DynamoDB.
