//! The number of a version: the integer types of a version field.

/// An integer type that can count versions: `u8`, `u16`, `u32`, `u64`, `i32` or `i64`.
///
/// Versions are never negative. 0 means that the item was never stored.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot count versions",
    label = "expected `u8`, `u16`, `u32`, `u64`, `i32` or `i64`",
    note = "an item that was never stored has version 0, so no `Option` is needed"
)]
pub trait VersionNumber: sealed::Sealed + Copy + Send + Sync + 'static {
    /// The largest version that the type can hold.
    const MAX: u64;

    /// The version as a plain number; `None` for a negative one.
    #[doc(hidden)]
    fn to_u64(self) -> Option<u64>;

    /// The plain number as a version; `None` if the type cannot hold it.
    #[doc(hidden)]
    fn from_u64(number: u64) -> Option<Self>;
}

/// A version type wide enough for `start = "clock"`: `u64` or `i64`.
#[diagnostic::on_unimplemented(
    message = "`start = \"clock\"` needs a wider version than `{Self}`",
    label = "expected `u64` or `i64`",
    note = "microseconds since 1970 take 51 bits"
)]
pub trait ClockVersion: VersionNumber {}

impl ClockVersion for u64 {}
impl ClockVersion for i64 {}

mod sealed {
    pub trait Sealed {}
}

macro_rules! version_numbers {
    ($($type:ty),*) => {$(
        impl sealed::Sealed for $type {}

        impl VersionNumber for $type {
            #[allow(clippy::cast_sign_loss, clippy::cast_lossless)] // the maximum of a type is positive
            const MAX: u64 = <$type>::MAX as u64;

            #[allow(clippy::unnecessary_fallible_conversions, irrefutable_let_patterns)] // not for every type
            fn to_u64(self) -> Option<u64> {
                u64::try_from(self).ok()
            }

            #[allow(clippy::unnecessary_fallible_conversions)] // not for every type
            fn from_u64(number: u64) -> Option<Self> {
                Self::try_from(number).ok()
            }
        }
    )*};
}

version_numbers!(u8, u16, u32, u64, i32, i64);
