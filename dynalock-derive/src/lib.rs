//! The derive macro of dynalock.
