//! The lock of a mutex, also after a panic in another thread that held it.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks `mutex` for a moment.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic under one of dynalock's locks cannot leave the data half changed, so a poisoned mutex is used further.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
