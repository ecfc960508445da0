//! Values that may follow from the host and its workers.

use crate::settings::value::Scalar;

/// A value of the administrator, or `auto` for the one that follows from the host and its workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auto<T> {
    /// The value that follows from the host and its workers.
    Auto,
    /// The value of the administrator, whatever the host.
    Set(T),
}

impl<T: Copy> Auto<T> {
    /// The value of the administrator; `None` for `auto`.
    pub fn set(self) -> Option<T> {
        match self {
            Self::Auto => None,
            Self::Set(value) => Some(value),
        }
    }
}

impl<T: Scalar> Scalar for Auto<T> {
    const BARE: bool = T::BARE;

    fn kind() -> String {
        format!("auto or {}", T::kind())
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("auto") {
            return Ok(Self::Auto);
        }
        T::parse(text).map(Self::Set).map_err(|_| Self::expected())
    }

    fn show(&self) -> String {
        match self {
            Self::Auto => "auto".to_owned(),
            Self::Set(value) => value.show(),
        }
    }
}
