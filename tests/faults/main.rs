//! What each call answers when requests and replies are lost.
