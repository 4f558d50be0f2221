//! Locks that are held for a moment, and that no panic takes away.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What `mutex` guards. Nothing that is done under one of our locks can leave it half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
