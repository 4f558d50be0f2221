//! A message of HTTP/1.1 as it is on the wire: for what is put between a client and an engine.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// The longest body of a request of DynamoDB's, and more than enough for a response.
const MAX_BODY: usize = 16 * 1024 * 1024;
const MAX_HEAD: u64 = 64 * 1024;

/// A request or a response, whose head says how long the body is.
#[derive(Debug, Default, Clone)]
pub struct Message {
    /// All of it.
    pub bytes: Vec<u8>,
    /// Where the body begins.
    pub head: usize,
    /// The operation, of a request to DynamoDB, such as `"PutItem"`.
    pub operation: String,
}

impl Message {
    /// Reads the next message; `None` if the connection was closed before it.
    ///
    /// # Errors
    ///
    /// If the connection ends within the message, or the message does not say how long it is.
    pub async fn read(stream: &mut (impl AsyncBufRead + Unpin + Send)) -> io::Result<Option<Self>> {
        let (mut message, mut length) = (Self::default(), 0);
        let mut head = (&mut *stream).take(MAX_HEAD);
        loop {
            let begin = message.bytes.len();
            if head.read_until(b'\n', &mut message.bytes).await? == 0 {
                return if begin == 0 { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
            let line = String::from_utf8_lossy(&message.bytes[begin..]);
            let Some((name, value)) = line.trim_end().split_once(':') else {
                if line.trim_end().is_empty() {
                    break;
                }
                continue; // the first line
            };
            let value = value.trim();
            match &*name.to_ascii_lowercase() {
                "content-length" => length = value.parse().map_err(io::Error::other)?,
                "transfer-encoding" => return Err(io::Error::other("a body of unknown length")),
                "x-amz-target" => {
                    value.rsplit('.').next().unwrap_or_default().clone_into(&mut message.operation);
                }
                _ => {}
            }
        }
        if length > MAX_BODY {
            return Err(io::Error::other("a body of more than 16 MB"));
        }
        message.head = message.bytes.len();
        message.bytes.resize(message.head + length, 0);
        stream.read_exact(&mut message.bytes[message.head..]).await?;
        Ok(Some(message))
    }

    /// What follows the head.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.bytes[self.head..]
    }
}
