//! What each call sends and answers, on a real engine.
